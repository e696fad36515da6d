"""Run a student's answer on an exercise's cases and say what is wrong, where, and which mistake it looks like."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from textwrap import fill, indent
from typing import Any, NamedTuple

import numpy as np

from ..display import WHOLE, describe
from .comparing import difference, distance, same
from .exercise import Case, Exercise, Mistake, Part, exercise
from .outcome import Outcome, outcomes

WIDTH = 100
CLOSE = 0.02  # a mistake is probable if the answer is 50 times nearer to it than to the right answer


@dataclass(frozen=True)
class PartResult:
    """problem: what is wrong in words, "" if nothing; misconception: the message of the mistake recognised, or "" """

    title: str
    points: int
    possible: int
    problem: str = ""
    misconception: str = ""

    def lines(self, explained: bool) -> list[str]:
        """explained: the misconception was told above"""
        worth = f"{self.possible} point{'s' * (self.possible != 1)}"
        if not self.problem:
            return [f"  right   {self.title} ({worth})"]
        why = "the same mistake as above" if explained else self.misconception
        told = [self.problem] + [fill(f"=> {why}", WIDTH, subsequent_indent="   ")] * bool(self.misconception)
        return [f"  WRONG   {self.title} ({worth})", *(indent(text, " " * 10) for text in told)]


@dataclass(repr=False)
class Report:
    """What `examine` found. str() of it is what a student reads.

    unwritten: the stub's sentence, if it is the stub; missing: why there is no answer at all
    """

    exercise: str
    parts: list[PartResult] = field(default_factory=list)
    unwritten: str = ""
    missing: str = ""

    @property
    def points(self) -> int:
        return sum(part.points for part in self.parts)

    @property
    def possible(self) -> int:
        return sum(part.possible for part in self.parts)

    @property
    def passed(self) -> bool:
        return self.points == self.possible

    def __repr__(self):
        return f"<Report {self.exercise}: {self.points} of {self.possible} points>"

    def __str__(self):
        title = f"{self.exercise}: {self.points} of {self.possible} points"
        if self.missing:
            return f"{title}\n  no answer: {self.missing}"
        if self.unwritten:
            return f"{title}\n  not written yet: {self.unwritten}"
        lines, explained = [title], set()
        for part in self.parts:
            lines += part.lines(part.misconception in explained)
            explained.add(part.misconception)
        return "\n".join(lines)


def check(name: str, answer: Any, seed: int = 0) -> int:
    """Print what is right and wrong with an answer; returns the points, which nbgrader takes as partial credit.

    name:   of the exercise, `softmax` or `ex_softmax`
    answer: the function (or class) that the exercise asks for
    seed:   decides the random numbers of the cases
    Raises: ArgumentError if there is no such exercise
    """
    report = examine(name, answer, seed)
    print(report)
    return report.points


def examine(name: str, answer: Any, seed: int = 0) -> Report:
    """What `check` prints, as a Report."""
    ex = exercise(name)
    if ex.lacking:
        return nothing_right(ex, ex.lacking)
    if not callable(answer):
        return not_callable(ex, answer)
    with _quiet():
        return _judged(ex, outcomes(ex, answer, seed), seed)


def not_callable(ex: Exercise, answer: Any) -> Report:
    kind = describe(answer) if type(answer) is np.ndarray else f"of type {type(answer).__name__}"
    problem = f"the answer is no function but {kind}; pass {ex.answer} itself, not a result of it"
    return nothing_right(ex, problem)


def nothing_right(ex: Exercise, problem: str, missing: str = "") -> Report:
    return Report(ex.name, [PartResult(part.title, 0, part.points, problem) for part in ex.parts], missing=missing)


def judge(ex: Exercise, got: list[Outcome], seed: int) -> Report:
    """What `examine` says of an answer that has been run already, perhaps in another process."""
    with _quiet():
        return _judged(ex, got, seed)


def _judged(ex: Exercise, got: list[Outcome], seed: int) -> Report:
    report = Report(ex.name)
    comparison = Comparison(ex, got, seed)
    errors = [outcome.error for outcome in got]
    if errors[0] is not None and all(error is not None and error.unwritten for error in errors):
        report.unwritten = errors[0].text or f"{ex.answer} raises NotImplementedError"
    for part in ex.parts:
        report.parts.append(_judge(ex, part, comparison))
    return report


# Kept, since a grader asks for them again and again.
@lru_cache(maxsize=64)
def _right(ex: Exercise, seed: int) -> list[Outcome]:
    return outcomes(ex, ex.right, seed)


@lru_cache(maxsize=64)
def _mistaken(ex: Exercise, seed: int) -> list[tuple[Mistake, list[Outcome]]]:
    return [(mistake, outcomes(ex, mistake.answer, seed)) for mistake in ex.mistakes]


class Candidate(NamedTuple):
    """A mistake beside an answer. explains: for each case, whether both are wrong in the same way"""

    agreeing: int
    mistake: Mistake
    known: list[Outcome]
    explains: list[bool]


class Comparison:
    """An answer beside the right one on every case, and, once something is wrong, beside the stored mistakes."""

    def __init__(self, ex: Exercise, got: list[Outcome], seed: int):
        self.ex, self.seed = ex, seed
        self.cases = ex.cases(seed)
        self.got, self.wanted = got, _right(ex, seed)

    def agree(self, some: list[Outcome], others: list[Outcome]) -> list[bool]:
        """Case by case, in the outputs that the case's part looks at."""
        tolerance = self.ex.tolerance
        return [a.same(b, part.of, tolerance) for a, b, (part, _) in zip(some, others, self.cases, strict=True)]

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The exercise's mistakes, those that agree with the answer on most cases first."""
        found = []
        for mistake, known in _mistaken(self.ex, self.seed):
            agree, right = self.agree(self.got, known), self.agree(known, self.wanted)
            explains = [a and not r for a, r in zip(agree, right, strict=True)]
            found.append(Candidate(sum(agree), mistake, known, explains))
        return sorted(found, key=lambda candidate: -candidate.agreeing)

    def recognise(self, number: int) -> str:
        """The message of the mistake that gives the same wrong outcome on that case; else of one that comes close."""
        for candidate in self.candidates:
            if candidate.explains[number]:
                return candidate.mistake.message
        nearest, message = np.inf, ""
        for candidate in self.candidates:
            nearness = self._nearness(number, candidate.known[number])
            if nearness < min(nearest, CLOSE):
                nearest, message = nearness, f"Probably: {candidate.mistake.message}"
        return message

    def _nearness(self, number: int, known: Outcome) -> float:
        """How far the answer is from that outcome, in units of how far it is from the right one; the worst output."""
        got, wanted, of = self.got[number], self.wanted[number], self.cases[number][0].of
        if not got.outputs or not known.outputs:
            return np.inf
        wrong = [i for i in of if not same(got.outputs[i], wanted.outputs[i], self.ex.tolerance)]
        # one that is as near to the right answer as to the answer explains nothing
        ratios = [distance(got.outputs[i], known.outputs[i]) / max(distance(got.outputs[i], wanted.outputs[i]), 1e-300)
                  for i in wrong]  # fmt: skip
        return max((ratio if ratio == ratio else np.inf for ratio in ratios), default=np.inf)


