"""What a task is: examples of each part, and a score for an answer.

A task of your own is any class with these two methods; nothing needs to be inherited or registered:

    class Double:
        def examples(self, split, n, rng):
            return draw(self._one, split, n, rng)
        def _one(self, rng):
            x = rng.integers(100)
            return f"{x}", Conversation.exchange(f"Double {x}.", f"{2 * x}")
        def score(self, example, answer):
            return exact_match(example, answer)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np

from ...errors import DataError
from ...randomness import as_generator
from ..conversation import Conversation
from ..splits import FRACTIONS, check_split, split_of
from ..tokens import positive

E = TypeVar("E")
TRIES = 2000  # draws in a row without a new example, after which a part counts as exhausted


class Task(Protocol):
    """Two methods. An example is a Conversation that ends with the right answer."""

    def examples(self, split: str, n: int, rng: np.random.Generator | int | None) -> Iterator[Conversation]:
        """n examples of "train", "val" or "test"; an input that one part has, no other part has. In "val" and "test"
        no example comes twice, so there may be fewer than n."""

    def score(self, example: Conversation, answer: str) -> float:
        """How right the model's answer is, from 0 to 1."""


def draw(
    make: Callable[[np.random.Generator], tuple[str | tuple[str, ...], E]],
    split: str,
    n: int,
    rng: np.random.Generator | int | None,
    fractions: Sequence[float] = FRACTIONS,
) -> Iterator[E]:
    """n examples made by make(rng) -> (input key, example), those whose key hashes into the part asked for.

    The key says what the answer follows from ("17+25"), so that one input asked in two ways stays in one part. With
    several keys (a name, an object) all must fall into the part; what mixes parts belongs to none.
    Raises: ArgumentError; DataError if the part has no example.
    """
    check_split(split)
    return _draw(make, split, positive("n", n), as_generator(rng), fractions)  # checked now, drawn later


def _draw(make, split, n, rng, fractions):
    seen = set()
    given = tries = 0
    while given < n and tries < TRIES:
        tries += 1
        keys, example = make(rng)
        keys = (keys,) if isinstance(keys, str) else keys
        if example in seen or any(split_of(key, fractions) != split for key in keys):
            continue
        if split != "train":
            seen.add(example)
        yield example
        given, tries = given + 1, 0
    if given == 0:
        raise DataError(f"no example fell into the part {split!r} in {TRIES} draws: the task has too few inputs")


def exact_match(example: Conversation, answer: str) -> float:
    """1.0 if the answer is the right one but for white space around it, else 0.0"""
    return float(answer.strip() == example.reply.strip())


def pick(rng: np.random.Generator, choices: Sequence[E]) -> E:
    """One of them, equally likely."""
    return choices[int(rng.integers(len(choices)))]
