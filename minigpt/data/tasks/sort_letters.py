"""Letters in the order of the alphabet: "Sort the letters of planet." -> "aelnpt"."""

from __future__ import annotations

from ..conversation import Conversation
from .base import draw, exact_match
from .words import pseudo_word


class SortLetters:
    """Words of 3 to 6 letters. Held out are sets of letters: an anagram of a word has the same answer as the word."""

    def examples(self, split, n, rng):
        return draw(self._one, split, n, rng)

    def _one(self, rng):
        word = pseudo_word(rng, 3, 6)
        result = "".join(sorted(word))
        return result, Conversation.exchange(f"Sort the letters of {word}.", result)

    def score(self, example, answer):
        return exact_match(example, answer)
