"""The decode loop: read, choose, append, again."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from ..errors import ArgumentError, ShapeError
from .sampling import check_sampling, sample


def generate_ids(
    next_logits: Callable, new_cache: Callable | None, ids, max_new_tokens, *, block_size, vocab_size, rng,
    temperature=1.0, top_k=None, top_p=None, eos_id=None,
) -> np.ndarray:  # fmt: skip
    """Prompt ids (B, T) -> prompt and continuation (B, T + new), int64.

    next_logits(ids (B, t), cache) -> logits (B, V) of the token after them; new_cache(B) makes an empty cache.
    With a cache only the newest token is read, until block_size is reached; from then on the last block_size tokens
    are read anew each time. A row that reached eos_id is filled up with it; the loop ends when all rows have.
    """
    ids = id_rows("generate", ids)
    if not isinstance(max_new_tokens, int | np.integer) or max_new_tokens < 0:
        raise ArgumentError(f"max_new_tokens is an integer from 0 up, got {max_new_tokens!r}")
    check_sampling(vocab_size, temperature, top_k, top_p)
    if eos_id is not None and (not isinstance(eos_id, int | np.integer) or not 0 <= eos_id < vocab_size):
        raise ArgumentError(f"eos_id is a token id from 0 to {vocab_size - 1}, or None; got {eos_id!r}")
    B, T = ids.shape
    out = np.empty((B, T + max_new_tokens), np.int64)
    out[:, :T] = ids
    ended = np.zeros(B, dtype=bool)
    cache = new_cache(B) if new_cache else None
    read = 0  # tokens that the cache holds
    past_block = False
    for end in range(T, T + max_new_tokens):
        if end > block_size and not past_block:
            past_block, cache = True, None
            _say_window(T, block_size)
        window = out[:, read if cache else max(0, end - block_size) : end]
        logits = next_logits(window, cache)  # (B, V)
        read = end
        chosen = sample(logits, rng, temperature, top_k, top_p)  # (B,)
        if eos_id is not None:
            chosen = np.where(ended, eos_id, chosen)
            ended |= chosen == eos_id
        out[:, end] = chosen
        if eos_id is not None and ended.all():
            out[:, end + 1 :] = eos_id
            break
    return out


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


def _say_window(T, block_size):
    what = f"the prompt has {T} tokens" if T > block_size else "the text has grown past the context"
    warnings.warn(f"{what}; the model sees the last {block_size} tokens (its block_size) from here on", stacklevel=4)
