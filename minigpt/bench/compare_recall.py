"""Copying distance: how well a model recalls a token that it saw k tokens ago.

    c=3 c?   a=1 f=2 b=3 a? f? b?   e=2 d=0 e? d?  …        episodes of k = 1, 3 and 2

An episode gives k keys a value each and then asks for them in the same order, so that each answer was given k tokens
before, and k values have to be kept at a time. A row is a chain of episodes in which each of K keys comes once; k is
drawn log-uniformly from 1 to K, so that there are always short ones to begin to learn from.

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
    """Data for a Trainer: batch(rng, n) -> ids, targets (n, 2 K) with a target at each question. K = `longest`.

    Ids: key * VALUES + value gives a value; then one question for each key, and one answer for each value.
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
        ids, targets, _ = self.rows(rng, [self._episodes(rng) for _ in range(n)])
        return {"ids": ids, "targets": targets}

    def _episodes(self, rng) -> np.ndarray:
        """Lengths of a row's episodes, together K, in any order: the last one drawn may have been cut short."""
        lengths, left = [], self.longest
        while left:
            lengths.append(min(left, int(np.exp(rng.uniform(0, np.log(self.longest + 1))))))
            left -= lengths[-1]
        return rng.permutation(lengths)

    def rows(self, rng, episodes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One row for each list of lengths: ids, targets, and k at the questions, 0 elsewhere; (n, 2 K) each."""
        n, K = len(episodes), self.longest
        ids, targets, distances = (np.full((n, 2 * K), fill) for fill in (0, NO_TARGET, 0))
        for row, lengths in enumerate(episodes):
            keys, values, first = rng.permutation(K), rng.integers(0, VALUES, K), 0
            for k in lengths:
                some = slice(first, first + k)  # of the keys
                given, asked = slice(2 * first, 2 * first + k), slice(2 * first + k, 2 * (first + k))
                ids[row, given] = keys[some] * VALUES + values[some]
                ids[row, asked] = self.questions + keys[some]
                targets[row, asked] = self.answers + values[some]
                distances[row, asked] = k
                first += k
        return ids, targets, distances


def measured(longest: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 11 …, two for each doubling: the distances that are measured."""
    steps = {round(2 ** (j / 2)) for j in range(2 * int(np.log2(longest)) + 1)}
    return sorted({*(k for k in steps if k <= longest), longest})


def accuracy(model, task: Recall, rng, texts: int = 16) -> dict[int, float]:
    """Distance k -> share of right answers in rows of episodes of k; what remains of a row is one episode more."""
    rng, found, K = as_generator(rng), {}, task.longest
    with model.evaluating():
        for k in measured(K):
            lengths = [k] * (K // k) + [K % k] * (K % k > 0)
            ids, targets, distances = task.rows(rng, [lengths] * texts)
            logits, _ = model(ids)
            likeliest = logits.numpy().argmax(axis=-1)  # (texts, 2 K)
            found[k] = float((likeliest == targets)[distances == k].mean())
    return found
