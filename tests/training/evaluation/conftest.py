"""A model whose every prediction is known: a table of next-token probabilities, and text drawn from such a table."""

from types import SimpleNamespace

import numpy as np
import pytest

from minigpt import functional as F
from minigpt import nn
from minigpt.nn.module import Parameter
from minigpt.tokenizers import CharTokenizer


class LookupTable(nn.Module):
    """p(next | token) = probabilities[token]: a bigram model that has nothing to learn."""

    def __init__(self, probabilities, block_size=8):
        self.table = Parameter(np.log(np.asarray(probabilities, np.float64)))
        self.config = SimpleNamespace(vocab_size=len(probabilities), block_size=block_size)

    def forward(self, ids, targets=None):
        return F.embedding(ids, self.table), None  # (B, T, V)


@pytest.fixture
def lookup_table():
    return LookupTable


@pytest.fixture
def chain():
    """(V, V) random next-token probabilities; chain(rng, V, sharpness)"""

    def make(rng, V=6, sharpness=2.0):
        scores = rng.normal(0, sharpness, (V, V))
        return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    return make


@pytest.fixture
def draw_text():
    """n ids of a text that follows the table: draw_text(rng, probabilities, n)"""

    def draw(rng, probabilities, n):
        cumulative, ids = probabilities.cumsum(axis=1), np.zeros(n, np.int64)
        for t, u in enumerate(rng.random(n - 1)):
            ids[t + 1] = min(np.searchsorted(cumulative[ids[t]], u), len(probabilities) - 1)
        return ids

    return draw


@pytest.fixture
def letters():
    """A tokenizer of n characters, some of them of two and three bytes."""
    return lambda n: CharTokenizer("abcdefghiéλ中文"[-n:] if n < 13 else "abcdefghiéλ中文")
