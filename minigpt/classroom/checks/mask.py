"""ex_mask: who may attend to whom: not to later tokens, not to padding."""

import numpy as np

from ... import functional as F
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("mask", outputs=("mask",))


@exercise.reference
def mask(lengths, Tq, Tk):
    """Where the library's attention puts weight: equal scores, causal, keys beyond the length hidden."""
    B = len(lengths)
    q, k = Tensor(np.zeros((B, 1, Tq, 1))), Tensor(np.zeros((B, 1, Tk, 1)))
    real = (np.arange(Tk) < lengths[:, None])[:, None, None, :]  # (B, 1, 1, Tk)
    _, weights = F.attention_with_weights(q, k, k, real, causal=True)
    return weights.numpy() > 0  # (B, 1, Tq, Tk)


@exercise.part("no token sees a later one", points=2)
def causal(rng):
    yield Case("one sequence of four", np.array([4]), 4, 4)
    yield Case("two sequences of three", np.array([3, 3]), 3, 3)


@exercise.part("no token sees padding", points=2)
def padding(rng):
    yield Case("the first of two is shorter", np.array([2, 4]), 4, 4)
    yield Case("three lengths", rng.permutation([1, 2, 4]), 4, 4)


@exercise.part("fewer queries than keys", points=2)
def cached(rng):
    yield Case("two new tokens behind three known ones", np.array([5]), 2, 5)
    yield Case("one new token sees all", np.array([4]), 1, 4)
    yield Case("with padding", np.array([5, 3]), 2, 5)


@exercise.part("edges")
def edges(rng):
    yield Case("one token", np.array([1]), 1, 1)
    yield Case("an empty sequence sees nothing", np.array([0, 2]), 2, 2)


def _grid(Tq, Tk):
    return np.arange(Tq)[:, None], np.arange(Tk)


def _combined(lengths, allowed, length_mask=None):
    """allowed (Tq, Tk) and keys below the length, (B, 1, Tq, Tk)"""
    real = np.arange(allowed.shape[1]) < lengths[:, None] if length_mask is None else length_mask
    return allowed & real[:, None, None, :]


@exercise.mistake("Your mask is turned round. True means `may attend`, as in the library; you marked what is hidden.")
def turned_round(lengths, Tq, Tk):
    return ~mask(lengths, Tq, Tk)


@exercise.mistake(
    "Each token sees itself and those after it: the future, which a language model is to predict. A query may look at"
    " keys with j <= i: the lower triangle."
)
def the_future(lengths, Tq, Tk):
    i, j = _grid(Tq, Tk)
    return _combined(lengths, j >= i + Tk - Tq)


@exercise.mistake(
    "No token sees itself. Token i has been read when token i + 1 is predicted, so the diagonal is allowed: j <= i. "
    "Without it the first token would see nothing at all."
)
def not_itself(lengths, Tq, Tk):
    i, j = _grid(Tq, Tk)
    return _combined(lengths, j < i + Tk - Tq)


@exercise.mistake(
    "Your queries are counted from the first key. With a cache the queries are the last Tq of Tk tokens: query i is "
    "token i + Tk - Tq, and the last one sees every key."
)
def aligned_at_the_start(lengths, Tq, Tk):
    i, j = _grid(Tq, Tk)
    return _combined(lengths, j <= i)


@exercise.mistake(
    "You hid the rows of the padding, not its columns. What must be hidden is the padding as a key, in the last axis;"
    " what a padding query collects is thrown away anyway."
)
def queries_hidden(lengths, Tq, Tk):
    i, j = _grid(Tq, Tk)
    real = i[:, 0] + Tk - Tq < lengths[:, None]  # (B, Tq)
    return (j <= i + Tk - Tq) & real[:, None, :, None]


@exercise.mistake(
    "The first token of the padding is still visible. Counted from 0, a sequence of length n has the tokens 0 … n - "
    "1: j < n."
)
def one_too_long(lengths, Tq, Tk):
    i, j = _grid(Tq, Tk)
    return _combined(lengths, j <= i + Tk - Tq, np.arange(Tk) <= lengths[:, None])


@exercise.mistake("The lengths have no effect: tokens still see the padding.")
def padding_seen(lengths, Tq, Tk):
    i, j = _grid(Tq, Tk)
    return np.broadcast_to(j <= i + Tk - Tq, (len(lengths), 1, Tq, Tk)).copy()


@exercise.mistake("Only the padding is hidden: each token still sees those after it.")
def padding_only(lengths, Tq, Tk):
    return _combined(lengths, np.ones((Tq, Tk), bool))


@exercise.mistake(
    "You joined the two conditions with `or`. A key must be no later than the query and also no padding: `&`."
)
def either(lengths, Tq, Tk):
    i, j = _grid(Tq, Tk)
    real = np.arange(Tk) < lengths[:, None]
    return (j <= i + Tk - Tq) | real[:, None, None, :]


@exercise.mistake(
    "These are numbers to be added to the scores, 0 and -inf. Wanted is a boolean mask: who may attend, as `j <= i` "
    "gives."
)
def to_be_added(lengths, Tq, Tk):
    return np.where(mask(lengths, Tq, Tk), 0.0, -np.inf)


@exercise.mistake(
    "The axis of the heads is missing. Attention compares the mask with scores (B, H, Tq, Tk) from the last axis on, "
    "so (B, Tq, Tk) would be read as one mask per head; wanted is (B, 1, Tq, Tk)."
)
def without_heads(lengths, Tq, Tk):
    return mask(lengths, Tq, Tk)[:, 0]
