"""Records of different lengths in one batch: similar lengths together, the rest filled up.

A batch (B, T) is as wide as its longest record; what shorter ones lack is padding, computed for nothing. Records are
therefore sorted by length into buckets, and a batch comes from one bucket: with buckets of 8 tokens, at most 7 of
each row are padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import ArgumentError, DataError
from ..randomness import as_generator
from .rendered import NO_LOSS, Rendered, padded
from .tokens import Batch, positive


class BucketedData:
    """Dialogues for the trainer, one record a row, in batches of similar lengths.

    train, val:   lists of (ids, loss_mask) as `render` makes them
    block_size:   the longest context; the trainer binds the model's with `with_block_size`
    pad_id:       what fills rows up; it is never a target, and causal attention never looks at it from a real token
    bucket_width: widths are rounded up to multiples of it
    with_mask:    add "mask" (B, 1, 1, T), True for real tokens, for models that look both ways. A causal model needs
                  none, since padding comes last: its real tokens are the same without.
    Raises:       DataError (no records, one too long, one with nothing to learn), ArgumentError, ShapeError
    """

    def __init__(
        self, train: Any, val: Any = None, block_size: int | None = None, pad_id: int = 0, bucket_width: int = 8,
        with_mask: bool = False,
    ):  # fmt: skip
        self.train = train if isinstance(train, Rendered) else Rendered(train)
        self.val = val if val is None or isinstance(val, Rendered) else Rendered(val)
        self.block_size = None if block_size is None else positive("block_size", block_size)
        self.pad_id, self.with_mask = pad_id, with_mask
        self.bucket_width = positive("bucket_width", bucket_width)
        for name, part in (("train", self.train), ("val", self.val)):
            if part is not None and block_size is not None:
                part.check_width(name, block_size)
        of_record = self._bucket_of(self.train.widths)
        self._buckets = [np.flatnonzero(of_record == number) for number in np.unique(of_record)]
        self._share = np.array([len(bucket) for bucket in self._buckets]) / len(self.train)

    @property
    def has_val(self) -> bool:
        """Whether there is a validation part."""
        return self.val is not None

    def with_block_size(self, block_size: int) -> BucketedData:
        """The same records (shared, not copied), checked against a context of block_size tokens."""
        return type(self)(self.train, self.val, block_size, self.pad_id, self.bucket_width, self.with_mask)

    def check(self, vocab_size: int) -> None:
        """Raise DataError if an id lies outside 0 … vocab_size−1."""
        vocab_size = positive("vocab_size", vocab_size)
        if not 0 <= self.pad_id < vocab_size:
            raise ArgumentError(f"pad_id must be an id, 0 to {vocab_size - 1}, got {self.pad_id}")
        for name, part in (("train", self.train), ("val", self.val)):
            if part is not None:
                part.check_ids(name, vocab_size)

    def batch(self, rng: np.random.Generator | int | None, n: int) -> Batch:
        """n random training records of one bucket: {"ids": (n, T), "targets": (n, T)}, int64.

        A bucket is drawn as often as its share of the records says, so every record comes equally often.
        """
        rng, n = as_generator(rng), positive("n", n)
        bucket = self._buckets[rng.choice(len(self._buckets), p=self._share)]
        chosen = rng.choice(bucket, n, replace=n > len(bucket))  # (n,)
        return self._batch_of(self.train, chosen)

    def val_batches(self, n: int, max_tokens: int | None = None) -> Iterator[Batch]:
        """Every validation record once, from short to long, n a batch; `max_tokens` stops after that many targets.

        With `max_tokens`, records are taken in their own order until it is reached, the last one whole.
        """
        if self.val is None:
            raise DataError("no validation part: pass BucketedData(train, val)")
        n = positive("n", n)
        wanted = first_records(self.val, max_tokens)
        by_width = wanted[np.argsort(self._bucket_of(self.val.widths[wanted]), kind="stable")]
        return self._in_order(self.val, by_width, n)

    def _in_order(self, part: Rendered, order: np.ndarray, n: int) -> Iterator[Batch]:
        buckets = self._bucket_of(part.widths[order])
        for same in np.split(order, np.flatnonzero(np.diff(buckets)) + 1):
            for start in range(0, len(same), n):
                yield self._batch_of(part, same[start : start + n])

    def _bucket_of(self, widths: np.ndarray) -> np.ndarray:
        return -(-widths // self.bucket_width)

    def _batch_of(self, part: Rendered, chosen: np.ndarray) -> Batch:
        width = int(self._bucket_of(part.widths[chosen]).max()) * self.bucket_width
        width = min(width, self.block_size or width)
        rows = [part[i] for i in chosen]
        ids, mask = padded([row for row, _ in rows], width, self.pad_id)  # (n, T) each
        targets, _ = padded([row for _, row in rows], width, NO_LOSS)  # (n, T)
        batch = {"ids": ids, "targets": targets}
        return {**batch, "mask": mask[:, None, None, :]} if self.with_mask else batch

    def __repr__(self) -> str:
        val = f"{len(self.val)}" if self.val is not None else "none"
        return f"{type(self).__name__}(train: {len(self.train)} records, val: {val}, block_size={self.block_size})"


def first_records(part: Rendered, max_tokens: int | None) -> np.ndarray:
    """Numbers of the first records that together have at least max_tokens targets, or of all."""
    if max_tokens is None:
        return np.arange(len(part))
    counts = np.cumsum([part.n_targets(i) for i in range(len(part))])
    enough = int(np.searchsorted(counts, positive("max_tokens", max_tokens))) + 1
    return np.arange(min(enough, len(part)))
