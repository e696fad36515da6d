"""Words for the tasks: made of syllables, so that there are enough of them to hold some back."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

ONSETS = ("b c d f g h j k l m n p r s t v w y z bl br ch cl cr dr fl fr gl gr pl pr sh sk sl sp st th tr").split()
VOWELS = "a e i o u ai ea ee oa oo ou".split()
CODAS = ["", *"d g k l m n p r s t x ck ft lk ll mp nd nt rk rn st".split()]


def pseudo_word(rng: np.random.Generator, shortest: int = 3, longest: int = 6) -> str:
    """A word that could be English, such as "plain" or "tosk": one or two syllables; every length equally often.

    There are 1,254 words of three letters, 12,388 of four, more than 200,000 of five and 2 million of six.
    """
    length = int(rng.integers(shortest, longest + 1))
    ways = _ways(length)
    number = int(rng.integers(sum(len(first) * len(second) for first, second in ways)))
    for first, second in ways:
        if number < len(first) * len(second):
            break
        number -= len(first) * len(second)
    return first[number // len(second)] + second[number % len(second)]


@lru_cache(maxsize=16)
def _ways(length: int) -> list[tuple[list[str], list[str]]]:
    """How to put a word of that length together: all first syllables of one length, all second ones of the rest."""
    by_length: dict[int, list[str]] = {0: [""]}  # no second syllable
    for parts in product(ONSETS, VOWELS, CODAS):
        by_length.setdefault(sum(map(len, parts)), []).append("".join(parts))
    return [(by_length[n], by_length[length - n]) for n in sorted(by_length) if n > 0 and length - n in by_length]
