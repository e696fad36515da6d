"""Attention, forward and backward, one head at a time. Formulas: kernels/reference/attention.py.

The last rung takes TILE queries at a time. With a causal mask the keys after the tile are not looked at, which saves
almost half. Only (TILE, Tk) scores exist at once; backward recomputes them from `lse` (Dao et al. 2022, section 3.1).
"""

import math

import numpy as np

from .arena import contiguous, empty
from .attention_single import apply_mask, single_query_heads, softmax_row
from .dropout import keep
from .jit import exp, gemm, kernel
from .ladder import rung

TILE = 64  # queries


@rung("attention_forward", 1, "one query after the other: scores, softmax, weighted sum")
@kernel
def attention_v1(q, k, v, causal, scale, y, lse):  # q, y (Tq, D), k, v (Tk, D), lse (Tq,)
    Tq, Tk, D = q.shape[0], k.shape[0], q.shape[1]
    scores = np.empty(Tk)
    for i in range(Tq):
        visible = min(Tk, i + Tk - Tq + 1) if causal else Tk
        m = -np.inf
        for j in range(visible):
            scores[j] = 0.0
            for d in range(D):
                scores[j] += scale * q[i, d] * k[j, d]
            m = max(m, scores[j])
        total = 0.0
        for j in range(visible):
            scores[j] = math.exp(scores[j] - m)
            total += scores[j]
        for d in range(D):
            y[i, d] = 0
        for j in range(visible):
            for d in range(D):
                y[i, d] += scores[j] / total * v[j, d]
        lse[i] = m + math.log(total) if visible > 0 else 0.0


@rung(
    "attention_forward", 2, "all scores of the head by one matrix product; vectorised softmax; masked half computed too"
)
@kernel
def attention_v2(q, k, v, causal, scale, y, lse):
    Tq, Tk = q.shape[0], k.shape[0]
    scores = np.empty((Tq, Tk), q.dtype)
    gemm(False, True, scale, q, k, 0.0, scores)
    for i in range(Tq):
        visible = max(0, min(Tk, i + Tk - Tq + 1)) if causal else Tk
        lse[i] = softmax_row(scores[i], visible, q.dtype.type(1))
    gemm(False, False, 1.0, scores, v, 0.0, y)


@kernel
def _drop(row, first_element, key, threshold, factor):
    """Dropout on one row of weights, whose elements are number first_element … of the whole (B, H, Tq, Tk)."""
    for j in range(row.size):
        kept = keep(np.uint64(first_element) + np.uint64(j), key, threshold)
        row[j] = row[j] * factor if kept else row.dtype.type(0)


@rung("attention_forward", 3, "tiles of queries; with a causal mask, keys after the tile are skipped; mask and dropout")
@kernel
def attention_v3(q, k, v, causal, scale, y, lse, scores, has_mask, mask, p, first, key, threshold, factor):
    """One head; scores (TILE, Tk) is scratch; `first` is the number of its first weight."""
    Tq, Tk = q.shape[0], k.shape[0]
    one = q.dtype.type(1)
    for start in range(0, Tq, TILE):
        stop = min(start + TILE, Tq)
        end = max(0, min(Tk, stop + Tk - Tq)) if causal else Tk
        if end == 0:
            y[start:stop] = q.dtype.type(0)
            lse[start:stop] = q.dtype.type(0)
            continue
        tile = scores[: stop - start, :end]
        gemm(False, True, scale, q[start:stop], k[:end], 0.0, tile)
        for i in range(start, stop):
            visible = max(0, min(Tk, i + Tk - Tq + 1)) if causal else Tk
            row = scores[i - start, :end]
            if has_mask:
                apply_mask(row, mask[i], visible)
            lse[i] = softmax_row(row, visible, one)
            if p > 0:
                _drop(row, first + i * Tk, key, threshold, factor)
        gemm(False, False, 1.0, tile, v[:end], 0.0, y[start:stop])


@rung("attention_backward", 1, "one query after the other, weights recomputed from lse")
@kernel
def attention_backward_v1(dy, q, k, v, y, lse, causal, scale, dq, dk, dv):
    Tq, Tk, D = q.shape[0], k.shape[0], q.shape[1]
    dq[:] = 0
    dk[:] = 0
    dv[:] = 0
    for i in range(Tq):
        visible = min(Tk, i + Tk - Tq + 1) if causal else Tk
        delta = 0.0
        for d in range(D):
            delta += dy[i, d] * y[i, d]
        for j in range(visible):
            score, dweight = 0.0, 0.0
            for d in range(D):
                score += scale * q[i, d] * k[j, d]
                dweight += dy[i, d] * v[j, d]
            weight = math.exp(score - lse[i])
            dscore = weight * (dweight - delta) * scale
            for d in range(D):
                dv[j, d] += weight * dy[i, d]
                dq[i, d] += dscore * k[j, d]
                dk[j, d] += dscore * q[i, d]


