"""Sums in dialogue: "What is 17 + 25?" -> "42"."""

from __future__ import annotations

from ..conversation import Conversation
from .base import draw, exact_match


class Arithmetic:
    """Sums of two numbers from 0 to 99.

    Held out are pairs: if 17 + 25 is never trained on, 25 + 17 is not either. There are 5,050 pairs.
    """

    def __init__(self, largest: int = 99):
        self.largest = largest

    def examples(self, split, n, rng):
        return draw(self._one, split, n, rng)

    def _one(self, rng):
        a, b = (int(x) for x in rng.integers(0, self.largest + 1, 2))
        return f"{min(a, b)}+{max(a, b)}", Conversation.exchange(f"What is {a} + {b}?", str(a + b))

    def score(self, example, answer):
        return exact_match(example, answer)
