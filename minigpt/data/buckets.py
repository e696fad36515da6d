"""Records of different lengths in one batch: similar lengths together, the rest filled up.

A batch (B, T) is as wide as its longest record; what shorter ones lack is padding, computed for nothing. Records are
therefore sorted by length into buckets, and a batch comes from one bucket: with buckets of 8 tokens, at most 7 of
each row are padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..randomness import as_generator
from .rendered import NO_LOSS, Rendered, RenderedData, padded
from .tokens import Batch, positive


class BucketedData(RenderedData):
    """Dialogues for the trainer, one record a row, in batches of similar lengths.

    train, val:   lists of (ids, loss_mask) as `render` makes them, or Rendered
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
        super().__init__(train, val, block_size, pad_id)
        self.with_mask, self.bucket_width = with_mask, positive("bucket_width", bucket_width)
        of_record = self._bucket_of(self.train.widths)
        self._buckets = [np.flatnonzero(of_record == number) for number in np.unique(of_record)]
        self._share = np.array([len(bucket) for bucket in self._buckets]) / len(self.train)

    def with_block_size(self, block_size: int) -> BucketedData:
        """The same records (shared, not copied), checked against a context of block_size tokens."""
        return BucketedData(self.train, self.val, block_size, self.pad_id, self.bucket_width, self.with_mask)

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
        n = positive("n", n)
        val, numbers = self._chosen_val(max_tokens)
        buckets = self._bucket_of(val.widths[numbers])
        same = [numbers[buckets == bucket] for bucket in np.unique(buckets)]
        groups = [some[start : start + n] for some in same for start in range(0, len(some), n)]
        return (self._batch_of(val, group) for group in groups)

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
