"""Recall: how well a model says what it saw k tokens ago.

    c=3 a=7 c? a? b=1 a? c? …        after "c?" the answer is 3, after "a?" it is 7

A token such as c=3 gives a key its value, once in a row; every other token asks for one of the keys given so far. An
attention layer needs one comparison to find the value, whatever k is. A recurrent network has to take each value in
when it comes, and hold them all against everything that comes between. Guessing gets 1 / VALUES of the answers right.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..randomness import as_generator

NO_TARGET = -100
KEYS, VALUES = 16, 8


class Recall:
    """Data for a Trainer: batch(rng, n) -> ids, targets (n, T), T = K + 1: no question is more than K = `longest` off.

    Ids: key * VALUES + value gives a value; then one question for each key, and one answer for each value.
    """

    questions = KEYS * VALUES
    answers = questions + KEYS
    symbols = answers + VALUES

    def __init__(self, longest: int = 128):
        if longest < KEYS:
            raise ArgumentError(f"recall needs a longest distance of at least its {KEYS} keys, got {longest}")
        self.longest = longest
        self.block_size = longest + 1

    def batch(self, rng, n: int) -> dict[str, np.ndarray]:
        ids, targets, _ = self.rows(as_generator(rng), n)
        return {"ids": ids, "targets": targets}

    def rows(self, rng, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """ids, targets, and the distance from each question to its value (0 where nothing is asked), (n, T) each."""
        T, rows = self.block_size, np.arange(n)
        given = np.argsort(rng.random((n, T - 1)), axis=1)[:, : KEYS - 1] + 1  # (n, KEYS - 1) different places
        given = np.concatenate([np.zeros((n, 1), int), given], axis=1)  # the first token is one of them
        values = rng.integers(0, VALUES, (n, KEYS))
        ids, targets, distances = np.zeros((n, T), int), np.full((n, T), NO_TARGET), np.zeros((n, T), int)
        for t in range(T):
            known = given <= t  # (n, KEYS)
            key = np.where(known, rng.random((n, KEYS)), -1).argmax(axis=1)  # one of those given so far
            ids[:, t] = self.questions + key
            targets[:, t] = self.answers + values[rows, key]
            distances[:, t] = t - given[rows, key]
        keys = np.broadcast_to(np.arange(KEYS), (n, KEYS))
        places = rows[:, None], given
        ids[places], targets[places], distances[places] = keys * VALUES + values, NO_TARGET, 0
        distances[distances == np.arange(T)] = 0
        return ids, targets, distances


def measured(longest: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 11 …, two for each doubling: the distances that are measured."""
    steps = {round(2 ** (j / 2)) for j in range(2 * int(np.log2(longest)) + 1)}
    return sorted({*(k for k in steps if k <= longest), longest})


def accuracy(model, task: Recall, rng, texts: int = 400) -> dict[int, float]:
    """Distance k -> share of right answers among the questions from above 0.8 k up to k tokens after their value."""
    ids, targets, distances = task.rows(as_generator(rng), texts)
    right = []
    with model.evaluating():
        for start in range(0, texts, 50):
            logits, _ = model(ids[start : start + 50])
            right.append(logits.numpy().argmax(axis=-1) == targets[start : start + 50])
    every = np.concatenate(right)  # (texts, T)
    return {k: float(every[(distances > 0.8 * k) & (distances <= k)].mean()) for k in measured(task.longest)}
