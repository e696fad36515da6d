"""Two models and the same questions: which answers more of them right, or was it luck?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ArgumentError
from ..training.evaluation.intervals import CONFIDENCE, paired_difference
from .task_accuracy import TaskEvaluation

METHOD = f"{CONFIDENCE:.0%} intervals: both were asked the same questions (Newcombe 1998, method 10)"


@dataclass(frozen=True)
class TaskDifference:
    """Of n questions both answered `both` right, one alone `first` or `second`, none `neither`."""

    name: str
    both: int
    first: int
    second: int
    neither: int

    @property
    def value(self) -> float:
        """Share of exact matches, second − first."""
        return (self.second - self.first) / (self.both + self.first + self.second + self.neither)

    @property
    def interval(self) -> tuple[float, float]:
        return paired_difference(self.both, self.first, self.second, self.neither)

    def to_dict(self) -> dict[str, Any]:
        counts = asdict(self)
        name = counts.pop("name")
        return {
            "task": name, "second_minus_first": self.value, "interval": self.interval, "right": counts,
            "intervals": METHOD,
        }  # fmt: skip

    def row(self) -> str:
        low, high = self.interval
        verdict = "no difference shown: 0 lies within"
        if low > 0 or high < 0:
            verdict = f"the {'second' if low > 0 else 'first'} is better"
        return f"  {self.name:<20}{self.value:>+8.1%}   {low:+.1%} … {high:+.1%}   {verdict}"


def compare_answers(first: TaskEvaluation, second: TaskEvaluation) -> TaskDifference:
    """Question by question. Raises ArgumentError if they were not asked the same ones."""
    if (first.n, first.unit) != (second.n, second.unit):
        raise ArgumentError(
            f"{first.name}: one was asked about {first.n} {first.unit}, the other about {second.n} {second.unit}: "
            "their answers cannot be paired: both need a head, or both none"
        )
    right = [(a[2] == 1, b[2] == 1) for a, b in zip(first.answers, second.answers, strict=True)]
    kinds = ((True, True), (True, False), (False, True), (False, False))
    return TaskDifference(first.name, *(right.count(kind) for kind in kinds))


def difference_table(differences: Iterable[TaskDifference]) -> str:
    """Several tasks in columns."""
    head = f"  {'second minus first':<20}{'exact':>8}   {CONFIDENCE:.0%} interval"
    return "\n".join([head, *(d.row() for d in differences), f"  {METHOD}"])