@rung("attention_backward", 2, "tiles of queries: five matrix products each, the causal half skipped; mask and dropout")
@kernel
def attention_backward_v2(
    dy, q, k, v, y, lse, causal, scale, dq, dk, dv, weights, dweights, has_mask, mask, p, first, key, threshold, factor
):
    """One head; weights and dweights (TILE, Tk) are scratch. The last tile, which sees all keys, comes first."""
    Tq, Tk, D = q.shape[0], k.shape[0], q.shape[1]
    zero = q.dtype.type(0)
    beta = 0.0  # the first tile writes dk and dv, the others add
    for start in range((Tq - 1) // TILE * TILE, -1, -TILE):
        stop = min(start + TILE, Tq)
        end = max(0, min(Tk, stop + Tk - Tq)) if causal else Tk
        if end == 0:
            dq[start:stop] = zero
            continue
        w, dw = weights[: stop - start, :end], dweights[: stop - start, :end]
        gemm(False, True, scale, q[start:stop], k[:end], 0.0, w)
        gemm(False, True, 1.0, dy[start:stop], v[:end], 0.0, dw)
        for i in range(start, stop):
            visible = max(0, min(Tk, i + Tk - Tq + 1)) if causal else Tk
            row, drow = weights[i - start, :end], dweights[i - start, :end]
            if has_mask:
                apply_mask(row, mask[i], visible)
            delta = zero
            for d in range(D):
                delta += dy[i, d] * y[i, d]
            if p == 0:
                _backward_row(row, drow, visible, lse[i], delta)
                continue
            _drop(drow, first + i * Tk, key, threshold, factor)
            _backward_row(row, drow, visible, lse[i], delta)
            _drop(row, first + i * Tk, key, threshold, factor)
        gemm(True, False, 1.0, w, dy[start:stop], beta, dv[:end])
        gemm(False, False, scale, dw, k[:end], 0.0, dq[start:stop])
        gemm(True, False, scale, dw, q[start:stop], beta, dk[:end])
        beta = 1.0


@kernel
def _backward_row(row, drow, visible, lse, delta):
    """row: scores become weights, e^(scores - lse); drow: their gradient becomes that of the scores."""
    for j in range(visible, row.size):
        row[j] = -np.inf
    for j in range(row.size):
        weight = exp(row[j] - lse)
        row[j] = weight
        drow[j] = weight * (drow[j] - delta)


# --- all heads of a batch ------------------------------------------------------------------------------------


@kernel
def _forward_heads(q, k, v, causal, scale, y, lse, has_mask, mask, p, first, key, threshold, factor):
    """q, y (B, Tq, H, D), k, v (B, Tk, H, D): views of any layout whose last axis is contiguous. lse (B, H, Tq)"""
    B, Tq, H, _ = q.shape
    Tk = k.shape[1]
    scores = np.empty((min(TILE, Tq), Tk), q.dtype)
    for b in range(B):
        for h in range(H):
            m = mask[b, h] if has_mask else mask[0, 0]
            number = first + (b * H + h) * Tq * Tk
            attention_v3(
                q[b, :, h], k[b, :, h], v[b, :, h], causal, scale, y[b, :, h], lse[b, h], scores, has_mask, m, p,
                number, key, threshold, factor,
            )  # fmt: skip


@kernel
def _backward_heads(
    dy, q, k, v, y, lse, causal, scale, dq, dk, dv, has_mask, mask, p, first, key, threshold, factor
):  # fmt: skip
    B, Tq, H, _ = q.shape
    Tk = k.shape[1]
    weights = np.empty((min(TILE, Tq), Tk), q.dtype)
    dweights = np.empty((min(TILE, Tq), Tk), q.dtype)
    for b in range(B):
        for h in range(H):
            m = mask[b, h] if has_mask else mask[0, 0]
            number = first + (b * H + h) * Tq * Tk
            attention_backward_v2(
                dy[b, :, h], q[b, :, h], k[b, :, h], v[b, :, h], y[b, :, h], lse[b, h], causal, scale, dq[b, :, h],
                dk[b, :, h], dv[b, :, h], weights, dweights, has_mask, m, p, number, key, threshold, factor,
            )  # fmt: skip


NO_MASK = np.ones((1, 1, 1, 1), dtype=bool)


def _options(mask, shape, dropout, dtype):
    """Mask and dropout as the kernels take them."""
    p, key, first_example = dropout
    _, H, Tq, Tk = shape
    factor = dtype.type(0.0 if p == 1.0 else 1.0 / (1.0 - p))
    mask_array = NO_MASK if mask is None else contiguous(np.broadcast_to(mask, shape))
    return (
        mask is not None, mask_array, p, first_example * H * Tq * Tk,
        np.uint64(key), np.uint64(round(p * 2**32)), factor,
    )  # fmt: skip


def _rows(x):
    """(B, H, T, D) as (B, T, H, D) with a contiguous last axis."""
    D = x.shape[3]
    in_rows = x.strides[3] == x.itemsize and (x.shape[2] == 1 or x.strides[2] >= D * x.itemsize)
    return (x if in_rows else np.array(x, order="C")).transpose(0, 2, 1, 3)


def attention_forward(q, k, v, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):  # (B, H, T, D)
    B, H, Tq, _ = q.shape
    y, lse = empty(q.shape, q.dtype), empty((B, H, Tq), q.dtype)
    if k.shape[2] == 0:
        y.fill(0)
        lse.fill(0)
        return y, lse
    heads = _rows(q), _rows(k), _rows(v)
    if Tq == 1 and dropout[0] == 0:  # a new token, which sees everything before it: causal excludes nothing
        mask_array = NO_MASK if mask is None else contiguous(np.broadcast_to(mask, (B, H, 1, k.shape[2])))
        single_query_heads(*heads, q.dtype.type(scale), _rows(y), lse, mask is not None, mask_array)
        return y, lse
    options = _options(mask, (B, H, Tq, k.shape[2]), dropout, q.dtype)
    with np.errstate(over="ignore"):  # without JIT, NumPy warns of the overflow that dropout's hashing is made of
        _forward_heads(*heads, causal, scale, _rows(y), lse, *options)
    return y, lse


def attention_backward(dy, q, k, v, y, lse, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    B, H, Tq, _ = q.shape
    dq, dk, dv = (empty(x.shape, x.dtype) for x in (q, k, v))
    if Tq == 0 or k.shape[2] == 0:
        for d in (dq, dk, dv):
            d.fill(0)
        return dq, dk, dv
    options = _options(mask, (B, H, Tq, k.shape[2]), dropout, q.dtype)
    inputs = (_rows(x) for x in (dy, q, k, v, y))
    with np.errstate(over="ignore"):
        _backward_heads(*inputs, lse, causal, scale, _rows(dq), _rows(dk), _rows(dv), *options)
    return dq, dk, dv


def _thirds(qkv, n_head):
    """(B, T, 3C) -> three views (B, T, H, D)"""
    B, T, C3 = qkv.shape
    parts = qkv.reshape(B, T, 3, n_head, C3 // (3 * n_head))
    return parts[:, :, 0], parts[:, :, 1], parts[:, :, 2]


def attention_qkv_forward(qkv, n_head, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    qkv = contiguous(qkv)
    B, T, C3 = qkv.shape
    y, lse = empty((B, T, C3 // 3), qkv.dtype), empty((B, n_head, T), qkv.dtype)
    options = _options(mask, (B, n_head, T, T), dropout, qkv.dtype)
    heads = y.reshape(B, T, n_head, C3 // (3 * n_head))
    with np.errstate(over="ignore"):
        _forward_heads(*_thirds(qkv, n_head), causal, scale, heads, lse, *options)
    return y, lse


def attention_qkv_backward(dy, qkv, y, lse, n_head, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    qkv = contiguous(qkv)
    B, T, C3 = qkv.shape
    dqkv = empty(qkv.shape, qkv.dtype)
    options = _options(mask, (B, n_head, T, T), dropout, qkv.dtype)
    heads = (B, T, n_head, C3 // (3 * n_head))
    dy, y = contiguous(dy).reshape(heads), y.reshape(heads)
    with np.errstate(over="ignore"):
        _backward_heads(dy, *_thirds(qkv, n_head), y, lse, causal, scale, *_thirds(dqkv, n_head), *options)
    return dqkv
