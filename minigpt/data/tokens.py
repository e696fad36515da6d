"""Token ids of one long text, cut into windows of T tokens for next-token prediction.

From the window of T + 1 tokens x_s … x_{s+T} comes one example: `ids` = x_s … x_{s+T−1} and `targets` =
x_{s+1} … x_{s+T}; position t predicts the token that follows it, so one window trains T predictions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import ArgumentError, DataError, ShapeError
from ..randomness import as_generator

Batch = dict[str, np.ndarray]


class TokenData:
    """A training part and maybe a validation part, each a 1-D integer array or memory map (N,).

    Nothing is copied: a memory map stays on disk, and only the tokens of a batch become int64. Lists of ids
    are turned into arrays. `block_size` is T; the trainer binds the model's with `with_block_size`.
    Raises: ShapeError (not 1-D), ArgumentError (not integers), DataError (a part shorter than T + 1 tokens).
    """

    def __init__(self, train_ids: Any, val_ids: Any = None, block_size: int | None = None):
        self.train_ids = _checked_part("train_ids", train_ids)
        self.val_ids = None if val_ids is None else _checked_part("val_ids", val_ids)
        self.block_size = None if block_size is None else positive("block_size", block_size)
        # Without a block size the shortest useful window counts: one token and its target.
        for name, part in (("train_ids", self.train_ids), ("val_ids", self.val_ids)):
            if part is not None and len(part) < (self.block_size or 1) + 1:
                raise DataError(self._too_short(name, len(part)))

    @property
    def has_val(self) -> bool:
        """Whether there is a validation part."""
        return self.val_ids is not None

    def with_block_size(self, block_size: int) -> TokenData:
        """The same parts (shared, not copied), bound to windows of `block_size` tokens."""
        return TokenData(self.train_ids, self.val_ids, block_size)

    def batch(self, rng: np.random.Generator | int | None, n: int) -> Batch:
        """n random windows of the training part: {"ids": (n, T), "targets": (n, T)}, int64.

        Every start 0 … N−T−1 is equally likely, so every token but the first is a target sooner or later.
        An int seed gives the same windows each time; a Generator moves on.
        Raises: ArgumentError (no block size, bad n or rng).
        """
        T = self._bound_block_size()
        n = positive("n", n)
        starts = as_generator(rng).integers(0, len(self.train_ids) - T, size=n)  # (n,)
        positions = starts[:, None] + np.arange(T + 1)  # (n, T + 1)
        windows = self.train_ids[positions].astype(np.int64)  # (n, T + 1)
        return {"ids": windows[:, :-1].copy(), "targets": windows[:, 1:].copy()}  # (n, T) each

    def val_batches(self, n: int, max_tokens: int | None = None) -> Iterator[Batch]:
        """The validation part in order, in windows that do not overlap, n windows a batch.

        Every token but the first is a target exactly once. What is left after the last full window comes as
        a batch of its own, one shorter row. `max_tokens` stops after that many targets. The first positions
        of a window see little context, so the loss is a little higher than with full context everywhere.
        Raises: DataError (no validation part), ArgumentError (no block size, bad n or max_tokens).
        """
        if self.val_ids is None:
            raise DataError("no validation part: pass TokenData(train_ids, val_ids), see split_by_position")
        T = self._bound_block_size()
        n = positive("n", n)
        n_targets = len(self.val_ids) - 1
        if max_tokens is not None:
            n_targets = min(n_targets, positive("max_tokens", max_tokens))
        return self._windows_in_order(self.val_ids, T, n, n_targets)  # checked now, read later

    @staticmethod
    def _windows_in_order(part: np.ndarray, T: int, n: int, n_targets: int) -> Iterator[Batch]:
        start = 0
        while start < n_targets:
            rows = min(n, (n_targets - start) // T)
            width = T
            if rows == 0:  # less than a window is left
                rows, width = 1, n_targets - start
            stop = start + rows * width
            tokens = part[start : stop + 1].astype(np.int64)  # (rows * width + 1,)
            yield {
                "ids": tokens[:-1].reshape(rows, width),  # (rows, width)
                "targets": tokens[1:].copy().reshape(rows, width),  # (rows, width), no memory shared with ids
            }
            start = stop

    def check(self, vocab_size: int) -> None:
        """Raise DataError, naming part and position, if an id lies outside 0 … vocab_size−1.

        Reads everything once, in pieces, so that a memory map larger than the memory is no problem.
        """
        vocab_size = positive("vocab_size", vocab_size)
        for name, part in (("train_ids", self.train_ids), ("val_ids", self.val_ids)):
            if part is not None:
                _check_range(name, part, vocab_size)

    def _bound_block_size(self) -> int:
        if self.block_size is None:
            raise ArgumentError(
                "this TokenData has no block size, so it cannot cut windows: use "
                "TokenData(train_ids, val_ids, block_size=T) or data.with_block_size(T)"
            )
        return self.block_size

    def _too_short(self, name: str, length: int) -> str:
        if self.block_size is None:
            return f"{name} needs at least 2 tokens, one and its target, got {length}: use a longer text"
        fits = f"block_size of at most {length - 1}" if length > 1 else "longer text; no block_size fits"
        return (
            f"{name} needs at least {self.block_size + 1} tokens (block_size {self.block_size} + 1, the last "
            f"one only a target), got {length}: use a longer text, another split, or a {fits}"
        )

    def __repr__(self) -> str:
        val = f"{len(self.val_ids)} tokens" if self.val_ids is not None else "none"
        return f"TokenData(train: {len(self.train_ids)} tokens, val: {val}, block_size={self.block_size})"


def _checked_part(name: str, ids: Any) -> np.ndarray:
    try:
        part = np.asarray(ids)  # no copy of an array; a memory map stays one, seen as a plain array
    except ValueError:  # lists of different lengths
        raise ShapeError(f"{name} needs one row of ids, shape (N,), got rows of different lengths") from None
    if part.ndim != 1:
        hint = ": join the texts into one row" if part.ndim == 2 else ""
        raise ShapeError(f"{name} needs one row of ids, shape (N,), got shape {part.shape}{hint}")
    if part.dtype.kind not in "iu" and part.size:
        hint = " (encode the text first: tok.encode(text))" if part.dtype.kind in "US" else ""
        raise ArgumentError(f"{name} needs integer ids, got dtype {part.dtype}{hint}")
    return part


def _check_range(name: str, part: np.ndarray, vocab_size: int, chunk: int = 1 << 20) -> None:
    for start in range(0, len(part), chunk):
        piece = part[start : start + chunk]
        bad = np.flatnonzero((piece < 0) | (piece >= vocab_size))
        if bad.size:
            position = start + int(bad[0])
            raise DataError(
                f"{name}[{position}] is {part[position]}, but ids need to be 0 to {vocab_size - 1} "
                f"(vocab_size {vocab_size}): the ids come from another tokenizer than the model's"
            )


def positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ArgumentError(f"{name} needs an integer of at least 1, got {value!r}")
    return int(value)
