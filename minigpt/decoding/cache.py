"""The key–value cache: keys and values of tokens already read, so that each is computed once.

Causal attention never lets an old token see a new one, so the keys and values of old tokens cannot change. A cached
step therefore feeds one token instead of all of them.

Prompts of different lengths stand right-aligned, so that all rows write their next token into the same slot:

    slot       0 1 2 3 4 …
    row 0      a b c d e           length 5, padding 0
    row 1      · · x y z           length 3, padding 2: positions 0 1 2 in slots 2 3 4; slots 0 and 1 are masked
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, ShapeError

ALL = slice(None)


class LayerCache:
    """Keys and values of one attention layer, (B, H, block, D) each; the first `length` slots are filled."""

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
        self.row.assign(self.k, (ALL, ALL, slice(self.length, end)), k)
        self.row.assign(self.v, (ALL, ALL, slice(self.length, end)), v)
        self.length = end
        filled = (ALL, ALL, slice(0, end))
        return self.row.slice_forward(self.k, filled), self.row.slice_forward(self.v, filled)

    def select(self, rows):
        """Row i becomes what row rows[i] was; rows (B',) integers, which may repeat or leave out some."""
        self.k, self.v = self._selected(self.k, rows), self._selected(self.v, rows)

    def _selected(self, whole, rows):
        filled = (ALL, ALL, slice(0, self.length))
        kept = self.row.gather(self.row.slice_forward(whole, filled), rows)  # (B', H, length, D), a copy
        if len(rows) != whole.shape[0]:
            whole = self.row.zeros((len(rows), *whole.shape[1:]), whole.dtype)  # (B', H, block, D)
        self.row.assign(whole, filled, kept)
        return whole


class KVCache:
    """One LayerCache per layer, on the device of `row`, for one call of generate, which past block_size has none.

    It stays right for other texts with the same beginning, as long as the model does not change: see rewind.

    padding (B,): leading slots of each row that hold no token; None where all rows have the same length.
    """

    def __init__(self, row, n_layer, batch, n_head, block_size, head_width, dtype):
        self.layers = [LayerCache(row, batch, n_head, block_size, head_width, dtype) for _ in range(n_layer)]
        self.padding: np.ndarray | None = None

    @property
    def length(self) -> int:
        """Number of slots filled: the tokens of the longest row."""
        return self.layers[-1].length

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, (B,)."""
        batch = self.layers[0].k.shape[0]
        return np.full(batch, self.length) - (0 if self.padding is None else self.padding)

    def pad(self, padding) -> None:
        """Set the padding, before the first token is read."""
        self.padding = np.asarray(padding)

    def positions(self, T: int) -> np.ndarray:
        """Positions of the next T tokens: (T,), or (B, T) with padding, whose slots count as position 0."""
        slots = np.arange(self.length, self.length + T)
        return slots if self.padding is None else np.maximum(slots - self.padding[:, None], 0)

    def mask(self, T: int) -> np.ndarray | None:
        """Slots that hold a token once the next T are read, (B, 1, 1, length + T); None without padding."""
        if self.padding is None:
            return None
        return (np.arange(self.length + T) >= self.padding[:, None])[:, None, None]

    def rewind(self, length: int) -> None:
        """Forget all tokens from slot `length` on, so that others may follow; those before are as they were."""
        if not 0 <= length <= self.length:
            raise ArgumentError(f"cache: it holds {self.length} tokens and cannot go back to {length}")
        for layer in self.layers:
            layer.length = length

    def select(self, rows) -> None:
        """Row i becomes what row rows[i] was: repeats rows for several samples, drops ended ones, reorders beams."""
        for layer in self.layers:
            layer.select(rows)
        if self.padding is not None:
            self.padding = self.padding[rows]
