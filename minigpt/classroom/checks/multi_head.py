"""ex_multi_head: cut queries, keys and values into heads, and put the heads' outputs side by side again."""

import numpy as np

from ... import functional as F
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("multi_head", outputs=("q", "k", "v", "y"))


def _split(x, n_head):
    """(B, T, C) -> (B, H, T, D)"""
    B, T, C = x.shape
    return x.reshape(B, T, n_head, C // n_head).swapaxes(1, 2)


def _merge(y):
    """(B, H, T, D) -> (B, T, C)"""
    B, H, T, D = y.shape
    return y.swapaxes(1, 2).reshape(B, T, H * D)


def _attend(q, k, v):
    return F.scaled_dot_product_attention(Tensor(q), Tensor(k), Tensor(v), causal=True).numpy()


@exercise.reference
def multi_head(qkv, n_head):
    q, k, v = (_split(x, n_head) for x in np.split(qkv, 3, axis=-1))  # (B, H, T, D) each
    return q, k, v, F.self_attention(Tensor(qkv), n_head, causal=True).numpy()


def _case(label, rng, B, T, C, n_head, dtype=np.float64):
    return Case(label, rng.normal(size=(B, T, 3 * C)).astype(dtype), n_head)


@exercise.part("q, k and v by heads", points=3, of=["q", "k", "v"])
def heads(rng):
    yield Case("numbers that count: token 0 has 0 … 11, token 1 has 12 … 23", np.arange(24.0).reshape(1, 2, 12), 2)
    yield _case("two sequences of three tokens", rng, 2, 3, 4, 2)
    yield _case("three heads of two", rng, 2, 2, 6, 3)


@exercise.part("output", points=3, of=["y"])
def output(rng):
    yield _case("two tokens, two heads", rng, 1, 2, 4, 2)
    yield _case("two sequences of three tokens", rng, 2, 3, 4, 2)
    yield _case("three heads of two", rng, 2, 4, 6, 3)


@exercise.part("edges")
def edges(rng):
    yield _case("one head", rng, 2, 3, 2, 1)
    yield _case("heads of one channel", rng, 1, 3, 2, 2)
    yield _case("one token", rng, 2, 1, 4, 2)
    yield Case("not contiguous in memory", rng.normal(size=(1, 12, 3)).swapaxes(1, 2), 2)


@exercise.part("float32 stays float32")
def single(rng):
    yield _case("float32", rng, 1, 2, 4, 2, np.float32)


def _answer(qkv, n_head, split=_split, merge=_merge, parts=lambda qkv: np.split(qkv, 3, axis=-1), attend=_attend):
    q, k, v = (np.ascontiguousarray(split(x, n_head)) for x in parts(qkv))
    return q, k, v, merge(attend(q, k, v))


@exercise.mistake(
    "You reshaped (B, T, C) to (B, H, T, D) at once. The shape fits, but a reshape only reads on: your first head gets "
    "all channels of the first tokens. Cut C into (H, D) where it stands, at the end, then swap the axes T and H."
)
def reshaped_at_once(qkv, n_head):
    def split(x, H):
        B, T, C = x.shape
        return x.reshape(B, H, T, C // H)

    return _answer(qkv, n_head, split)


@exercise.mistake(
    "You put the heads together by a reshape of (B, H, T, D) to (B, T, C) alone. It reads on head by head, so that "
    "tokens get mixed up, and a token sees what comes after it. Swap H and T back first, then (H, D) become C."
)
def merged_at_once(qkv, n_head):
    return _answer(qkv, n_head, merge=lambda y: y.reshape(y.shape[0], y.shape[2], -1))


@exercise.mistake(
    "The axes T and H are not swapped: your q is (B, T, H, D). Attention works along the last two axes, so at each "
    "token the heads attended to one another, and no token saw another."
)
def not_swapped(qkv, n_head):
    def split(x, H):
        return x.reshape(*x.shape[:2], H, -1)

    return _answer(qkv, n_head, split, merge=lambda y: y.reshape(*y.shape[:2], -1))


@exercise.mistake(
    "You took n_head for the width of a head. There are n_head heads, each with D = C // n_head channels: the axis C "
    "becomes (H, D)."
)
def head_count_as_width(qkv, n_head):
    return _answer(qkv, n_head, lambda x, H: _split(x, x.shape[-1] // H))


@exercise.mistake(
    "Your heads take every H-th channel: C became (D, H). A head owns neighbouring channels, D of them: C becomes (H, "
    "D), and the weights of a GPT-2 are stored that way."
)
def strided_heads(qkv, n_head):
    def split(x, H):
        B, T, C = x.shape
        return x.reshape(B, T, C // H, H).transpose(0, 3, 1, 2)

    return _answer(qkv, n_head, split)


@exercise.mistake(
    "You cut the axis 3C into heads first, and each head into its q, k and v. The packing is the other way round: "
    "first all queries (C channels), then all keys, then all values; each of these is cut into heads."
)
def packed_by_heads(qkv, n_head):
    B, T, C3 = qkv.shape

    def parts(qkv):
        x = qkv.reshape(B, T, n_head, 3, -1)
        return [x[:, :, :, i].reshape(B, T, C3 // 3) for i in range(3)]

    return _answer(qkv, n_head, parts=parts)


@exercise.mistake(
    "You took every third channel for the queries. The three stand one after the other: channels 0 … C - 1 are the "
    "queries, the next C the keys, the last C the values."
)
def every_third(qkv, n_head):
    return _answer(qkv, n_head, parts=lambda qkv: [qkv[..., i::3] for i in range(3)])


@exercise.mistake("Queries and keys are exchanged. The order of the packing is q, k, v, first to last.")
def keys_first(qkv, n_head):
    def parts(qkv):
        q, k, v = np.split(qkv, 3, axis=-1)
        return k, q, v

    return _answer(qkv, n_head, parts=parts)


@exercise.mistake(
    "You added the outputs of the heads up. They stand side by side, (H, D) becoming C channels again; bringing them "
    "together is left to the matrix that comes after."
)
def heads_added(qkv, n_head):
    return _answer(qkv, n_head, merge=lambda y: y.sum(axis=1))


@exercise.mistake(
    "The channels of your output stand in the order (D, H): the first channel of all heads, then the second. Head 0 "
    "comes first with all its D channels, then head 1."
)
def merged_strided(qkv, n_head):
    return _answer(qkv, n_head, merge=lambda y: y.transpose(0, 2, 3, 1).reshape(y.shape[0], y.shape[2], -1))


@exercise.mistake(
    "Your y is attention in one head over all channels. Cut q, k and v into heads before attention: each head has "
    "weights of its own."
)
def one_head_only(qkv, n_head):
    q, k, v, _ = multi_head(qkv, n_head)
    return q, k, v, multi_head(qkv, 1)[3]


@exercise.mistake(
    "T and D are exchanged in your heads: they are (B, H, D, T). Attention multiplies along the last axis, which must"
    " be the channels; in front of it the tokens: (B, H, T, D)."
)
def channels_before_tokens(qkv, n_head):
    return _answer(
        qkv,
        n_head,
        split=lambda x, H: _split(x, H).swapaxes(-1, -2),
        merge=lambda y: _merge(y.swapaxes(-1, -2)),
    )


@exercise.mistake(
    "Your tokens see those after them: y is right for the last token only. The attention of a language model is "
    "causal, as the `attend` that is given."
)
def not_causal(qkv, n_head):
    def attend(q, k, v):
        return F.scaled_dot_product_attention(Tensor(q), Tensor(k), Tensor(v)).numpy()

    return _answer(qkv, n_head, attend=attend)
