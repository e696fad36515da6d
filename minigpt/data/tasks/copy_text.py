"""Saying it again: "Repeat: mop trill" -> "mop trill"."""

from __future__ import annotations

from ..conversation import Conversation
from .base import draw, exact_match
from .words import pseudo_word


class CopyText:
    """One to three words of 3 to 6 letters. Held out are texts."""

    def examples(self, split, n, rng):
        return draw(self._one, split, n, rng)

    def _one(self, rng):
        text = " ".join(pseudo_word(rng, 3, 6) for _ in range(int(rng.integers(1, 4))))
        return text, Conversation.exchange(f"Repeat: {text}", text)

    def score(self, example, answer):
        return exact_match(example, answer)
