"""Linear: y = x @ weight + bias."""

from __future__ import annotations

import numpy as np

from .. import functional as F
from ..errors import ArgumentError
from ..randomness import Undrawn, as_generator
from .module import Module, Parameter


def check_size(owner: str, **sizes):
    """Sizes are positive integers, or an ArgumentError that names the one that is not."""
    for name, n in sizes.items():
        if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
            raise ArgumentError(f"{owner}: {name} must be a positive integer, got {n!r}")


def normal(rng, std: float, shape) -> np.ndarray:
    """float32 numbers from the normal distribution with mean 0; Undrawn gives an array that nobody has written to."""
    if isinstance(rng, Undrawn):
        return np.empty(shape, np.float32)
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(std)


def uniform(rng, bound: float, shape) -> np.ndarray:
    """float32 numbers in ±bound, all equally likely; Undrawn gives an array that nobody has written to."""
    if isinstance(rng, Undrawn):
        return np.empty(shape, np.float32)
    return rng.uniform(-bound, bound, shape).astype(np.float32)


class Linear(Module):
    """y = x @ weight + bias

    Shapes:  x (..., in_features) -> (..., out_features); weight (in, out), the layout of GPT-2; bias (out,)
    Init:    weight uniform in ±1 / sqrt(in), bias 0; with init_std, weight normal with that deviation
    """

    def __init__(self, in_features, out_features, bias=True, rng=None, init_std=None):
        check_size("Linear", in_features=in_features, out_features=out_features)
        rng = as_generator(rng)
        if init_std is None:
            weight = uniform(rng, in_features**-0.5, (in_features, out_features))
        else:
            weight = normal(rng, init_std, (in_features, out_features))
        self.weight = Parameter(weight)
        self.bias = Parameter(np.zeros(out_features, np.float32)) if bias else None

    def forward(self, x, residual=None):
        """y, plus a residual (..., out) if one is given: both are added in one pass over y."""
        return F.linear(x, self.weight, self.bias, residual)  # (..., out)

    def extra_repr(self):
        return f"{self.weight.shape[0]} -> {self.weight.shape[1]}{', bias' if self.bias is not None else ''}"
