"""Pairs of sequences for encoder–decoder models: a source, and the target that it is to become.

The target c a t is learned from what stands before each token ("teacher forcing"):

    tgt        <start> c a t        what the decoder reads
    targets    c a t <end>          what it should write at each place
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, ShapeError
from ..randomness import as_generator
from ..tokenizers import Tokenizer
from .rendered import NO_LOSS, padded
from .tokens import Batch, positive


@dataclass(frozen=True)
class Pair:
    """A text and what it is to become. Raises DataError for an empty source."""

    source: str
    target: str

    def __post_init__(self):
        if not self.source.strip():
            raise DataError(f"a pair needs a source, got {self.source!r}")

    @property
    def key(self) -> str:
        """What the target follows from, for splits."""
        return self.source


class PairData:
    """Pairs of token ids for the trainer, in batches of sources of about the same length.

    train, val:  lists of (source ids, target ids), the target without start and end
    start_id, end_id, pad_id: what stands before and after a target, and what fills rows up
    block_size:  the most tokens of a source, and of a target with its start; the trainer binds the model's
    Raises:      DataError (no pairs, an empty source, one too long), ShapeError
    """

    def __init__(
        self, train: Iterable, val: Iterable | None = None, *, start_id: int, end_id: int, pad_id: int = 0,
        block_size: int | None = None,
    ):  # fmt: skip
        self.train = _checked("train", train)
        self.val = None if val is None else _checked("val", val)
        self.start_id, self.end_id, self.pad_id, self.block_size = start_id, end_id, pad_id, block_size
        if block_size is not None:
            self._check_lengths(block_size)
        # neighbours in this order have sources, and mostly targets, of about one length
        self._by_length = np.argsort([len(source) for source, _ in self.train], kind="stable")

    @classmethod
    def of_texts(cls, tokenizer: Tokenizer, train: Iterable[Pair], val: Iterable[Pair] | None = None) -> PairData:
        """Texts as ids of one tokenizer, which has the special tokens <pad>, <start> and <end>."""

        def encoded(pairs):
            return [(tokenizer.encode(pair.source), tokenizer.encode(pair.target)) for pair in pairs]

        ids = {f"{name}_id": tokenizer.special_tokens[f"<{name}>"] for name in ("start", "end", "pad")}
        return cls(encoded(train), None if val is None else encoded(val), **ids)

    @property
    def has_val(self) -> bool:
        """Whether there is a validation part."""
        return self.val is not None

    def with_block_size(self, block_size: int) -> PairData:
        """The same pairs, checked against a context of block_size tokens."""
        return PairData(
            self.train, self.val, start_id=self.start_id, end_id=self.end_id, pad_id=self.pad_id,
            block_size=positive("block_size", block_size),
        )  # fmt: skip

    def batch(self, rng: np.random.Generator | int | None, n: int) -> Batch:
        """n training pairs whose sources are of about the same length, all equally likely but for the few at the ends:
        {"src" (n, S), "src_mask" (n, S), "tgt" (n, T), "targets" (n, T)}

        Several times n pairs are drawn and sorted by length; a batch is n neighbours of them.
        """
        rng, n = as_generator(rng), positive("n", n)
        drawn = np.sort(rng.integers(0, len(self.train), size=n * GROUPS))  # ranks by length
        start = n * int(rng.integers(GROUPS))
        return self._batch_of(self.train, self._by_length[drawn[start : start + n]])

    def val_batches(self, n: int, max_tokens: int | None = None) -> Iterator[Batch]:
        """Every validation pair once, n a batch; `max_tokens` stops after that many targets, the last pair whole."""
        if self.val is None:
            raise DataError("no validation part: pass PairData(train, val, …)")
        n, val = positive("n", n), self.val
        counts = np.cumsum([len(target) + 1 for _, target in val])  # with the end
        most = len(val)
        if max_tokens is not None:
            most = min(most, int(np.searchsorted(counts, positive("max_tokens", max_tokens))) + 1)
        return (self._batch_of(val, np.arange(at, min(at + n, most))) for at in range(0, most, n))

    def check(self, vocab_size: int) -> None:
        """Raise DataError if a target id lies outside 0 … vocab_size−1; sources may have a vocabulary of their own."""
        for name, part in (("train", self.train), ("val", self.val or [])):
            for i, (_, target) in enumerate(part):
                bad = target[(target < 0) | (target >= vocab_size)]
                if bad.size:
                    raise DataError(f"{name}[{i}] has the target id {bad[0]}, needs 0 to {vocab_size - 1}")

    def _check_lengths(self, block_size: int) -> None:
        for name, part in (("train", self.train), ("val", self.val or [])):
            for i, (source, target) in enumerate(part):
                for what, n in (("a source", len(source)), ("a target with its start", len(target) + 1)):
                    if n > block_size:
                        raise DataError(
                            f"{name}[{i}] has {what} of {n} tokens, block_size is {block_size}: leave long pairs out, "
                            "or use a model with a longer context"
                        )

    def _batch_of(self, part, chosen) -> Batch:
        sources = [part[i][0] for i in chosen]
        targets = [part[i][1] for i in chosen]
        T = max(map(len, targets)) + 1
        src, src_mask = padded(sources, max(map(len, sources)), self.pad_id)  # (n, S) each
        tgt, _ = padded([np.append(self.start_id, ids) for ids in targets], T, self.pad_id)  # (n, T)
        wanted, _ = padded([np.append(ids, self.end_id) for ids in targets], T, NO_LOSS)  # (n, T)
        return {"src": src, "src_mask": src_mask, "tgt": tgt, "targets": wanted}

    def __repr__(self) -> str:
        val = f"{len(self.val)} pairs" if self.val is not None else "none"
        return f"PairData(train: {len(self.train)} pairs, val: {val}, block_size={self.block_size})"


GROUPS = 8  # batches' worth of pairs that are drawn and sorted for one batch


def _checked(name: str, pairs: Iterable) -> list[tuple[np.ndarray, np.ndarray]]:
    """Both sides of every pair as 1-D integer arrays, the source with at least one token."""
    checked = []
    for i, pair in enumerate(pairs):
        source, target = (_ids(f"{name}[{i}]", side) for side in pair)
        if not source.size:
            raise DataError(f"{name}[{i}] has an empty source: there is nothing to read")
        checked.append((source, target))
    if not checked:
        raise DataError(f"{name}: no pairs, wanted at least one")
    return checked


def _ids(where: str, side: Sequence[int] | Any) -> np.ndarray:
    ids = np.asarray(side, np.int64) if len(side) == 0 else np.asarray(side)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise ShapeError(f"{where}: source and target are lists of integer ids, got {ids.dtype} {ids.shape}")
    return ids
