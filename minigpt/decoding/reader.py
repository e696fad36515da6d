"""The tokens so far, and the logits of what follows them: the only part of decoding that asks the model."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError


class Reader:
    """Feeds a step function with what it has not read yet.

    next_logits(ids (B, t), cache) -> (B, V) logits of the token that follows. With a cache, ids are those that it does
    not hold yet; without one (None) they are the whole text.
    new_cache(B) -> an empty cache, or None for no cache at all. A cache offers select(rows), and pad(padding) for
    prompts of different lengths; see decoding/cache.py.
    prompts      (B, T) integers, or a list of B lists of different lengths
    vocab_size   only ids below it may follow: a tokenizer may know fewer than the model
    cache        one that holds the first `cache.length` tokens of a single prompt already, fewer than the prompt has

    Up to block_size tokens the cache makes each step read one token. Past it the last block_size tokens of each row
    are read anew for every token, because learned positions make old keys invalid; a warning says so once. Without a
    cache, rows of the same length are read together.
    """

    def __init__(
        self, next_logits: Callable, new_cache: Callable | None, prompts, *, block_size, vocab_size, cache=None
    ):
        rows = prompt_rows("generate", prompts)
        self.next_logits, self.new_cache = next_logits, new_cache
        self.block_size, self.vocab_size = block_size, vocab_size
        self.end = max((len(row) for row in rows), default=0)  # columns in use
        self.prompt_length = self.end
        self.padding = np.array([self.end - len(row) for row in rows], np.int64)  # (B,) unused columns on the left
        self._tokens = np.zeros((len(rows), self.end + 64), np.int64)  # (B, room)
        for row, ids in enumerate(rows):
            self._tokens[row, self.padding[row] : self.end] = ids
        self.cache: Any = cache
        self._read = 0 if cache is None else cache.length  # columns that the cache holds
        if cache is not None and (len(rows) != 1 or self._read >= self.end):
            raise ArgumentError(
                f"a cache that was filled before belongs to one prompt and lacks at least its last token; it holds "
                f"{self._read} tokens, the {len(rows)} prompts have up to {self.end}"
            )
        self._warned = False

    @property
    def batch(self) -> int:
        return len(self._tokens)

    def tokens(self, row: int) -> np.ndarray:
        """Prompt and continuation of one row, (length,)."""
        return self._tokens[row, self.padding[row] : self.end]

    def logits(self) -> np.ndarray:
        """Logits of the next token of every row, (B, V)."""
        if self.end > self.block_size:
            self._drop_unused_columns()
        if self.end > self.block_size:
            self.cache = None
            self._say_window()
        elif self.new_cache and self.cache is None:
            self.cache, self._read = self.new_cache(self.batch), 0
            if self.padding.any():
                self.cache.pad(self.padding)
        if self.cache is None:
            return self._read_anew()
        logits = self.next_logits(self._tokens[:, self._read : self.end], self.cache)  # (B, V)
        self._read = self.end
        return logits[:, : self.vocab_size]

    def append(self, ids) -> None:
        """One more token per row, (B,)."""
        if self.end == self._tokens.shape[1]:
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)], axis=1)  # (B, 2 * room)
        self._tokens[:, self.end] = ids
        self.end += 1

    def select(self, rows: np.ndarray) -> None:
        """Row i becomes what row rows[i] was; rows may repeat or be left out."""
        if np.array_equal(rows, np.arange(self.batch)):
            return
        self._tokens, self.padding = self._tokens[rows], self.padding[rows]
        if self.cache is not None:
            self.cache.select(rows)

    def _drop_unused_columns(self) -> None:
        """Where the longest rows have ended, the others may still fit: they move to the left and are read once more."""
        unused = int(self.padding.min(initial=self.end))
        if unused:
            self._tokens, self.padding = self._tokens[:, unused:], self.padding - unused
            self.end -= unused
            self.prompt_length -= unused
            self.cache = None

    def _read_anew(self) -> np.ndarray:
        lengths = np.minimum(self.end - self.padding, self.block_size)  # (B,)
        parts = []
        for length in np.unique(lengths):
            (rows,) = np.nonzero(lengths == length)
            logits = self.next_logits(self._tokens[rows, self.end - length : self.end], None)  # (rows, V)
            parts.append((rows, logits[:, : self.vocab_size]))
        if len(parts) == 1:
            return parts[0][1]
        whole = np.empty((self.batch, parts[0][1].shape[1]), parts[0][1].dtype)  # (B, V)
        for rows, logits in parts:
            whole[rows] = logits
        return whole

    def _say_window(self) -> None:
        if self._warned:
            return
        self._warned = True
        T = self.prompt_length
        what = f"the prompt has {T} tokens" if T > self.block_size else "the text has grown past the context"
        message = f"{what}; the model sees the last {self.block_size} tokens (its block_size) from here on"
        warnings.warn(message, stacklevel=levels_to_the_caller())


def levels_to_the_caller() -> int:
    """How far above the function that asks the first frame outside this package is, as warnings count."""
    package = __name__.split(".")[0]
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level


def prompt_rows(name: str, prompts) -> list[np.ndarray]:
    """prompts as a list of B integer arrays, each with at least one id; or a ShapeError that names the wrong one."""
    if isinstance(prompts, list | tuple) and len({_length(row) for row in prompts}) > 1:
        rows = [np.asarray(row) for row in prompts]
        for k, row in enumerate(rows):
            if row.ndim != 1 or row.size == 0 or row.dtype.kind not in "iu":
                raise ShapeError(
                    f"{name}: prompt {k} must be a list of at least one integer id, got {row.dtype} {row.shape}"
                )
        return rows
    return list(id_rows(name, prompts))


def _length(row) -> int:
    return len(row) if hasattr(row, "__len__") else -1


def id_rows(name: str, ids) -> np.ndarray:
    """ids as an array (B, T) with T at least 1, or a ShapeError that says how to make one."""
    try:
        ids = np.asarray(ids)
        shown = f"{ids.dtype} {ids.shape}"
    except ValueError:
        raise ShapeError(f"{name}: ids must be integers (B, T); these rows have different lengths") from None
    if ids.ndim != 2 or ids.shape[1] == 0 or ids.dtype.kind not in "iu":
        hint = "; for one sequence: ids[None]" if ids.ndim == 1 else ""
        raise ShapeError(f"{name}: ids must be integers (B, T) with T at least 1, got {shown}{hint}")
    return ids
