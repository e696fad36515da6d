"""Look at the installation: interpreter, packages, BLAS, Numba and its cache, CUDA, fonts, Jupyter, disk.

Every finding that is not ok comes with the command that mends it. Exit code 0 if everything works, 1 if something does
not (stop); what only could be better is a note.
"""

from __future__ import annotations

import json

HELP = "what is wrong with this installation, and the command that mends it"
EXAMPLE = "minigpt doctor --json"


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="findings as a JSON list, for a bug report or a script")


def run(args) -> int:
    from ..debug.doctor import examine, exit_code, report

    findings = examine()
    print(json.dumps([f._asdict() for f in findings], indent=2, ensure_ascii=False) if args.json else report(findings))
    return exit_code(findings)
