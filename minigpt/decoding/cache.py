"""The key–value cache: keys and values of tokens already read, so that each is computed once.

Causal attention never lets an old token see a new one, so the keys and values of old tokens cannot change. A cached
step therefore feeds one token instead of all of them.
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError


class LayerCache:
    """Keys and values of one attention layer, (B, H, block, D) each; the first `length` tokens are filled."""

    def __init__(self, batch, n_head, block_size, head_width, dtype):
        self.k = np.zeros((batch, n_head, block_size, head_width), dtype)
        self.v = np.zeros_like(self.k)
        self.length = 0

    def append(self, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Store k, v (B, H, T, D) of the next T tokens; returns those of all tokens so far, (B, H, length, D)."""
        end = self.length + k.shape[2]
        if k.shape[0] != self.k.shape[0] or end > self.k.shape[2]:
            raise ShapeError(
                f"cache: it has room for batch {self.k.shape[0]} and {self.k.shape[2]} tokens; "
                f"{k.shape[0]} rows up to token {end} do not fit"
            )
        self.k[:, :, self.length : end] = k
        self.v[:, :, self.length : end] = v
        self.length = end
        return self.k[:, :, :end], self.v[:, :, :end]


class KVCache:
    """One LayerCache per layer. It belongs to one call of generate; past block_size a new one is made."""

    def __init__(self, n_layer, batch, n_head, block_size, head_width, dtype):
        self.layers = [LayerCache(batch, n_head, block_size, head_width, dtype) for _ in range(n_layer)]

    @property
    def length(self) -> int:
        """Number of tokens stored."""
        return self.layers[-1].length
