"""What an answer gives on an exercise's cases: outputs, or an exception, in a form that can cross to another process.

`attempt` runs the student's code, `outcome` judges nothing yet but the form: were the arguments left alone, are there
as many outputs as wanted. The grader calls `attempt` in one process and `outcome` in another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..debug.source import raised_at
from .comparing import same
from .exercise import Case, Exercise

LONGEST = 2000  # characters of an exception's text


class Raised(NamedTuple):
    """An exception. place: `mine.py:3: y = x / 0`, the student's own line, "" if there is none; unwritten: a stub's"""

    kind: str
    text: str
    place: str = ""
    unwritten: bool = False

    @classmethod
    def of(cls, error: BaseException) -> Raised:
        try:
            text = str(error)[:LONGEST]
        except Exception:  # noqa: BLE001 - an exception of the student's own may fail to say what it is
            text = "(it has no text)"
        line = raised_at(error)
        return cls(type(error).__name__, text, str(line) if line else "", isinstance(error, NotImplementedError))

    def __str__(self):
        return f"{self.kind}: {self.text}" if self.text else self.kind


@dataclass(frozen=True)
class Attempt:
    """One call of an answer: what came back, and the arguments that it had to leave alone as they are afterwards.

    lost: why nothing came back at all, not even an exception; only where the answer runs in a process of its own
    """

    result: Any = None
    after: dict[str, Any] = field(default_factory=dict)
    raised: Raised | None = None
    lost: str = ""


@dataclass(frozen=True)
class Outcome:
    """What one call gave: a tuple of outputs, or the exception."""

    outputs: tuple = ()
    error: Raised | None = None
    note: str = ""  # what was wrong before any number was looked at

    def same(self, other: Outcome, of: tuple[int, ...], tolerance) -> bool:
        """Whether both raised the same, or agree in the outputs at the positions `of`."""
        if self.error is not None or other.error is not None:
            return self.error is not None and other.error is not None and self.error[:2] == other.error[:2]
        if self.note or other.note:
            return self.note == other.note
        return all(same(self.outputs[i], other.outputs[i], tolerance) for i in of)


def attempt(ex: Exercise, answer: Any, case: Case) -> Attempt:
    """Call the answer on a case. Ctrl-C goes through; every other exception is what we report."""
    try:
        result = ex.run(answer, *case.args, **case.kwargs)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a student's code raises is what we report
        return Attempt(raised=Raised.of(error))
    return Attempt(result, _left_alone(ex, case))


def outcome(ex: Exercise, tried: Attempt, untouched: Case) -> Outcome:
    """untouched: the same case, made anew"""
    if tried.raised is not None:
        return Outcome(error=tried.raised)
    if tried.lost:
        return Outcome(note=tried.lost)
    for name, value in _left_alone(ex, untouched).items():
        if not same(tried.after.get(name), value, 0.0):
            how = "`a = a - b` makes a new array, `a -= b` does not"
            how = "`list(a)` makes a copy to work on" if isinstance(value, list) else how
            return Outcome(note=f"the function overwrote its argument {name}, which belongs to the caller; {how}")
    result = tried.result
    if len(ex.outputs) == 1:
        return Outcome(_copied([result]))
    names = ", ".join(ex.outputs)
    if not isinstance(result, tuple | list) or len(result) != len(ex.outputs):
        kind = f"{len(result)} things" if isinstance(result, tuple | list) else f"one {type(result).__name__}"
        return Outcome(note=f"the function returned {kind}; wanted is `return {names}`")
    return Outcome(_copied(result))


def outcomes(ex: Exercise, answer: Any, seed: int) -> list[Outcome]:
    """What the answer gives on every case, in order."""
    return [outcome(ex, attempt(ex, answer, case), untouched)
            for (_, case), (_, untouched) in zip(ex.cases(seed), ex.cases(seed), strict=True)]  # fmt: skip


def _left_alone(ex: Exercise, case: Case) -> dict[str, Any]:
    """The arrays and lists among the arguments that the answer may not write into."""
    return {
        name: value
        for name, value in ex.arguments(case).items()
        if isinstance(value, np.ndarray | list) and name not in ex.in_place
    }


def _copied(results) -> tuple:
    """Arrays as they are now: the answer may use the same one again in its next call."""
    return tuple(np.array(result) if type(result) is np.ndarray else result for result in results)
