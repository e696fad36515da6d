"""Dropout: in training, set elements to zero at random and enlarge the others so that the mean stays."""

from __future__ import annotations

from ..errors import ArgumentError
from .op import Op


class Dropout(Op):
    """y = x * keep / (1 - p), keep a random 0/1 mask;  dx = dy * keep / (1 - p)

    The mask follows from (key, number of the element) alone, so backward computes it again and nothing is stored.
    Settings: p, key (an integer below 2^64), first_example (number of the first example on axis 0, for half batches)
    Source:   Srivastava et al. 2014
    """

    @staticmethod
    def forward(ctx, x, p, key, first_example=0):
        ctx.settings = (check_probability("dropout", p), key, first_example)
        return ctx.row.dropout_forward(x, *ctx.settings) if p else ctx.row.copy(x)

    @staticmethod
    def backward(ctx, dy):
        return ctx.row.dropout_forward(dy, *ctx.settings)


def check_probability(name: str, p: float) -> float:
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"{name}: the probability p of dropping lies in 0 … 1, got {p}")
    return float(p)
