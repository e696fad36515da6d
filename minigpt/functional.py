"""Functions on Tensors: `from minigpt import functional as F`.

Each applies an op from `ops/`, where formula, gradient, shapes, errors and source stand; step into it to read them.
Arguments may be Tensors, arrays or numbers.
"""

from __future__ import annotations

import numpy as np

from . import ops
from .backend import row_of
from .errors import ArgumentError, ShapeError
from .observe import OBSERVERS
from .operators import match
from .ops.attention import check_mask, check_qkv
from .ops.axes import named
from .ops.broadcast import normalize_axis, result_dtype
from .ops.dropout import check_probability
from .randomness import next_dropout_key
from .tensor import Tensor


def _tensor(x) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


def _bool_array(mask):
    """The mask's array, copied: backward needs it as it is now."""
    if mask is None:
        return None
    data = mask.data if isinstance(mask, Tensor) else mask
    row = row_of(data)
    return np.array(data) if row is None else row.copy(data)


# --- layers ---------------------------------------------------------------------------------------------


def linear(x, weight, bias=None, residual=None, transposed=False) -> Tensor:
    """y = x @ weight + bias + residual. x (..., in), weight (in, out), bias (out,), residual (..., out) -> (..., out)

    transposed: weight is (out, in), and y = x @ weight^T + bias + residual
    """
    return ops.Linear.apply(x, weight, bias, residual, transposed=transposed)


def linear_gelu(x, weight, bias=None) -> Tensor:
    """gelu(x @ weight + bias) in one op, tanh form. x (..., in), weight (in, out) -> (..., out)"""
    return ops.LinearGELU.apply(x, weight, bias)


def bias_residual(x, bias, residual) -> Tensor:
    """x + bias + residual in one op. x, residual (..., C), bias (C,) -> (..., C)"""
    return ops.BiasResidual.apply(x, bias, residual)


def embedding(ids, weight) -> Tensor:
    """Row ids[...] of weight. ids (...) integers, weight (V, C) -> (..., C)"""
    return ops.Embedding.apply(ids, weight)


