"""Scaled dot-product attention, fused: scores, mask, softmax and weighted sum in one op.

`minigpt.functional.scaled_dot_product_attention` runs the same formula as separate ops when the weights are asked
for; tests hold the two equal.
"""

from __future__ import annotations

from typing import NoReturn

from ..errors import ArgumentError, ShapeError
from .axes import broadcast_or_none, named, refuse_broadcast
from .op import Op


class Attention(Op):
    """weights = softmax(scale * q @ k^T + mask),  y = dropout(weights) @ v

    Backward: dv = weights^T @ dy, dweights = dy @ v^T, dscores = weights * (dweights - sum_d dy_d y_d),
              dq = scale * dscores @ k, dk = scale * dscores^T @ q; the weights are recomputed from lse
    Shapes:   q (B, H, Tq, D), k, v (B, H, Tk, D) -> y (B, H, Tq, D)
    Settings: mask boolean, True = may attend, broadcasts to (B, H, Tq, Tk); causal: j <= i + Tk - Tq; both: AND.
              dropout (p, key, first_example). A query that may attend to nothing gives zeros and zero gradient.
    Raises:   ShapeError, ArgumentError
    Source:   Vaswani et al. 2017, section 3.2.1; recomputation: Dao et al. 2022, section 3.1
    """

    float_inputs = 3

    @staticmethod
    def forward(ctx, q, k, v, mask=None, causal=False, scale=None, dropout=(0.0, 0, 0)):
        check_qkv(q, k, v)
        mask = on_row(ctx.row, check_mask(mask, (*q.shape[:3], k.shape[2])))
        ctx.settings = (mask, causal, _scale(scale, q.shape[-1]), dropout)
        y, lse = ctx.row.attention_forward(q, k, v, *ctx.settings)
        ctx.save(q, k, v, y, lse)
        return y

    @staticmethod
    def backward(ctx, dy):
        q, k, v, y, lse = ctx.saved
        return ctx.row.attention_backward(dy, q, k, v, y, lse, *ctx.settings)


class AttentionQKV(Op):
    """Self-attention on queries, keys and values that lie side by side, as one linear layer makes them

    Shapes:   qkv (B, T, 3C) -> y (B, T, C); head h uses columns h D … (h + 1) D of each third
    Settings: n_head, and those of Attention; formulas and sources there
    """

    float_inputs = 1

    @staticmethod
    def forward(ctx, qkv, n_head, mask=None, causal=False, scale=None, dropout=(0.0, 0, 0)):
        if n_head < 1 or qkv.ndim != 3 or qkv.shape[-1] % (3 * n_head):
            have = named(qkv.shape, "B T 3C") if qkv.ndim == 3 else str(qkv.shape)
            raise ShapeError(f"attention: qkv is {have}, needs (B, T, 3C) with C divisible by {n_head} heads")
        B, T, C3 = qkv.shape
        mask = on_row(ctx.row, check_mask(mask, (B, n_head, T, T)))
        ctx.settings = (n_head, mask, causal, _scale(scale, C3 // (3 * n_head)), dropout)
        y, lse = ctx.row.attention_qkv_forward(qkv, *ctx.settings)
        ctx.save(qkv, y, lse)
        return y  # (B, T, C)

    @staticmethod
    def backward(ctx, dy):
        qkv, y, lse = ctx.saved
        return ctx.row.attention_qkv_backward(dy, qkv, y, lse, *ctx.settings)  # (B, T, 3C)


class AttentionCached(Op):
    """Self-attention of new tokens on those of a cache and on themselves, for generation

    Shapes:   qkv (B, T, 3C) of the T new tokens -> y (B, T, C)
    Settings: n_head; cache, whose append(k, v), (B, H, T, D) each, returns the keys and values of all tokens so far;
              mask and causal as in Attention, over all those keys
    There is no backward: the cache keeps plain arrays, through which no gradient passes.
    """

    float_inputs = 1

    @staticmethod
    def forward(ctx, qkv, n_head, cache, mask=None, causal=False, scale=None):
        row, (B, T, C3) = ctx.row, qkv.shape
        C = C3 // 3
        parts = row.permute(row.reshape(qkv, (B, T, 3, n_head, C // n_head)), (2, 0, 3, 1, 4))  # (3, B, H, T, D)
        q, k, v = (row.slice_forward(parts, i) for i in range(3))  # (B, H, T, D) each
        k, v = cache.append(k, v)  # (B, H, Tk, D)
        mask = on_row(row, check_mask(mask, (B, n_head, T, k.shape[2])))
        y, _ = row.attention_forward(q, k, v, mask, causal, _scale(scale, C // n_head))  # (B, H, T, D)
        return row.reshape(row.permute(y, (0, 2, 1, 3)), (B, T, C))  # (B, T, C)


def _scale(scale, D):
    return 1.0 / D**0.5 if scale is None else float(scale)


def on_row(row, mask):
    """The mask where the row's kernels can read it; masks are often made on the host."""
    return mask if mask is None or row.is_array(mask) else row.from_host(mask)


def check_qkv(q, k, v):
    """q (B, H, Tq, D), k and v (B, H, Tk, D), or a ShapeError that says which axis differs."""
    for name, x in (("q", q), ("k", k), ("v", v)):
        if x.ndim != 4:
            hint = f"; one head: {name}[:, None], one sequence: {name}[None]" if x.ndim == 3 else ""
            raise ShapeError(f"attention: {name} has shape {x.shape}, needs four axes (B, H, T, D){hint}")
    if q.shape[-1] == 0:
        raise ShapeError(f"attention: q has shape {q.shape}, the head width D must be at least 1")
    for axis, axis_name in ((0, "B"), (1, "H"), (3, "D")):
        lengths = (q.shape[axis], k.shape[axis], v.shape[axis])
        if len(set(lengths)) > 1:
            raise ShapeError(
                f"attention: q {named(q.shape)}, k {named(k.shape)}, v {named(v.shape)} must agree on axis "
                f"{axis_name}, which is {lengths[0]}, {lengths[1]}, {lengths[2]}"
            )
    if k.shape[2] != v.shape[2]:
        raise ShapeError(
            f"attention: there must be a value for each key, got k {named(k.shape)} and v {named(v.shape)}: "
            f"{k.shape[2]} keys, {v.shape[2]} values"
        )


def check_mask(mask, scores_shape):
    """The mask as given, if it is boolean and broadcasts to the scores' shape (B, H, Tq, Tk)."""
    if mask is None:
        return None
    if getattr(mask, "dtype", None) is None or mask.dtype.kind != "b":
        raise ArgumentError(
            f"attention: mask must be a boolean array (True = may attend), got {getattr(mask, 'dtype', type(mask))}; "
            "from numbers: mask != 0, from additive masks: mask > -1"
        )
    if broadcast_or_none(mask.shape, scores_shape) != scores_shape:
        _refuse_mask(mask.shape, scores_shape)
    return mask


def _refuse_mask(shape, scores) -> NoReturn:
    """The ShapeError for a mask, with the fix where it is one of (B, Tk) or (B, Tq, Tk) without the axis of heads."""
    B, _, Tq, Tk = scores
    names = "B H Tq Tk"
    hint = {
        (B, Tk): "; for each row of the batch: mask[:, None, None, :]",
        (B, Tq, Tk): "; for all heads: mask[:, None]",
    }
    if broadcast_or_none(shape, scores) is None:
        refuse_broadcast("attention", (shape, scores), ("mask", "scores"), names, hint.get(shape, ""))
    raise ShapeError(f"attention: mask {shape} must broadcast to {named(scores, names)}, and is larger")
