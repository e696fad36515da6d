"""Rendered records: ids and what of them is to be learned, one record after the other in two long arrays.

A record x_0 … x_{L−1} of L tokens is one example of width L − 1: `ids` = x_0 … x_{L−2}, and position t has the target
x_{t+1}, or NO_LOSS where that token is not to be learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import ArgumentError, DataError, ShapeError

NO_LOSS = -100  # a target that does not count: the `ignore_index` of cross entropy


class Rendered:
    """Records as `render` makes them: (ids (L,), loss_mask (L,)) each, of any lengths.

    widths: (R,) the number of input tokens of each record, L − 1
    Raises: DataError naming the record, counted from 0, if it has fewer than two tokens or none to learn (every
            token masked: its mean loss would be 0/0); ShapeError, ArgumentError for arrays that do not fit
    """

    def __init__(self, records: Iterable[tuple[Sequence[int], Sequence[bool]]]):
        ids, targets = [], []
        for number, record in enumerate(records):
            x, loss = _checked(number, record)
            ids.append(x[:-1])
            targets.append(np.where(loss[1:], x[1:], NO_LOSS))
        if not ids:
            raise DataError("no records: wanted at least one (ids, loss_mask)")
        self.widths = np.array([len(x) for x in ids], np.int64)  # (R,)
        self._starts = np.concatenate([[0], np.cumsum(self.widths)])  # (R + 1,)
        self._ids = np.concatenate(ids).astype(np.int64)  # (sum of widths,)
        self._targets = np.concatenate(targets).astype(np.int64)

    def __len__(self) -> int:
        return len(self.widths)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """(ids (L − 1,), targets (L − 1,)) of record i."""
        part = slice(self._starts[i], self._starts[i + 1])
        return self._ids[part], self._targets[part]

    def n_targets(self, i: int) -> int:
        """How many tokens of record i are to be learned."""
        return int((self[i][1] != NO_LOSS).sum())

    def check_width(self, name: str, block_size: int) -> None:
        """Raise DataError if a record is wider than the context: cut, it would lose the answer that it teaches."""
        too_wide = np.flatnonzero(self.widths > block_size)
        if too_wide.size:
            i = int(too_wide[0])
            raise DataError(
                f"{name}[{i}] has {self.widths[i] + 1} tokens, a block_size of {block_size} holds "
                f"{block_size + 1} at most; {too_wide.size} of {len(self)} records are too long, the longest needs a "
                f"block_size of {self.widths.max()}: use a model with a longer context, or leave long records out"
            )

    def check_ids(self, name: str, vocab_size: int) -> None:
        """Raise DataError if an id lies outside 0 … vocab_size − 1."""
        for what, values in (("id", self._ids), ("target", self._targets)):
            bad = np.flatnonzero(((values < 0) & (values != NO_LOSS)) | (values >= vocab_size))
            if bad.size:
                i = int(np.searchsorted(self._starts, bad[0], side="right")) - 1
                raise DataError(
                    f"{name}[{i}] has the {what} {values[bad[0]]}, but ids need to be 0 to {vocab_size - 1} "
                    f"(vocab_size {vocab_size}): after add_special_tokens call model.resize_vocab(tok.vocab_size)"
                )


def padded(rows: Sequence[np.ndarray], width: int, fill: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of up to `width` numbers -> (array (B, width) int64 with `fill` after each row's end, mask (B, width)).

    The mask is boolean, True for what is not padding.
    """
    array = np.full((len(rows), width), fill, np.int64)
    mask = np.zeros((len(rows), width), bool)
    for b, row in enumerate(rows):
        if len(row) > width:
            raise ShapeError(f"row {b} has {len(row)} tokens, more than the width {width}")
        array[b, : len(row)] = row
        mask[b, : len(row)] = True
    return array, mask


def _checked(number: int, record) -> tuple[np.ndarray, np.ndarray]:
    x, loss = (np.asarray(part) for part in record)
    if x.ndim != 1 or x.shape != loss.shape:
        raise ShapeError(f"record {number}: ids {x.shape} and loss_mask {loss.shape} must both be (L,)")
    if len(x) < 2:
        raise DataError(f"record {number} has {len(x)} tokens: at least two are needed, one and the one after it")
    if x.dtype.kind not in "iu" or loss.dtype.kind != "b":
        raise ArgumentError(
            f"record {number}: ids must be integers and loss_mask boolean, got {x.dtype} and {loss.dtype}"
        )
    if not loss[1:].any():
        raise DataError(
            f"record {number} has no token to learn, all {len(x)} are masked: a dialogue needs an answer of the "
            "assistant"
        )
    return x, loss