def _judge(ex: Exercise, part: Part, comparison: Comparison) -> PartResult:
    """The first case of the part that is wrong, in words."""
    for number, (of_part, _) in enumerate(comparison.cases):
        if of_part is not part:
            continue
        problem = _problem(ex, part, comparison.got[number], comparison.wanted[number])
        if problem:
            text = f"{_call(ex, comparison.cases[number][1])}\n{problem}"
            return PartResult(part.title, 0, part.points, text, comparison.recognise(number))
    return PartResult(part.title, part.points, part.points)


def _problem(ex: Exercise, part: Part, got: Outcome, wanted: Outcome) -> str:
    if got.error is not None:
        if not got.error.place and got.error.kind == "TypeError" and "argument" in got.error.text:
            return f"{got.error}\nit must be possible to call it as {ex.signature}"
        return f"{got.error}\nat {got.error.place}" if got.error.place else str(got.error)
    if got.note:
        return got.note
    for i in part.of:
        text = difference(got.outputs[i], wanted.outputs[i], ex.outputs[i], ex.tolerance)
        if text:
            return text
    return ""


def _call(ex: Exercise, case: Case) -> str:
    """`a matrix: softmax(x, axis=0) with` and one line for each array."""
    short, arrays = [], []
    for name, value in ex.arguments(case).items():
        if isinstance(value, np.ndarray):
            short.append(name)
            text = (
                np.array2string(value, precision=4, separator=", ", suppress_small=True)
                if value.size <= WHOLE
                else describe(value)
            )
            head = f"{name} {value.shape} {value.dtype} = " if value.size <= WHOLE else f"{name} = "
            arrays.append(head + text.replace("\n", "\n" + " " * len(head)))
        else:
            short.append(f"{name}={value!r}" if len(repr(value)) <= 60 else name)
    given = ", ".join(short)
    return "\n".join([f"{case.label}: {ex.answer}" + (f" tried with {given}" if ex.runs else f"({given})"), *arrays])


@contextmanager
def _quiet():
    """No warnings, and nothing on stderr: for nbgrader a graded cell that writes there is wrong, whatever it says."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), redirect_stderr(sys.stdout):
        warnings.simplefilter("ignore")
        yield
