"""Rungs: the versions of a kernel, from the naive loop to the one in use."""

from collections.abc import Callable
from typing import NamedTuple


class Rung(NamedTuple):
    """One version. `idea` says what it adds to the rung below."""

    kernel: str
    number: int
    idea: str
    function: Callable


LADDERS: dict[str, list[Rung]] = {}


def rung(kernel: str, number: int, idea: str):
    """Put a function on the ladder of `kernel`; numbers start at 1 and follow each other."""

    def register(function):
        steps = LADDERS.setdefault(kernel, [])
        if number != len(steps) + 1:
            raise ValueError(f"{kernel}: rung {number} comes after {len(steps)} others")
        steps.append(Rung(kernel, number, idea, function))
        return function

    return register
