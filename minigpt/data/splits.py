"""Training, validation and test parts chosen by what a record says, not by where it stands.

    u = blake2b(key) / 2^64, in [0, 1);   train if u < 0.8,   val if u < 0.9,   test otherwise

The same input falls into the same part in every run, on every machine, in any order of the file, and when records
are added later. Copies of an input cannot stand in two parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from ..errors import ArgumentError

SPLITS = ("train", "val", "test")
FRACTIONS = (0.8, 0.1, 0.1)
R = TypeVar("R")


def split_of(key: str, fractions: Sequence[float] = FRACTIONS, salt: str = "") -> str:
    """ "train", "val" or "test" for one input. Case and runs of white space make no difference.

    fractions: expected shares of the three parts, with sum 1; salt: another text gives an independent split
    """
    train, val, _ = _checked(fractions)
    text = f"{salt}\n{' '.join(key.split()).casefold()}"
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    u = int.from_bytes(digest, "big") / 2**64
    return "train" if u < train else "val" if u < train + val else "test"


def in_split(records: Iterable[R], split: str, fractions: Sequence[float] = FRACTIONS, salt: str = "") -> Iterator[R]:
    """Those records of a stream that belong to one part, by their `.key`."""
    check_split(split)
    _checked(fractions)
    return (record for record in records if split_of(record.key, fractions, salt) == split)  # type: ignore[attr-defined]


def check_split(split: str) -> None:
    if split not in SPLITS:
        raise ArgumentError(f"split is one of {', '.join(SPLITS)}, got {split!r}")


def _checked(fractions: Sequence[float]) -> tuple[float, float, float]:
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ArgumentError(f"fractions are three numbers from 0 up with sum 1 (train, val, test), got {fractions!r}")
    return tuple(fractions)  # type: ignore[return-value]
