"""Tasks for encoder–decoder models that the project makes itself: copy, reverse, dates, translation.

Each takes (split, n, rng) and yields n Pairs of that part; a source of one part stands in no other (`splits.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..errors import ArgumentError
from .pairs import Pair
from .tasks import Dates, draw
from .toy_language import random_sentence

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LONGEST = 20  # letters, of copy and reverse


def copy(split: str, n: int, rng) -> Iterator[Pair]:
    """ "qxa" -> "qxa": 1 to 20 random letters"""
    return draw(lambda rng: _keyed(_letters(rng), lambda text: text), split, n, rng)


def reverse(split: str, n: int, rng) -> Iterator[Pair]:
    """ "qxa" -> "axq": 1 to 20 random letters"""
    return draw(lambda rng: _keyed(_letters(rng), lambda text: text[::-1]), split, n, rng)


def dates(split: str, n: int, rng) -> Iterator[Pair]:
    """ "3 March 2021", "March 3, 2021" -> "2021-03-03"; held out are days"""
    return Dates().pairs(split, n, rng)


def translation(split: str, n: int, rng) -> Iterator[Pair]:
    """English -> the language of `toy_language.py`; held out are sentences"""

    def make(rng):
        pair = random_sentence(rng).pair()
        return pair.key, pair

    return draw(make, split, n, rng)


PAIR_TASKS: dict[str, Callable[[str, int, np.random.Generator | int | None], Iterator[Pair]]] = {
    "copy": copy, "reverse": reverse, "dates": dates, "translation": translation,
}  # fmt: skip


def pair_task(name: str):
    """One of PAIR_TASKS. Raises ArgumentError, listing them."""
    if name not in PAIR_TASKS:
        raise ArgumentError(f"there is no task {name!r} of pairs; there are {', '.join(PAIR_TASKS)}")
    return PAIR_TASKS[name]


def _letters(rng) -> str:
    """Every length from 1 to LONGEST equally often, every letter too."""
    return "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=int(rng.integers(1, LONGEST + 1))))


def _keyed(source: str, target: Callable[[str], str]) -> tuple[str, Pair]:
    return source, Pair(source, target(source))
