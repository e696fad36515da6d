"""The key–value cache: keys and values of tokens already read, so that each is computed once.

Causal attention never lets an old token see a new one, so the keys and values of old tokens cannot change. A cached
step therefore feeds one token instead of all of them.
"""

from __future__ import annotations

from ..errors import ShapeError


class LayerCache:
    """Keys and values of one attention layer, (B, H, block, D) each; the first `length` tokens are filled."""

    def __init__(self, row, batch, n_head, block_size, head_width, dtype):
        self.row = row
        self.k, self.v = (row.zeros((batch, n_head, block_size, head_width), dtype) for _ in range(2))
        self.length = 0

    def append(self, k, v):
        """Store k, v (B, H, T, D) of the next T tokens; returns those of all tokens so far, (B, H, length, D)."""
        end = self.length + k.shape[2]
        if k.shape[0] != self.k.shape[0] or end > self.k.shape[2]:
            raise ShapeError(
                f"cache: it has room for batch {self.k.shape[0]} and {self.k.shape[2]} tokens; "
                f"{k.shape[0]} rows up to token {end} do not fit"
            )
        everything = slice(None)
        self.row.assign(self.k, (everything, everything, slice(self.length, end)), k)
        self.row.assign(self.v, (everything, everything, slice(self.length, end)), v)
        self.length = end
        filled = (everything, everything, slice(0, end))
        return self.row.slice_forward(self.k, filled), self.row.slice_forward(self.v, filled)


class KVCache:
    """One LayerCache per layer, on the device of `row`, for one call of generate, which past block_size has none."""

    def __init__(self, row, n_layer, batch, n_head, block_size, head_width, dtype):
        self.layers = [LayerCache(row, batch, n_head, block_size, head_width, dtype) for _ in range(n_layer)]

    @property
    def length(self) -> int:
        """Number of tokens stored."""
        return self.layers[-1].length
