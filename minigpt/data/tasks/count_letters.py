"""How often a letter occurs: "How many a are in banana?" -> "3"."""

from __future__ import annotations

from ..conversation import Conversation
from .base import draw, exact_match, pick
from .words import pseudo_word

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class CountLetters:
    """Letters in words of 4 to 9 letters. Held out are words.

    Four times out of five the letter asked for is one of the word's.
    """

    def examples(self, split, n, rng):
        return draw(self._one, split, n, rng)

    def _one(self, rng):
        word = pseudo_word(rng, 4, 9)
        letter = pick(rng, word) if rng.random() < 0.8 else pick(rng, LETTERS)
        return word, Conversation.exchange(f"How many {letter} are in {word}?", str(word.count(letter)))

    def score(self, example, answer):
        return exact_match(example, answer)
