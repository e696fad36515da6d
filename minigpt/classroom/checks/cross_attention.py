"""ex_cross_attention: queries from one sequence, keys and values from another, whose padding is hidden."""

import numpy as np

from ... import nn
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("cross_attention", outputs=("y", "weights"))


@exercise.reference
def cross_attention(x, context, lengths, W_attn, W_proj, n_head):
    m = nn.MultiHeadAttention(x.shape[-1], n_head, qkv_bias=False, proj_bias=False, rng=0)
    m.c_attn.weight.data, m.c_proj.weight.data = W_attn, W_proj
    real = (np.arange(context.shape[1]) < lengths[:, None])[:, None, None, :]  # (B, 1, 1, Tk)
    y, weights = m(Tensor(x), context=Tensor(context), mask=real, return_weights=True)
    return y.numpy(), weights.numpy()


def _case(label, rng, Tq, Tk, C, n_head, lengths=(), dtype=np.float64):
    """lengths: those of the contexts, which decide B; none: one context, all of it"""
    lengths = np.array(lengths or [Tk])
    x, context = rng.normal(size=(len(lengths), Tq, C)), rng.normal(size=(len(lengths), Tk, C))
    arrays = x, context, rng.normal(size=(C, 3 * C)), rng.normal(size=(C, C))
    x, context, W_attn, W_proj = (a.astype(dtype) for a in arrays)
    return Case(label, x, context, lengths, W_attn, W_proj, n_head)


@exercise.part("weights of one head", points=2, of=["weights"])
def one_head(rng):
    yield _case("as many queries as keys", rng, 3, 3, 2, 1)
    yield _case("two queries, four keys", rng, 2, 4, 2, 1)


@exercise.part("output of one head", points=2, of=["y"])
def output(rng):
    yield _case("as many queries as keys", rng, 3, 3, 2, 1)
    yield _case("four queries, two keys", rng, 4, 2, 2, 1)
    yield _case("one query, one key", rng, 1, 1, 2, 1)


@exercise.part("several heads", points=2)
def heads(rng):
    yield _case("two heads of two channels", rng, 2, 3, 4, 2)
    yield _case("three heads of two channels", rng, 3, 2, 6, 3)


@exercise.part("padding", points=2)
def padding(rng):
    yield _case("the first of two contexts is shorter", rng, 2, 3, 2, 1, (2, 3))
    yield _case("three lengths, two heads", rng, 3, 4, 4, 2, tuple(rng.permutation([1, 3, 4])))


@exercise.part("an empty context")
def empty(rng):
    yield _case("the second of two", rng, 2, 2, 2, 1, (2, 0))


@exercise.part("float32 stays float32")
def single(rng):
    yield _case("float32", rng, 2, 3, 4, 2, (3, 1), np.float32)


def _softmax(scores, axis=-1):
    """A row of nothing but -inf gives zeros."""
    m = scores.max(axis, keepdims=True)
    e = np.exp(scores - np.where(m == -np.inf, np.zeros_like(m), m))
    total = e.sum(axis, keepdims=True)
    return e / np.where(total == 0, np.ones_like(total), total)


def _split(x, n_head):
    B, T, C = x.shape
    return x.reshape(B, T, n_head, C // n_head).swapaxes(1, 2)  # (B, H, T, D)


def _join(y):
    B, H, T, D = y.shape
    return y.swapaxes(1, 2).reshape(B, T, H * D)


def _answer(x, context, lengths, W_attn, W_proj, n_head, sources="xcc", order=(0, 1, 2), split=_split, join=_join,
            mask=None, scale=None, axis=-1):  # fmt: skip
    """sources: for q, k and v whether from x or context; order: which third of W_attn; mask(scores, real) -> weights"""
    C = x.shape[-1]
    thirds = [W_attn[:, n * C : (n + 1) * C] for n in order]
    q, k, v = (split({"x": x, "c": context}[s] @ W, n_head) for s, W in zip(sources, thirds, strict=True))
    scores = q @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)  # (B, H, Tq, Tk)
    real = (np.arange(context.shape[1]) < lengths[:, None])[:, None, None, :]  # (B, 1, 1, Tk)
    w = _softmax(np.where(real, scores, -np.inf), axis) if mask is None else mask(scores, real)
    return join(w @ v) @ W_proj, w


@exercise.mistake(
    "Query and key have changed sides: yours asks from the context and looks at x. There is one output for each token "
    "of x, so x asks; the context is what is looked at."
)
def sides_changed(x, context, lengths, W_attn, W_proj, n_head):
    lengths = np.full(len(x), x.shape[1])
    return _answer(context, x, lengths, W_attn, W_proj, n_head)


