"""Embedding: one learned row of numbers for each id."""

from __future__ import annotations

from .. import functional as F
from ..randomness import as_generator
from .linear import check_size, normal
from .module import Module, Parameter


class Embedding(Module):
    """y = weight[ids]

    Shapes:  ids (...) integers in 0 … n - 1 -> (..., d); weight (n, d)
    Init:    normal with deviation init_std
    """

    def __init__(self, n, d, rng=None, init_std=0.02):
        check_size("Embedding", n=n, d=d)
        self.weight = Parameter(normal(as_generator(rng), init_std, (n, d)))

    def forward(self, ids):
        return F.embedding(ids, self.weight)  # (..., d)

    def scores(self, x):
        """x (..., d) -> (..., n): the product of x with each row. A tied head asks so which token x is like."""
        return F.linear(x, self.weight, transposed=True)  # (..., n)

    def extra_repr(self):
        return f"{self.weight.shape[0]} rows of {self.weight.shape[1]}"
