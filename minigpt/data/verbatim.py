"""Which pieces of some sequences stand word for word in a text.

Every window of 2, 4, 8 … tokens gets a number, its name, so that two windows have one name exactly if they are equal:
the name of a window of 2L tokens is the number of the pair (name of its first half, name of its second half) among
all such pairs. A window of any length between L and 2L is a pair of two windows of L that overlap. So whether two
windows are equal is one comparison, without a hash that could collide, and finding all common ones is one sort.

Time n log n for each length asked for, memory linear in n (one int32 per token and doubling).
Source: Karp, Miller & Rosenberg 1972, "Rapid identification of repeated patterns in strings, trees and arrays".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, ShapeError


class Run(NamedTuple):
    """`length` tokens that stand at `start` in the sequence of number `sequence`, and at `in_text` in the text."""

    length: int
    sequence: int
    start: int
    in_text: int


class VerbatimSearch:
    """Windows of `sequences`, each a 1-D array of ids, searched in the text `ids` (N,)."""

    def __init__(self, ids, sequences):
        text = _checked("ids", ids)
        rows = [_checked(f"sequences[{k}]", row) for k, row in enumerate(sequences)]
        lengths = np.array([len(row) for row in rows], np.int64)
        # Between the pieces stand numbers that occur once, so that no common window reaches over a border.
        pieces: list[np.ndarray] = [text]
        for k, row in enumerate(rows):
            pieces += [np.array([-1 - k]), row]
        joined = np.concatenate(pieces)
        self.text_length = len(text)
        self.lengths = lengths  # of the sequences
        self.starts = len(text) + 1 + np.concatenate([[0], np.cumsum(lengths + 1)[:-1]]) if rows else lengths
        self._names = [_numbered(joined)]  # [k]: names of the windows of 2**k tokens, one for each start

    def occurs(self, length: int) -> list[np.ndarray]:
        """For each sequence, for each of its windows of `length` tokens: does the text hold it? Booleans."""
        keys, where = self._keys(length), self._window_starts(length)
        known = keys[: max(0, self.text_length - length + 1)]
        found = np.isin(np.concatenate([keys[:0], *(keys[starts] for starts in where)]), known)  # one sort for all
        return np.split(found, np.cumsum([len(starts) for starts in where])[:-1]) if where else []

    def longest(self) -> Run:
        """The longest run of tokens that a sequence shares with the text; length 0 if there is none."""
        most = int(min(self.text_length, self.lengths.max(initial=0)))
        low, high = 0, 1  # a common run of `low` exists; is there one of `high`?
        common = np.arange(self.text_length), np.concatenate([*self._window_starts(1), self.starts[:0]])
        while high <= most and (longer := self._still_common(*common, high)):
            common, low, high = longer, high, 2 * high
        high = min(high, most + 1)
        while high - low > 1:  # a part of a common run is common too, so this is a binary search
            middle = (low + high) // 2
            if longer := self._still_common(*common, middle):
                common, low = longer, middle
            else:
                high = middle
        if low == 0:
            return Run(0, 0, 0, 0)
        keys, (in_text, in_sequences) = self._keys(low), common
        here = int(in_sequences[0])
        sequence = int(np.searchsorted(self.starts, here, side="right")) - 1
        same = in_text[keys[in_text] == keys[here]]
        return Run(low, sequence, here - int(self.starts[sequence]), int(same[0]))

    def _still_common(self, in_text: np.ndarray, in_sequences: np.ndarray, length: int):
        """Of these starts in the text and in the sequences those whose windows of `length` are common; None if none.

        Both rise; a start where no shorter run is common need not be looked at again.
        """
        keys = self._keys(length)
        in_text = in_text[in_text <= self.text_length - length]
        in_sequences = in_sequences[in_sequences < len(keys)]  # over a border nothing is common anyway
        in_sequences = in_sequences[np.isin(keys[in_sequences], keys[in_text])]
        if not in_sequences.size:
            return None
        return in_text[np.isin(keys[in_text], keys[in_sequences])], in_sequences

    def _window_starts(self, length: int) -> list[np.ndarray]:
        """Where the windows of each sequence start in the joined array."""
        return [s + np.arange(max(0, n - length + 1)) for s, n in zip(self.starts, self.lengths, strict=True)]

    def _keys(self, length: int) -> np.ndarray:
        """A number for the window of `length` tokens at each start of the joined array, equal for equal windows."""
        if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
            raise ArgumentError(f"a window has a length of at least 1, got {length!r}")
        k = int(length).bit_length() - 1  # 2**k ≤ length < 2**(k + 1)
        while len(self._names) <= k:
            half = 2 ** (len(self._names) - 1)
            self._names.append(_numbered(_pairs(self._names[-1], half)))
        return self._names[k] if length == 2**k else _pairs(self._names[k], length - 2**k)


def _pairs(names: np.ndarray, apart: int) -> np.ndarray:
    """(name at i, name at i + apart) in one int64, for every i where both exist."""
    n = max(0, len(names) - apart)
    return names[:n].astype(np.int64) << 32 | names[apart : apart + n].astype(np.int64)


def _numbered(values: np.ndarray) -> np.ndarray:
    """Equal values get equal numbers from 0 up, int32."""
    return np.unique(values, return_inverse=True)[1].ravel().astype(np.int32)


def _checked(name: str, ids) -> np.ndarray:
    ids = np.asarray(ids)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise ShapeError(f"{name} needs one row of integer ids, shape (N,), got {ids.dtype} {ids.shape}")
    if ids.size and ids.min() < 0:
        raise ArgumentError(f"{name} holds the id {ids.min()}; ids are from 0 up")
    return ids.astype(np.int64)
