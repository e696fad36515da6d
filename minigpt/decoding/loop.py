"""The decode loop: read, choose, append, again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError
from .reader import Reader, id_rows
from .sampling import Sampling, check_count, log_softmax


class Step(NamedTuple):
    """One token for every row that had not ended."""

    rows: np.ndarray  # (A,) which rows; row p * n + j is the j-th sample of prompt p
    ids: np.ndarray  # (A,) int64, the tokens chosen
    logits: np.ndarray  # (A, V) the model's
    scores: np.ndarray  # (A, V) after repetition penalty and min_new_tokens; temperature and filters come after

    def log_probabilities(self) -> np.ndarray:
        """Of the tokens chosen, by the model itself, before temperature, filters and penalties; (A,) nats."""
        return log_softmax(self.logits)[np.arange(len(self.ids)), self.ids]


def decode(reader: Reader, max_new_tokens, sampling: Sampling, rng, *, n=1, eos_id=None, ended=None) -> Iterator[Step]:
    """Continue every prompt of the reader n times; yields one Step per token, before the next is computed.

    The prompts are read once, whatever n. A row ends with eos_id, after max_new_tokens, or when the caller sets
    ended[row] = True in the boolean array (B * n,) that it passed; ended rows are computed no further. Every row has
    its own random numbers: when the others end does not change what it writes.
    Raises: ArgumentError, at once; ShapeError and NumericsError on the way
    """
    check_count("max_new_tokens", max_new_tokens)
    check_count("n, the number of continuations,", n, 1)
    sampling.check(reader.vocab_size)
    check_end(eos_id, reader.vocab_size)
    if sampling.min_new_tokens > max_new_tokens:
        raise ArgumentError(
            f"min_new_tokens {sampling.min_new_tokens} is more than max_new_tokens {max_new_tokens}: raise the second"
        )
    rows = np.repeat(np.arange(reader.batch), n)  # (B * n,) the prompt of each
    ended = np.zeros(len(rows), bool) if ended is None else ended
    return _steps(reader, max_new_tokens, sampling, rng, rows, eos_id, ended)


def _steps(reader, max_new_tokens, sampling, rng, rows, eos_id, ended):
    alive = np.flatnonzero(~ended)  # (A,)
    if max_new_tokens == 0 or not alive.size:
        return
    logits = reader.logits()[rows[alive]]  # (A, V)
    reader.select(rows[alive])
    for new in range(max_new_tokens):
        scores = sampling.scores(logits, reader, new, eos_id)  # (A, V)
        u = rng.random(len(rows))[alive] if sampling.temperature else None
        ids = sampling.draw(scores, u)  # (A,)
        reader.append(ids)
        if eos_id is not None:
            ended[alive[ids == eos_id]] = True
        yield Step(alive, ids, logits, scores)
        if new == max_new_tokens - 1:
            return
        going_on = np.flatnonzero(~ended[alive])
        if len(going_on) < len(alive):
            if not going_on.size:
                return
            reader.select(going_on)
            alive = alive[going_on]
        logits = reader.logits()  # (A, V)


def check_end(eos_id, vocab_size):
    is_id = isinstance(eos_id, int | np.integer) and not isinstance(eos_id, bool)
    if eos_id is not None and not (is_id and 0 <= eos_id < vocab_size):
        raise ArgumentError(f"eos_id is a token id from 0 to {vocab_size - 1}, or None; got {eos_id!r}")


def generate_ids(
    next_logits: Callable, new_cache: Callable | None, ids, max_new_tokens, *, block_size, vocab_size, rng,
    temperature=1.0, top_k=None, top_p=None, eos_id=None, repetition_penalty=1.0, min_new_tokens=0,
) -> np.ndarray:  # fmt: skip
    """Prompt ids (B, T) -> prompt and continuation (B, T + new), int64.

    next_logits, new_cache, block_size: see Reader. A row that reached eos_id is filled up with it; the loop ends when
    all rows have.
    """
    ids = id_rows("generate", ids)
    reader = Reader(next_logits, new_cache, ids, block_size=block_size, vocab_size=vocab_size)
    sampling = Sampling(temperature, top_k, top_p, repetition_penalty, min_new_tokens)
    steps = decode(reader, max_new_tokens, sampling, rng, eos_id=eos_id)
    B, T = ids.shape
    out = np.full((B, T + max_new_tokens), 0 if eos_id is None else eos_id, np.int64)
    out[:, :T] = ids
    for column, step in enumerate(steps, start=T):
        out[step.rows, column] = step.ids
    return out