@exercise.mistake(
    "This is self-attention: x looks at itself, and the context has no effect. Keys and values come from it."
)
def self_attention(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, x, np.full(len(x), x.shape[1]), W_attn, W_proj, n_head)


@exercise.mistake(
    "The values come from x. A weight says which token of the context is meant, so what is collected must be that "
    "token's value: keys and values come from the same sequence."
)
def values_of_x(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, W_proj, n_head, sources="xcx")


@exercise.mistake(
    "The keys come from x, so the weights compare x with itself; what x is compared with is the context, whose values "
    "are collected."
)
def keys_of_x(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, W_proj, n_head, sources="xxc")


@exercise.mistake(
    "The thirds of W_attn are taken in another order. As in GPT-2 its columns are q | k | v: the first C make queries, "
    "the next C keys, the last C values."
)
def other_order(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, W_proj, n_head, order=(1, 0, 2))


@exercise.mistake("The output is not multiplied by W_proj, which mixes what the heads have collected.")
def without_projection(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, np.eye(len(W_proj), dtype=x.dtype), n_head)


@exercise.mistake(
    "A reshape from (B, T, C) straight to (B, H, T, D) cuts the tokens in pieces: it keeps the order in memory, so a "
    "head gets all channels of some tokens. First (B, T, H, D), then exchange the axes T and H."
)
def split_by_reshape(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, W_proj, n_head,
                   split=lambda x, H: x.reshape(x.shape[0], H, x.shape[1], -1))  # fmt: skip


@exercise.mistake(
    "The heads are joined in the wrong order: a reshape of (B, H, T, D) puts one head's tokens side by side. Exchange "
    "the axes H and T first, so that a token's heads lie together."
)
def joined_by_reshape(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, W_proj, n_head, join=lambda y: y.reshape(y.shape[0], y.shape[2], -1))


@exercise.mistake(
    "The scale is that of all C channels together. Each head adds up D = C / n_head products: divide by sqrt(D)."
)
def scale_of_all_channels(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, W_proj, n_head, scale=x.shape[-1] ** -0.5)


@exercise.mistake("The scores are not divided by sqrt(D).")
def without_scale(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, W_proj, n_head, scale=1.0)


@exercise.mistake(
    "The softmax runs over the queries. Each query distributes its attention over the context: rows of (Tq, Tk) add up "
    "to 1."
)
def over_queries(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, W_proj, n_head, axis=-2)


@exercise.mistake(
    "A causal mask has no place here: the whole source text has been read before the first word of the other is "
    "written, and its positions are not those of x."
)
def causal(x, context, lengths, W_attn, W_proj, n_head):
    def mask(scores, real):
        Tq, Tk = scores.shape[-2:]
        return _softmax(np.where(real & np.tri(Tq, Tk, dtype=bool), scores, -np.inf))

    return _answer(x, context, lengths, W_attn, W_proj, n_head, mask=mask)


@exercise.mistake("The lengths have no effect: padding of the context gets attention like any token.")
def padding_seen(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, W_proj, n_head, mask=lambda scores, real: _softmax(scores))


@exercise.mistake(
    "You masked after the softmax: the padding has then already taken its share, and the row adds up to less than 1."
)
def mask_after_softmax(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, W_proj, n_head, mask=lambda scores, real: _softmax(scores) * real)


@exercise.mistake(
    "One token of padding is still seen: a context of length n has the tokens 0 … n - 1, so j < n is real, j = n is "
    "not."
)
def one_too_many(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths + 1, W_attn, W_proj, n_head)


@exercise.mistake(
    "An empty context leaves only scores of -inf, and -inf - -inf is nan. Who sees nothing collects nothing: weights "
    "and output are 0."
)
def nan_where_nothing_is_seen(x, context, lengths, W_attn, W_proj, n_head):
    def mask(scores, real):
        scores = np.where(real, scores, -np.inf)
        e = np.exp(scores - scores.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    return _answer(x, context, lengths, W_attn, W_proj, n_head, mask=mask)


@exercise.mistake(
    "A large negative number in place of -inf: in an empty context all scores are equally low, and the padding gets "
    "all of the attention."
)
def large_negative_number(x, context, lengths, W_attn, W_proj, n_head):
    return _answer(x, context, lengths, W_attn, W_proj, n_head,
                   mask=lambda scores, real: _softmax(np.where(real, scores, -1e9)))  # fmt: skip
