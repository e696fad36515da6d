"""Where a token stands: attention alone would read a sentence as a bag of words."""

from __future__ import annotations

import numpy as np

from ..backend import current_row
from ..errors import ArgumentError
from ..tensor import Tensor
from .embedding import Embedding
from .linear import check_size
from .module import Module


def sinusoids(n: int, d: int, longest: float = 10000) -> np.ndarray:
    """Positions 0 … n - 1 as waves of d / 2 wavelengths, from 2 pi to `longest` * 2 pi; (n, d) float64

        pe[t, 2i] = sin(t / longest^(2i / d))        pe[t, 2i + 1] = cos(t / longest^(2i / d))

    A shift by k turns each pair (sin, cos) by an angle that does not depend on t, so "k places on" is a matrix product.
    Source: Vaswani et al. 2017, section 3.5
    """
    check_size("sinusoids", n=n, d=d)
    if d % 2:
        raise ArgumentError(f"sinusoids: d must be even, a sine and a cosine for each wavelength; got {d}")
    angles = np.arange(n)[:, None] / longest ** (np.arange(0, d, 2) / d)  # (n, d / 2)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(n, d)  # (n, d)


class SinusoidalPositions(Module):
    """y = sinusoids[positions]: nothing to learn

    Shapes:  positions (...) integers in 0 … n - 1 -> (..., d) of the dtype asked for
    """

    def __init__(self, n, d):
        self.table = sinusoids(n, d)

    def forward(self, positions, dtype=np.float32):
        return Tensor(current_row().from_host(self.table[np.asarray(positions)].astype(dtype)))  # (..., d)

    def extra_repr(self):
        return f"{self.table.shape[0]} positions, {self.table.shape[1]} channels"


class LearnedPositions(Embedding):
    """y = weight[positions], one learned row per position, as in GPT-2 and BERT

    Shapes:  positions (...) integers in 0 … n - 1 -> (..., d); weight (n, d)
    """

    def forward(self, positions, dtype=None):
        """dtype: there for SinusoidalPositions; learned rows have the dtype of the weight."""
        return super().forward(positions)
