"""ex_attention: softmax(q @ k^T / sqrt(D)) @ v, with a mask."""

import numpy as np

from ... import functional as F
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("attention", outputs=("y", "weights"))


@exercise.reference
def attention(q, k, v, mask=None):
    y, weights = F.attention_with_weights(Tensor(q), Tensor(k), Tensor(v), mask)
    return y.numpy(), weights.numpy()


def _qkv(rng, B, H, Tq, Tk, D):
    return rng.normal(size=(B, H, Tq, D)), rng.normal(size=(B, H, Tk, D)), rng.normal(size=(B, H, Tk, D))


@exercise.part("weights", points=2, of=["weights"])
def weights(rng):
    yield Case("one head, three tokens", *_qkv(rng, 1, 1, 3, 3, 2))
    yield Case("two heads", *_qkv(rng, 1, 2, 2, 2, 3))
    yield Case("two sequences of two heads", *_qkv(rng, 2, 2, 3, 3, 4))


@exercise.part("output", points=2, of=["y"])
def output(rng):
    yield Case("one head, three tokens", *_qkv(rng, 1, 1, 3, 3, 2))
    yield Case("two sequences of two heads", *_qkv(rng, 2, 2, 3, 3, 4))


@exercise.part("more keys than queries")
def cross(rng):
    yield Case("two queries, four keys", *_qkv(rng, 1, 2, 2, 4, 2))
    yield Case("one query, one key", *_qkv(rng, 1, 1, 1, 1, 2))


@exercise.part("mask", points=2)
def masked(rng):
    yield Case("no token sees a later one", *_qkv(rng, 1, 1, 3, 3, 2), np.tri(3, dtype=bool))
    yield Case("the second sequence is shorter", *_qkv(rng, 2, 1, 2, 3, 2),
               np.array([[True, True, True], [True, True, False]])[:, None, None, :])  # fmt: skip
    yield Case("a key far above the others is masked", np.full((1, 1, 1, 4), 50.0),
               np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1).repeat(4, axis=3), rng.normal(size=(1, 1, 3, 4)),
               np.array([[True, True, False]]))  # fmt: skip


@exercise.part("scores in the thousands")
def large(rng):
    q, k, v = _qkv(rng, 1, 1, 2, 3, 4)
    yield Case("large queries", 2000 * q, k, v)


@exercise.part("a query that sees nothing")
def blind(rng):
    yield Case("the first of two", *_qkv(rng, 1, 1, 2, 2, 2), np.array([[False, False], [True, False]]))


@exercise.part("float32 stays float32")
def single(rng):
    yield Case("float32", *(x.astype(np.float32) for x in _qkv(rng, 1, 1, 2, 2, 3)))


def _softmax(scores, axis=-1):
    """A row of nothing but -inf gives zeros."""
    m = scores.max(axis, keepdims=True)
    e = np.exp(scores - np.where(m == -np.inf, np.zeros_like(m), m))
    total = e.sum(axis, keepdims=True)
    return e / np.where(total == 0, np.ones_like(total), total)


def _scores(q, k, scale=None):
    return q @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)


def _answer(q, k, v, mask, scale=None, axis=-1):
    scores = _scores(q, k, scale)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    w = _softmax(scores, axis)
    return w @ v, w


@exercise.mistake(
    "The scores are not scaled. A sum of D products has a standard deviation of sqrt(D), so the softmax becomes the "
    "sharper the wider a head is; divide by sqrt(D)."
)
def without_scale(q, k, v, mask=None):
    return _answer(q, k, v, mask, scale=1.0)


@exercise.mistake("You divided by D; the scores' standard deviation is sqrt(D), so divide by the square root of D.")
def divided_by_d(q, k, v, mask=None):
    return _answer(q, k, v, mask, scale=1 / q.shape[-1])


@exercise.mistake("You multiplied by sqrt(D). The scale makes the scores smaller: divide.")
def multiplied_by_root(q, k, v, mask=None):
    return _answer(q, k, v, mask, scale=q.shape[-1] ** 0.5)


@exercise.mistake(
    "You divided by the square root of the number of tokens. D is the width of a head, the last axis of q."
)
def root_of_tokens(q, k, v, mask=None):
    return _answer(q, k, v, mask, scale=k.shape[-2] ** -0.5)


@exercise.mistake(
    "You divided by the root of the number of channels of all heads together. Each head forms its own products, of D "
    "= C // H numbers: the last axis of q."
)
def root_of_all_channels(q, k, v, mask=None):
    return _answer(q, k, v, mask, scale=(q.shape[1] * q.shape[-1]) ** -0.5)


@exercise.mistake(
    "You took the softmax over the queries. Each query distributes its attention over the keys: every row of the "
    "weights (Tq, Tk) adds up to 1, so the softmax runs along the last axis."
)
def over_queries(q, k, v, mask=None):
    return _answer(q, k, v, mask, axis=-2)


@exercise.mistake(
    "You masked after the softmax. The masked keys have then already taken their share, and the row no longer adds up"
    " to 1: put -inf into the scores before the softmax."
)
def mask_after_softmax(q, k, v, mask=None):
    w = _softmax(_scores(q, k))
    w = w if mask is None else w * mask
    return w @ v, w


@exercise.mistake("Your mask is turned round. True means `may attend`; the -inf belongs where the mask is False.")
def mask_turned_round(q, k, v, mask=None):
    return _answer(q, k, v, None if mask is None else ~mask)


@exercise.mistake(
    "You multiplied the scores by the mask. A score of 0 is an ordinary score, exp(0) = 1, and may be the largest; "
    "only -inf gives a weight of 0."
)
def mask_gives_zero_scores(q, k, v, mask=None):
    w = _softmax(_scores(q, k) * (1.0 if mask is None else mask))
    return w @ v, w


@exercise.mistake("The mask has no effect in your function.")
def mask_ignored(q, k, v, mask=None):
    return _answer(q, k, v, None)


@exercise.mistake(
    "exp overflows, and inf/inf is nan. Take each row's maximum from the scores before the exponential; it cancels."
)
def without_shift(q, k, v, mask=None):
    scores = _scores(q, k)
    e = np.exp(scores if mask is None else np.where(mask, scores, -np.inf))
    total = e.sum(-1, keepdims=True)
    w = e / np.where(total == 0, 1.0, total)
    return w @ v, w


@exercise.mistake(
    "A query that sees nothing has only -inf as scores; its maximum is -inf, and -inf - -inf is nan. One such row of "
    "padding makes the whole loss nan. It has nothing to collect: its weights and its output are zeros."
)
def nan_where_nothing_is_seen(q, k, v, mask=None):
    scores = _scores(q, k)
    scores = scores if mask is None else np.where(mask, scores, -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    w = e / e.sum(-1, keepdims=True)
    return w @ v, w


@exercise.mistake(
    "A large negative number in place of -inf masks only as long as another key is there: where all are masked, all "
    "are equal again, and the query attends evenly to what it must not see."
)
def large_negative_number(q, k, v, mask=None):
    scores = _scores(q, k)
    w = _softmax(scores if mask is None else np.where(mask, scores, -1e9))
    return w @ v, w


@exercise.mistake(
    "The weights are applied the wrong way round: y[i] = sum_j weights[i, j] v[j] runs over the keys j, the last axis"
    " of the weights; no transpose."
)
def weights_transposed(q, k, v, mask=None):
    _, w = _answer(q, k, v, mask)
    return w.swapaxes(-1, -2) @ v, w
