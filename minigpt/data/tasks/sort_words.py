"""Words in the order of the alphabet: "Sort: pond, clay, trout" -> "clay, pond, trout"."""

from __future__ import annotations

from ..conversation import Conversation
from .base import draw, exact_match
from .words import pseudo_word


class SortWords:
    """Two to four different words of 3 to 5 letters. Held out are sets of words: in another order they are the same
    input."""

    def examples(self, split, n, rng):
        return draw(self._one, split, n, rng)

    def _one(self, rng):
        words = list({pseudo_word(rng, 3, 5): None for _ in range(int(rng.integers(2, 5)))})
        inputs, result = ", ".join(words), ", ".join(sorted(words))
        return result, Conversation.exchange(f"Sort: {inputs}", result)

    def score(self, example, answer):
        return exact_match(example, answer)
