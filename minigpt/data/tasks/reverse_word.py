"""Words backwards: "Reverse the word planet." -> "tenalp"."""

from __future__ import annotations

from ..conversation import Conversation
from .base import draw, exact_match
from .words import pseudo_word


class ReverseWord:
    """Words of 3 to 6 letters, made of syllables. Held out are words."""

    def examples(self, split, n, rng):
        return draw(self._one, split, n, rng)

    def _one(self, rng):
        word = pseudo_word(rng, 3, 6)
        return word, Conversation.exchange(f"Reverse the word {word}.", word[::-1])

    def score(self, example, answer):
        return exact_match(example, answer)
