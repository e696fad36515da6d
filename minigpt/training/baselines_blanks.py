"""What counting achieves at blanks: the baseline of a model that fills them.

The token w between l and r is judged by both its neighbours and by nothing else:

    B(w | l, r) ∝ P(w | l) · P(r | w)                            two bigrams, as if l and r met nowhere but in w
    P(w | l, r) = (c(l w r) + κ B(w | l, r)) / (c(l · r) + κ)    corrected by what stood between l and r, where known

with c the counts in the training part and P(· | ·) the interpolated bigram of `baselines.py`. κ says how many sightings
of a pair (l, r) weigh as much as the two bigrams; it is the one of KAPPAS that makes the last tenth of the training
part most likely. A neighbour that is not known (a blank itself, the edge of the text) is left out.

Source: D. MacKay and L. Peto, "A hierarchical Dirichlet language model" (1995), for the second line.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from .baselines import HELD_OUT, NgramModel

KAPPAS = (0.5, 1, 2, 4, 8, 16, 32, 64, 128)


class BothSides:
    """P(w | l, r) from counts in ids (N,); `BothSides.fit` finds kappa as well.

    Raises: ShapeError, DataError (fewer than 10 tokens), ArgumentError (no integers, ids outside 0 … V − 1).
    """

    def __init__(self, ids: Any, vocab_size: int, kappa: float):
        self.bigram = NgramModel.fit(ids, vocab_size, order=2)
        self.vocab_size, self.kappa = vocab_size, kappa
        ids = np.asarray(ids).astype(np.int64)
        pairs = self._pair(ids[:-2], ids[2:])  # (N - 2,), what stands around each token but the first and the last
        order = pairs.argsort(kind="stable")
        self._pairs, self._middles = pairs[order], ids[1:-1][order]  # (N - 2,) each, pairs rising

    @classmethod
    def fit(cls, train_ids: Any, vocab_size: int) -> BothSides:
        """Find κ on the last tenth of train_ids (N,), then count all of it."""
        cut = len(train_ids) - max(3, int(HELD_OUT * len(train_ids)))
        part = cls(train_ids[:cut], vocab_size, kappa=1.0)
        held_out = np.asarray(train_ids[cut:]).astype(np.int64)
        pairs, row = np.unique(np.stack([held_out[:-2], held_out[2:]], axis=1), axis=0, return_inverse=True)
        counts, both = part._evidence(pairs[:, 0], pairs[:, 1])  # (K', V) each, for the different pairs
        place = (row.reshape(-1), held_out[1:-1])
        likelihoods = [np.log(_mixed(counts, both, kappa)[place]).sum() for kappa in KAPPAS]
        return cls(train_ids, vocab_size, KAPPAS[int(np.argmax(likelihoods))])

    def probabilities(self, left: Any, right: Any) -> np.ndarray:
        """Neighbours (K,) each, −1 where one is not known -> P (K, V), whose rows sum to 1."""
        left, right = np.asarray(left), np.asarray(right)
        if left.ndim != 1 or left.shape != right.shape:
            raise ShapeError(f"left and right need one id for each of K blanks, got {left.shape} and {right.shape}")
        for name, ids in (("left", left), ("right", right)):
            if ids.size and not (ids.dtype.kind in "iu" and ids.min() >= -1 and ids.max() < self.vocab_size):
                raise ArgumentError(f"{name} needs ids in 0 … {self.vocab_size - 1}, or -1 where it is not known")
        pairs, row = np.unique(np.stack([left, right], axis=1), axis=0, return_inverse=True)  # (K', 2), (K,)
        counts, both = self._evidence(pairs[:, 0], pairs[:, 1])  # (K', V) each
        return _mixed(counts, both, self.kappa)[row.reshape(-1)]  # (K, V)

    def _evidence(self, left, right):
        """(c(l w r), B(w | l, r)) for every w, (K, V) each; an unknown neighbour makes all c 0."""
        V, K = self.vocab_size, len(left)
        known = (left >= 0) & (right >= 0)  # (K,)
        pairs = np.where(known, self._pair(left, right), -1)
        first, last = np.searchsorted(self._pairs, pairs), np.searchsorted(self._pairs, pairs, side="right")
        counts = np.zeros((K, V))
        for row, start, stop in zip(counts, first, last, strict=True):
            row += np.bincount(self._middles[start:stop], minlength=V)
        words = np.tile(np.arange(V), K)  # (K V,)
        # To the bigram V stands for "before the beginning": nothing of the history is known.
        after_left = self.bigram.probabilities(np.stack([np.repeat(np.where(left < 0, V, left), V), words], axis=1))
        before_right = self.bigram.probabilities(np.stack([words, np.repeat(np.maximum(right, 0), V)], axis=1))
        both = after_left.reshape(K, V) * np.where(right[:, None] < 0, 1.0, before_right.reshape(K, V))
        return counts, both / both.sum(axis=1, keepdims=True)

    def _pair(self, left, right):
        return np.asarray(left, np.int64) * (self.vocab_size + 1) + right


def _mixed(counts, both, kappa):
    return (counts + kappa * both) / (counts.sum(axis=1, keepdims=True) + kappa)  # (K, V)
