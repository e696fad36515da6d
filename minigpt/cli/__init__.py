"""The command line: `python -m minigpt COMMAND`, or `minigpt COMMAND`.

Each command is a file of this folder with `HELP`, `EXAMPLE`, `add_arguments(parser)` and `run(args) -> exit code`.
Errors of minigpt's own kinds become one line on stderr and exit code 2, Ctrl-C exit code 130.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings

from ..errors import MiniGPTError

COMMANDS = (
    "demo", "train", "finetune", "generate", "chat", "eval", "compare", "inspect", "data", "bench", "step", "doctor",
)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    if hasattr(sys.stdout, "reconfigure"):  # a Windows pipe may know fewer characters than the model writes
        sys.stdout.reconfigure(errors="backslashreplace")
    argv = sys.argv[1:] if argv is None else argv
    # The doctor is asked where the other commands cannot even be imported.
    args = build_parser(("doctor",) if argv[:1] == ["doctor"] else COMMANDS).parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **more: print(f"note: {message}", file=sys.stderr)
        try:
            code = args.run(args)
            sys.stdout.flush()  # here, where a closed pipe is caught
            return code
        except MiniGPTError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130
        except BrokenPipeError:  # `minigpt generate … | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141


def build_parser(commands=COMMANDS) -> argparse.ArgumentParser:
    from .. import __version__

    parser = argparse.ArgumentParser(
        prog="minigpt",
        description="A GPT from scratch: train it, let it write, look inside.",
        epilog="Start with `minigpt demo`. Each command explains itself: `minigpt train --help`.",
    )
    parser.add_argument("--version", action="version", version=f"minigpt {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in commands:
        module = importlib.import_module(f".{name}", __name__)
        sub = subparsers.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser
