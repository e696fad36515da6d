"""Rendered records: ids and what of them is to be learned, one record after the other in two long arrays.

A record x_0 … x_{L−1} of L tokens is one example of width L − 1: `ids` = x_0 … x_{L−2}, and position t has the target
x_{t+1}, or NO_LOSS where that token is not to be learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, DataError, ShapeError
from .tokens import positive

NO_LOSS = -100  # a target that does not count: the `ignore_index` of cross entropy


class Rendered:
    """Records as `render` makes them: (ids (L,), loss_mask (L,)) each, of any lengths.

    widths: (R,) the number of input tokens of each record, L − 1
    Raises: DataError naming the record, counted from 0, if it has fewer than two tokens or none to learn (every
            token masked: its mean loss would be 0/0); ShapeError, ArgumentError for arrays that do not fit
    """

    def __init__(self, records: Iterable[tuple[Sequence[int], Sequence[bool]]]):
        self._fill(_shifted(number, record) for number, record in enumerate(records))

    @classmethod
    def from_targets(
        cls, examples: Iterable[tuple[Sequence[int] | np.ndarray, Sequence[int] | np.ndarray]]
    ) -> Rendered:
        """From (ids (L,), targets (L,)), not shifted: position t has targets[t], a class number or NO_LOSS.

        For classification: a tag for each token, or the label at the last token and NO_LOSS before it.
        """
        self = cls.__new__(cls)
        self._fill(_checked(number, example, "targets", "iu") for number, example in enumerate(examples))
        return self

    def _fill(self, examples: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        ids, targets = [], []
        for number, (x, y) in enumerate(examples):
            if not (y != NO_LOSS).any():
                raise DataError(
                    f"record {number} has nothing to learn, all of its {len(x)} targets are masked: a dialogue needs "
                    "an answer of the assistant"
                )
            ids.append(x)
            targets.append(y)
        if not ids:
            raise DataError("no records: wanted at least one")
        self.widths = np.array([len(x) for x in ids], np.int64)  # (R,)
        self._starts = np.concatenate([[0], np.cumsum(self.widths)])  # (R + 1,)
        self._ids = np.concatenate(ids).astype(np.int64)  # (sum of widths,)
        self._targets = np.concatenate(targets).astype(np.int64)

    def __len__(self) -> int:
        return len(self.widths)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """(ids (W,), targets (W,)) of record i, W = widths[i]."""
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
        """Raise DataError if an id or a target lies outside 0 … vocab_size − 1."""
        targets = np.where(self._targets == NO_LOSS, 0, self._targets)
        for what, values in (("id", self._ids), ("target", targets)):
            bad = np.flatnonzero((values < 0) | (values >= vocab_size))
            if bad.size:
                i = int(np.searchsorted(self._starts, bad[0], side="right")) - 1
                raise DataError(
                    f"{name}[{i}] has the {what} {values[bad[0]]}, but ids need to be 0 to {vocab_size - 1} "
                    f"(vocab_size {vocab_size}): after add_special_tokens call model.resize_vocab(tok.vocab_size)"
                )


class RenderedData:
    """What BucketedData and PackedData share: a training and maybe a validation part, for contexts of block_size."""

    def __init__(self, train: Any, val: Any, block_size: int | None, pad_id: int):
        self.train = train if isinstance(train, Rendered) else Rendered(train)
        self.val = val if val is None or isinstance(val, Rendered) else Rendered(val)
        self.block_size = None if block_size is None else positive("block_size", block_size)
        self.pad_id = pad_id
        for name, part in self._parts():
            if self.block_size is not None:
                part.check_width(name, self.block_size)

    @property
    def has_val(self) -> bool:
        """Whether there is a validation part."""
        return self.val is not None

    def check(self, vocab_size: int) -> None:
        """Raise DataError if an id lies outside 0 … vocab_size−1, ArgumentError if pad_id does."""
        vocab_size = positive("vocab_size", vocab_size)
        if not 0 <= self.pad_id < vocab_size:
            raise ArgumentError(f"pad_id must be an id, 0 to {vocab_size - 1}, got {self.pad_id}")
        for name, part in self._parts():
            part.check_ids(name, vocab_size)

    def _parts(self) -> list[tuple[str, Rendered]]:
        return [("train", self.train)] + ([("val", self.val)] if self.val is not None else [])

    def _chosen_val(self, max_tokens: int | None) -> tuple[Rendered, np.ndarray]:
        """The validation part, and the numbers of its first records that together have max_tokens targets, or all."""
        if self.val is None:
            raise DataError(f"no validation part: pass {type(self).__name__}(train, val)")
        numbers = np.arange(len(self.val))
        if max_tokens is None:
            return self.val, numbers
        counts = np.cumsum([self.val.n_targets(int(i)) for i in numbers])
        return self.val, numbers[: int(np.searchsorted(counts, positive("max_tokens", max_tokens))) + 1]

    def __repr__(self) -> str:
        val = f"{len(self.val)} records" if self.val is not None else "none"
        return f"{type(self).__name__}(train: {len(self.train)} records, val: {val}, block_size={self.block_size})"


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


def _shifted(number: int, record) -> tuple[np.ndarray, np.ndarray]:
    """(ids, loss_mask) of L tokens -> inputs and targets of L − 1 positions."""
    x, loss = _checked(number, record, "loss_mask", "b")
    if len(x) < 2:
        raise DataError(f"record {number} has {len(x)} tokens: at least two are needed, one and the one after it")
    return x[:-1], np.where(loss[1:], x[1:], NO_LOSS)


def _checked(number: int, record, name: str, kinds: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.asarray(part) for part in record)
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        raise ShapeError(f"record {number}: ids {x.shape} and {name} {y.shape} must both be (L,), L at least 1")
    if x.dtype.kind not in "iu" or y.dtype.kind not in kinds:
        wanted = "boolean" if kinds == "b" else "integers"
        raise ArgumentError(f"record {number}: ids must be integers and {name} {wanted}, got {x.dtype} and {y.dtype}")
    return x, y
