"""Several records in one context, none of which sees another.

A row of 128 tokens that holds one record of 23 computes 105 tokens for nothing. Packed, it holds five:

    tokens      a0 a1 a2 b0 b1 c0 c1 c2 .  .
    segments     0  0  0  1  1  2  2  2 -1 -1      which record
    positions    0  1  2  0  1  0  1  2  0  1      start anew with each
    mask        query i may attend to key j where segments are equal (and j <= i, the model's own rule)

So each record has the logits that it would have alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..randomness import as_generator
from .rendered import NO_LOSS, Rendered, RenderedData
from .tokens import Batch, positive


class PackedData(RenderedData):
    """Dialogues for the trainer, as many in a row as fit into block_size tokens.

    train, val:  lists of (ids, loss_mask) as `render` makes them, or Rendered
    block_size:  width of a row; the trainer binds the model's with `with_block_size`
    pad_id:      what fills rows up; padding is a segment of its own and never a target
    Raises:      DataError (no records, one too long, one with nothing to learn), ArgumentError, ShapeError
    """

    def __init__(self, train: Any, val: Any = None, block_size: int | None = None, pad_id: int = 0):
        super().__init__(train, val, block_size, pad_id)

    def with_block_size(self, block_size: int) -> PackedData:
        """The same records (shared, not copied), packed into rows of block_size tokens."""
        return PackedData(self.train, self.val, block_size, self.pad_id)

    def batch(self, rng: np.random.Generator | int | None, n: int) -> Batch:
        """n rows of random training records: "ids", "targets", "positions" (n, T) int64, "mask" (n, 1, T, T) bool.

        Records are drawn, all equally likely, until one fits into no row any more; that one is left out.
        """
        rng, n, T = as_generator(rng), positive("n", n), self._bound_block_size()
        rows = Rows(self.train.widths, T, most=n)
        while True:
            for i in rng.integers(0, len(self.train), size=n):
                if not rows.add(int(i)):
                    return pack(self.train, rows.members, n, T, self.pad_id)

    def val_batches(self, n: int, max_tokens: int | None = None) -> Iterator[Batch]:
        """Every validation record once, n rows a batch; `max_tokens` stops after that many targets, the last record
        whole."""
        n, T = positive("n", n), self._bound_block_size()
        val, numbers = self._chosen_val(max_tokens)
        rows = Rows(val.widths, T)
        for i in numbers:
            rows.add(int(i))
        groups = [rows.members[start : start + n] for start in range(0, len(rows.members), n)]
        return (pack(val, group, len(group), T, self.pad_id) for group in groups)

    def _bound_block_size(self) -> int:
        if self.block_size is None:
            raise ArgumentError("this PackedData has no block size: use PackedData(…, block_size=T)")
        return self.block_size


class Rows:
    """Which records share a row of T tokens: each goes into the first row with room for it (first fit).

    members: for each row, the numbers of its records in order; at most `most` rows are opened
    """

    def __init__(self, widths: np.ndarray, T: int, most: int | None = None):
        self.widths, self.T, self.most = widths, T, most
        self.members: list[list[int]] = []
        self._free = np.zeros(0, np.int64)

    def add(self, i: int) -> bool:
        """Give record i a place; False if there is none."""
        width = self.widths[i]
        with_room = np.flatnonzero(self._free >= width)
        if with_room.size:
            b = int(with_room[0])
        elif self.most is None or len(self.members) < self.most:
            b = len(self.members)
            self.members.append([])
            self._free = np.append(self._free, self.T)
        else:
            return False
        self.members[b].append(i)
        self._free[b] -= width
        return True


def pack(part: Rendered, members: list[list[int]], n: int, T: int, pad_id: int) -> Batch:
    """n rows of T tokens, row b with the records members[b] one after the other; see `PackedData.batch`."""
    ids, targets = np.full((n, T), pad_id, np.int64), np.full((n, T), NO_LOSS, np.int64)
    segments, positions = np.full((n, T), -1, np.int64), np.zeros((n, T), np.int64)
    for b, records in enumerate(members):
        start = 0
        for number, i in enumerate(records):
            x, y = part[i]
            stop = start + len(x)
            ids[b, start:stop], targets[b, start:stop] = x, y
            segments[b, start:stop], positions[b, start:stop] = number, np.arange(len(x))
            start = stop
        positions[b, start:] = np.arange(T - start)
    return {"ids": ids, "targets": targets, "positions": positions, "mask": segment_mask(segments)}


def segment_mask(segments: np.ndarray) -> np.ndarray:
    """segments (B, T) -> (B, 1, T, T) boolean: True where query and key belong to the same record."""
    return (segments[:, :, None] == segments[:, None, :])[:, None]
