"""What is wrong with this installation, and the command that mends it: `python -m minigpt doctor`.

Works where the rest of minigpt does not: nothing but Python's own library is imported before a check asks for more, and
a check that fails is a finding. What is looked at stands in `doctor_python.py` (interpreter, packages, files) and
`doctor_machine.py` (BLAS, Numba, card, fonts, Jupyter).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import MiniGPTError

DOCTOR = "python -m minigpt doctor   # again, after what is said above"
OK, NOTE, STOP = "ok", "note", "stop"


class Finding(NamedTuple):
    """One thing that was looked at.

    state   ok; note: works, but slower or without something; stop: keeps the library, or a part that is installed for
            it, from working
    mend    the command that changes it, "" where there is nothing to mend
    """

    about: str
    state: str
    text: str
    mend: str = ""


def examine() -> list[Finding]:
    """Run all checks."""
    from . import doctor_machine, doctor_python

    findings: list[Finding] = []
    for check in (*doctor_python.CHECKS, *doctor_machine.CHECKS):
        findings += checked(check)
    return findings


def checked(check: Callable[[], list[Finding]]) -> list[Finding]:
    """What a check finds; that it cannot even be made is a finding too."""
    try:
        return check()
    except MiniGPTError as error:
        return [Finding(check.__name__.replace("_", " "), NOTE, f"not looked at: {error}", DOCTOR)]
    except (ImportError, OSError, RuntimeError, AttributeError, ValueError) as error:
        about = check.__name__.replace("_", " ")
        lacking = isinstance(error, ModuleNotFoundError) and error.name
        if lacking and lacking.partition(".")[0] in ("numpy", "scipy", "numba", "threadpoolctl", "matplotlib"):
            return [
                Finding(about, NOTE, f"not looked at, since {lacking} is missing", DOCTOR)
            ]  # packages() says how to get it
        return [Finding(about, STOP, f"cannot be looked at: {type(error).__name__}: {error}", reinstall())]


def reinstall() -> str:
    from .doctor_python import pip

    return pip("install --force-reinstall minigpt")


def exit_code(findings: list[Finding]) -> int:
    """0, or 1 if something keeps the library from working."""
    return int(any(finding.state == STOP for finding in findings))


def report(findings: list[Finding]) -> str:
    """One line a finding, and below it the command that mends it."""
    width = max(len(finding.about) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<5} {finding.about:<{width}}  {finding.text}")
        if finding.mend:
            lines.append(f"{'':<6}{'':<{width}}  mend: {finding.mend}")
    stops, notes = (sum(finding.state == state for finding in findings) for state in (STOP, NOTE))
    if stops:
        lines.append(f"{stops} of these keep minigpt from working (stop); the commands below them mend that")
    else:
        lines.append("everything works" + (f"; {notes} could be better (note)" if notes else ""))
    return "\n".join(lines)
