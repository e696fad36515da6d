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
    while True:
        a, b = (int(x) for x in rng.integers(0, len(_syllables()), 2))
        first, second = _syllables()[a], _syllables()[b]
        for word in (first, first + second):
            if len(word) == length:
                return word


@lru_cache(maxsize=1)
def _syllables() -> list[str]:
    return ["".join(parts) for parts in product(ONSETS, VOWELS, CODAS)]