def layer_norm(x, weight=None, bias=None, eps=1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axis. x (..., C) -> (..., C)"""
    return ops.LayerNorm.apply(x, weight, bias, eps=eps)


def dropout(x, p, rng=None, training=True) -> Tensor:
    """In training, zero with probability p, else x / (1 - p); otherwise x itself.

    rng: a numpy.random.Generator or int seed. Inside `randomness.dropout_keys` (the trainer) the masks come from there.
    """
    if not training or check_probability("dropout", p) == 0.0:
        return _tensor(x)
    key, first_example = next_dropout_key(rng)
    return ops.Dropout.apply(x, p=p, key=key, first_example=first_example)


# --- activation functions ---------------------------------------------------------------------------------


def relu(x) -> Tensor:
    """max(x, 0)"""
    return ops.ReLU.apply(x)


def gelu(x, approximate="tanh") -> Tensor:
    """x * Phi(x); approximate is "tanh" (GPT-2's form) or "none" (exact)"""
    return ops.GELU.apply(x, approximate=approximate)


def sigmoid(x) -> Tensor:
    """1 / (1 + e^-x)"""
    return ops.Sigmoid.apply(x)


def tanh(x) -> Tensor:
    """Hyperbolic tangent."""
    return ops.Tanh.apply(x)


def softmax(x, axis=-1) -> Tensor:
    """exp(x) / sum exp(x) over one axis; a row of only -inf gives zeros"""
    return ops.Softmax.apply(x, axis=axis)


def log_softmax(x, axis=-1) -> Tensor:
    """log softmax(x) over one axis, in nats"""
    return ops.LogSoftmax.apply(x, axis=axis)


# --- loss -------------------------------------------------------------------------------------------------


def cross_entropy(logits, targets, ignore_index=-100, reduction="mean", label_smoothing=0.0) -> Tensor:
    """-log softmax(logits)[target], in nats. logits (..., V), targets (...) -> () or, with "none", (...)"""
    return ops.CrossEntropy.apply(
        logits, targets, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )


# --- attention --------------------------------------------------------------------------------------------


def scaled_dot_product_attention(q, k, v, mask=None, causal=False, dropout_p=0.0, scale=None, rng=None) -> Tensor:
    """softmax(scale * q @ k^T + mask) @ v, fused into one op.

    q (B, H, Tq, D), k, v (B, H, Tk, D) -> (B, H, Tq, D). mask: boolean, True = may attend, broadcasts to
    (B, H, Tq, Tk) and is ANDed with causal (j <= i + Tk - Tq). scale: 1 / sqrt(D) unless given.
    """
    settings = {"mask": _bool_array(mask), "causal": causal, "scale": scale}
    return ops.Attention.apply(q, k, v, **settings, dropout=dropout_setting(dropout_p, rng))


def self_attention(qkv, n_head, mask=None, causal=False, dropout_p=0.0, scale=None, rng=None) -> Tensor:
    """The same on queries, keys and values side by side: qkv (B, T, 3C) -> (B, T, C)"""
    settings = {"mask": _bool_array(mask), "causal": causal, "scale": scale}
    return ops.AttentionQKV.apply(qkv, n_head=n_head, **settings, dropout=dropout_setting(dropout_p, rng))


def cached_attention(qkv, n_head, cache, mask=None, causal=True) -> Tensor:
    """The same for T tokens that follow those of a cache, which takes theirs in: qkv (B, T, 3C) -> (B, T, C)

    cache: a decoding.cache.LayerCache. It keeps plain arrays, so there are no gradients.
    """
    return ops.AttentionCached.apply(qkv, n_head=n_head, cache=cache, mask=_bool_array(mask), causal=causal)


def attention_with_weights(q, k, v, mask=None, causal=False, dropout_p=0.0, scale=None, rng=None):
    """The same formula as separate ops, so that what lies between can be seen: (y, weights (B, H, Tq, Tk))

    The weights are those before dropout. Observers see "scores" (scaled, before the mask) and "weights".
    """
    q, k, v = _tensor(q), _tensor(k), _tensor(v)
    check_qkv(q, k, v)
    Tq, Tk, D = q.shape[2], k.shape[2], q.shape[3]
    mask = check_mask(_bool_array(mask), (*q.shape[:3], Tk))
    scores = label(q @ k.swapaxes(-1, -2) * (D**-0.5 if scale is None else scale), "scores")  # (B, H, Tq, Tk)
    if causal:
        scores = where(np.tri(Tq, Tk, Tk - Tq, dtype=bool), scores, -np.inf)
    if mask is not None:
        scores = where(mask, scores, -np.inf)
    weights = label(softmax(scores), "weights")  # (B, H, Tq, Tk)
    p, key, first_example = dropout_setting(dropout_p, rng)
    dropped = ops.Dropout.apply(weights, p=p, key=key, first_example=first_example) if p else weights
    return dropped @ v, weights  # (B, H, Tq, D)


def dropout_setting(p, rng) -> tuple[float, int, int]:
    """(p, key, first example), as the kernels take it; no random number is drawn for p = 0."""
    p = check_probability("dropout", p)
    return (p, *next_dropout_key(rng)) if p else (0.0, 0, 0)


# --- recurrent --------------------------------------------------------------------------------------------


def lstm_cell(a, c_prev) -> tuple[Tensor, Tensor]:
    """Gates from pre-activations a (B, 4 hidden) in the order i f g o, and c_prev (B, hidden) -> (h, c)"""
    return ops.LSTMCell.apply(a, c_prev)


def lstm(a, w_hh, h0, c0, lengths=None) -> tuple[Tensor, Tensor, Tensor]:
    """All steps of one layer: a (B, T, 4 hidden), w_hh (4 hidden, hidden), h0, c0 (B, hidden) -> (y, h_n, c_n)"""
    return ops.LSTM.apply(a, w_hh, h0, c0, lengths=lengths)


def gru(a, w_hh, b_hh, h0, lengths=None) -> tuple[Tensor, Tensor]:
    """All steps of one layer: a (B, T, 3 hidden), w_hh (3 hidden, hidden), h0 (B, hidden) -> (y, h_n)"""
    return ops.GRU.apply(a, w_hh, b_hh, h0, lengths=lengths)


def rnn(a, w_hh, h0, lengths=None, nonlinearity="tanh") -> tuple[Tensor, Tensor]:
    """All steps of one layer: a (B, T, hidden), w_hh (hidden, hidden), h0 (B, hidden) -> (y, h_n)"""
    return ops.RNN.apply(a, w_hh, h0, lengths=lengths, nonlinearity=nonlinearity)


# --- putting together and choosing ------------------------------------------------------------------------


def concatenate(tensors, axis=0) -> Tensor:
    """One after another along an existing axis; all other axes must agree."""
    tensors = [_tensor(t) for t in tensors]
    dtype = result_dtype(*(t.data for t in tensors)) if tensors else None
    return ops.Concatenate.apply(*(t.astype(dtype) for t in tensors), axis=axis)


def stack(tensors, axis=0) -> Tensor:
    """Side by side along a new axis; all shapes must be equal."""
    tensors = [_tensor(t) for t in tensors]
    if not tensors:
        raise ArgumentError("stack needs at least one tensor, got none")
    for i, t in enumerate(tensors):
        if t.shape != tensors[0].shape:
            raise ShapeError(
                f"stack: tensor 0 has shape {named(tensors[0].shape)}, tensor {i} has {named(t.shape)}; all must be "
                "equal: stack makes a new axis, concatenate joins along one that is there"
            )
    axis = normalize_axis("stack", axis, tensors[0].ndim + 1)
    key = (slice(None),) * axis + (None,)
    return concatenate([t[key] for t in tensors], axis)


def where(condition, a, b) -> Tensor:
    """a where condition is true, else b; all three broadcast. condition: boolean"""
    condition = _tensor(condition)
    if condition.dtype.kind != "b":
        raise ArgumentError(f"where: condition must be boolean, got {condition.dtype}; compare first, e.g. x > 0")
    a, b = match(a, b)
    return ops.Where.apply(condition, a, b)


def label(x: Tensor, name: str, step: tuple[int, int] | None = None) -> Tensor:
    """x itself, under a name that observers see and may replace; free of cost while nobody observes.

    step: (t, T) in a loop that gives the same name to a value at each of its T steps
    """
    return ops.Label.apply(x, name=name, step=step) if OBSERVERS.get() else x
