"""Sources of different lengths side by side: rows filled up, and a mask that says what is padding."""

from __future__ import annotations

import numpy as np

from ..decoding.reader import id_rows, prompt_rows
from ..errors import ArgumentError, ShapeError


def source_mask(mask, shape: tuple[int, int], name: str = "src_mask"):
    """mask (B, S), True for real tokens -> (B, 1, 1, S), which attention broadcasts over heads and queries; None: None

    Raises ArgumentError if it is not boolean, or a row has no token at all; ShapeError if it does not fit `shape`.
    """
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.dtype.kind != "b":
        raise ArgumentError(f"{name} must be boolean (True for a token, False for padding), got {mask.dtype}")
    if mask.shape != tuple(shape):
        raise ShapeError(f"{name} has shape {mask.shape}, needs (B, S) = {tuple(shape)} as the tokens have")
    empty = np.flatnonzero(~mask.any(axis=1))
    if empty.size:
        raise ArgumentError(f"{name}: row {empty[0]} is empty, all of it is padding; leave it out of the batch")
    return mask[:, None, None, :]


def source_rows(src, mask=None) -> tuple[np.ndarray, np.ndarray | None]:
    """Sources (B, S), or B lists of different lengths -> (ids (B, S), mask (B, S), or None if nothing is padding)

    Raises ShapeError for an empty source, ArgumentError for a mask beside lists, whose lengths are known.
    """
    if isinstance(src, np.ndarray):
        return id_rows("the source", src), mask
    if mask is not None:
        raise ArgumentError("src_mask belongs to an array (B, S); of a list of lists the lengths are known")
    rows = prompt_rows("the source", src)
    lengths = np.array([len(row) for row in rows])  # (B,)
    ids = np.zeros((len(rows), lengths.max(initial=1)), np.int64)  # (B, S)
    for b, row in enumerate(rows):
        ids[b, : len(row)] = row
    real = np.arange(ids.shape[1]) < lengths[:, None]  # (B, S)
    return ids, None if real.all() else real
