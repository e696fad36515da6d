"""Rungs: the versions of a kernel, from the naive loop to the one in use. Each row has ladders of its own."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Rung(NamedTuple):
    """One version. `idea` says what it adds to the rung below."""

    kernel: str
    number: int
    idea: str
    function: Callable[..., Any]


class Ladders(dict[str, list[Rung]]):
    """Name of a kernel -> its rungs."""

    def rung(self, kernel: str, number: int, idea: str):
        """Put a function on the ladder of `kernel`; numbers start at 1 and follow each other."""

        def register(function):
            steps = self.setdefault(kernel, [])
            if number != len(steps) + 1:
                raise ValueError(f"{kernel}: rung {number} comes after {len(steps)} others")
            steps.append(Rung(kernel, number, idea, function))
            return function

        return register
