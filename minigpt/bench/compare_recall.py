"""Copying distance: how well a model recalls a token that it saw k tokens ago.

    c=3 f=0 a=1 c? f? a?        a row of k = 3: each of its answers was given 3 tokens before

A row gives k keys a value each and then asks for them in the same order, so k values have to be kept at a time. All
rows of a batch have one k, drawn log-uniformly from 1 to K; the shorter they are the more of them, so that every batch
has about the same number of tokens. Without the short ones nobody learns the long ones: attention begins by looking at
all tokens alike, and among 128 keys the right one is hardly seen.

An attention layer finds a value by its key, however far back it stands. A state must have room for all k, and give them
out as a queue does; it needs no keys for that. Guessing gets 1 / VALUES of the answers right.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..randomness import as_generator

NO_TARGET = -100
VALUES = 4


class Recall:
    """Data for a Trainer: batch(rng, n) -> ids, targets (rows, 2 k), together about n 2 K tokens. K = `longest`.

    Ids: key * VALUES + value gives a value; then one question for each key, and one answer for each value. Targets
    stand at the questions, NO_TARGET elsewhere.
    """

    def __init__(self, longest: int = 128):
        if longest < 2:
            raise ArgumentError(f"recall compares distances, so the longest must be at least 2, got {longest}")
        self.longest = longest
        self.block_size = 2 * longest
        self.questions = longest * VALUES
        self.answers = self.questions + longest
        self.symbols = self.answers + VALUES

    def batch(self, rng, n: int) -> dict[str, np.ndarray]:
        rng = as_generator(rng)
        k = int(np.exp(rng.uniform(0, np.log(self.longest + 1))))
        return self.rows(rng, k, max(1, n * self.longest // k))

    def rows(self, rng, k: int, n: int) -> dict[str, np.ndarray]:
        """n rows of distance k: ids, targets (n, 2 k)."""
        keys = rng.permuted(np.tile(np.arange(self.longest), (n, 1)), axis=1)[:, :k]  # (n, k), each at most once a row
        values = rng.integers(0, VALUES, (n, k))
        ids = np.concatenate([keys * VALUES + values, self.questions + keys], axis=1)  # (n, 2 k)
        targets = np.concatenate([np.full((n, k), NO_TARGET), self.answers + values], axis=1)  # (n, 2 k)
        return {"ids": ids, "targets": targets}


def measured(longest: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 11 …, two for each doubling: the distances that are measured."""
    steps = {round(2 ** (j / 2)) for j in range(2 * int(np.log2(longest)) + 1)}
    return sorted({*(k for k in steps if k <= longest), longest})


def accuracy(model, task: Recall, rng, texts: int = 16) -> dict[int, float]:
    """Distance k -> share of right answers, among about `texts` times K questions."""
    rng, found = as_generator(rng), {}
    with model.evaluating():
        for k in measured(task.longest):
            batch = task.rows(rng, k, max(1, texts * task.longest // k))
            logits, _ = model(batch["ids"])
            likeliest = logits.numpy()[:, k:].argmax(axis=-1)  # (n, k)
            found[k] = float((likeliest == batch["targets"][:, k:]).mean())
    return found
