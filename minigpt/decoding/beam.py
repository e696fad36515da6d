"""Beam search: the likeliest continuations, rather than drawn ones.

Greedy choice may miss a likely sentence that begins with an unlikely word. Beam search keeps the `beams` likeliest
beginnings, extends each by every token, and keeps the likeliest again. With beams >= V^T it has seen all texts of T
tokens and is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError
from .loop import check_end
from .reader import Reader
from .sampling import Sampling, check_count, check_logits, largest, log_softmax


class Hypothesis(NamedTuple):
    """A continuation that beam search found."""

    ids: np.ndarray  # (T,) int64, the end token included if it ended with one
    log_probability: float  # sum over its tokens, nats
    score: float  # log_probability / T ** length_penalty
    ended: bool  # by the end token or `ends`, rather than by max_new_tokens


def beam_search(
    reader: Reader, max_new_tokens, beams, *, n=1, length_penalty=1.0, eos_id=None, repetition_penalty=1.0,
    min_new_tokens=0, ends: Callable[[np.ndarray], bool] | None = None,
) -> list[Hypothesis]:  # fmt: skip
    """The n best continuations of one prompt, best first.

    score = log_probability / T ** length_penalty, T counting the end token: 0 prefers short texts, since every token
    costs probability; 1 is the mean per token. (Wu et al. 2016, equation 14, has ((5 + T) / 6) ** α in place of
    T ** α; the simple form is that of Hugging Face's generate.)
    ends(ids): whether a continuation is complete for another reason than eos_id, such as a stop string in its text
    An ended continuation counts if it was among the `beams` likeliest at its length. The search goes on until nothing
    unfinished could still beat the n-th best, so that no likely long text is cut off.
    Raises: ArgumentError, ShapeError, NumericsError
    """
    check_count("max_new_tokens", max_new_tokens)
    check_count("beams", beams, 1)
    check_count("n, the number of continuations,", n, 1)
    check_end(eos_id, reader.vocab_size)
    if n > beams:
        raise ArgumentError(f"beam search with {beams} beams finds at most {beams} continuations, n is {n}")
    if not isinstance(length_penalty, int | float | np.number) or not np.isfinite(length_penalty):
        raise ArgumentError(f"length_penalty is a number (0: none, 1: mean per token), got {length_penalty!r}")
    if reader.batch != 1:
        raise ArgumentError(f"beam search continues one prompt at a time, got {reader.batch}")
    sampling = Sampling(0, None, None, repetition_penalty, min_new_tokens)
    sampling.check(reader.vocab_size)

    def scored(ids, log_probability, ended):
        # an empty continuation has probability 1
        score = log_probability / max(len(ids), 1) ** length_penalty
        return Hypothesis(np.array(ids, np.int64), float(log_probability), float(score), ended)

    finished: list[Hypothesis] = []
    texts, totals = [np.zeros(0, np.int64)], np.zeros(1)  # of the R beams: ids so far, log-probability
    for new in range(max_new_tokens):
        logits = check_logits(sampling.scores(reader.logits(), reader, new, eos_id))
        extended = totals[:, None] + log_softmax(logits)  # (R, V)
        rows: list[int] = []
        texts_next, totals_next = [], []
        for rank, (row, token, total) in enumerate(_best(extended, 2 * beams)):
            ids = np.append(texts[row], token)
            if token == eos_id or (ends is not None and ends(ids)):
                if rank < beams:
                    finished.append(scored(ids, total, True))
            elif len(rows) < beams:
                rows.append(row)
                texts_next.append(ids)
                totals_next.append(total)
        finished = sorted(finished, key=lambda h: -h.score)[:beams]
        texts, totals = texts_next, np.array(totals_next)
        if not rows or (len(finished) >= n and _bound(totals[0], new + 1, max_new_tokens, length_penalty)
                        <= finished[n - 1].score):  # fmt: skip
            texts = []  # nothing unfinished can matter
            break
        reader.select(np.array(rows))
        reader.append([ids[-1] for ids in texts])
    finished += [scored(ids, total, False) for ids, total in zip(texts, totals, strict=False)]
    return sorted(finished, key=lambda h: -h.score)[:n]


def _best(extended, k):
    """(row, token, log-probability) of the k likeliest extensions that are possible at all, likeliest first."""
    flat = extended.reshape(1, -1)  # (1, R * V)
    (ids,), (values,) = largest(flat, min(k, flat.size))
    order = np.argsort(-values, kind="stable")[:k]
    V = extended.shape[1]
    return [(int(i // V), int(i % V), v) for i, v in zip(ids[order], values[order], strict=True) if v > -np.inf]


def _bound(total, length, longest, length_penalty):
    """The best score that a beam of this log-probability and length can reach: as if all further tokens were certain.

    total is negative, so that a longer text scores higher under a positive penalty, and lower under a negative one.
    """
    return total / (longest if length_penalty >= 0 else length + 1) ** length_penalty
