"""Copying distance: how well a model recalls a token that it saw k tokens ago.

    a b c d e a b c d e a b …        k = 5 different symbols, over and over

From the second round on every token is the one k steps back. A model that learned to copy needs no other knowledge,
but it has to keep the k symbols: an attention layer finds them where they stand, a state must have room for them all.
Trained on all distances at once, log-uniform from 1 to K; measured in the second round alone, where each symbol has
been seen once.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..randomness import as_generator

NO_TARGET = -100
SYMBOLS = 256


class Recall:
    """Data for a Trainer: batch(rng, n) -> ids, targets (n, 2 K), targets from the second round on. K = `longest`."""

    def __init__(self, longest: int = 128, symbols: int = SYMBOLS):
        if not 1 <= longest <= symbols:
            raise ArgumentError(f"recall needs as many symbols as the longest distance {longest}, got {symbols}")
        self.longest, self.symbols = longest, symbols
        self.block_size = 2 * longest

    def batch(self, rng, n: int) -> dict[str, np.ndarray]:
        rng = as_generator(rng)
        distances = np.exp(rng.uniform(0, np.log(self.longest + 1), n)).astype(int)  # (n,)
        return self.rows(rng, np.minimum(distances, self.longest))

    def rows(self, rng, distances) -> dict[str, np.ndarray]:
        """One row for each distance."""
        T = self.block_size
        ids = np.stack([np.resize(rng.permutation(self.symbols)[:k], T + 1) for k in distances])  # (n, T + 1)
        targets = np.where(np.arange(1, T + 1) >= np.asarray(distances)[:, None], ids[:, 1:], NO_TARGET)
        return {"ids": ids[:, :-1].copy(), "targets": targets}  # (n, T) each


def distances(longest: int) -> list[int]:
    """1, 2, 4 … and half-way between: the distances that are measured."""
    steps = {round(2 ** (j / 2)) for j in range(2 * int(np.log2(longest)) + 1)}
    return sorted({*(k for k in steps if k <= longest), longest})


def accuracy(model, task: Recall, rng, texts: int = 16) -> dict[int, float]:
    """Distance k -> share of the tokens of the second round that the model finds likeliest."""
    rng, found = as_generator(rng), {}
    with model.evaluating():
        for k in distances(task.longest):
            given = task.rows(rng, [k] * max(texts, 256 // k))
            logits, _ = model(given["ids"])
            second = slice(k - 1, 2 * k - 1)  # the positions that predict tokens k … 2 k - 1
            likeliest = logits.numpy()[:, second].argmax(axis=-1)
            found[k] = float((likeliest == given["targets"][:, second]).mean())
    return found
