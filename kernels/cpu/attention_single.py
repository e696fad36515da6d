"""Attention of a single query, as each new token is in generation, and the softmax of one row of scores.

A matrix product with one row is no work for BLAS: preparing its call takes longer than the sums. Keys and values are
each read once, so their bytes are the limit. Formulas: kernels/reference/attention.py.
"""

import math

import numpy as np

from .jit import exp, in_one_piece, kernel, largest
from .ladder import rung


@kernel
def softmax_row(scores, visible, one):
    """scores = softmax(scores) in place, 0 from `visible` on. Returns log sum exp.

    What is not visible becomes -inf and then runs along: loops of one length, without an end of odd length for each
    row, are three times as fast.
    """
    zero = one - one
    for j in range(visible, scores.size):
        scores[j] = -np.inf
    m = largest(scores)
    if m == -np.inf:  # sees nothing: weights of zero
        seen = zero
        for j in range(scores.size):
            if scores[j] != scores[j]:  # a NaN is no nothing
                seen = scores[j]
        for j in range(scores.size):
            scores[j] = seen
        return seen
    total = zero
    for j in range(scores.size):
        e = exp(scores[j] - m)
        scores[j] = e
        total += e
    inverse = one / total
    for j in range(scores.size):
        scores[j] *= inverse
    return m + np.log(total)


@kernel
def apply_mask(scores, mask, visible):
    for j in range(visible):
        if not mask[j]:
            scores[j] = -np.inf


@rung("attention_single", 1, "the definition: scores, softmax, weighted sum")
@kernel
def attention_single_v1(q, k, v, scale, y, scores):  # q, y (D,), k, v (Tk, D), scores (Tk,); returns lse
    Tk, D = k.shape
    m = -np.inf
    for j in range(Tk):
        dot = 0.0
        for d in range(D):
            dot += q[d] * k[j, d]
        scores[j] = scale * dot
        m = max(m, scores[j])
    total = 0.0
    for j in range(Tk):
        scores[j] = math.exp(scores[j] - m)
        total += scores[j]
    for d in range(D):
        dot = 0.0
        for j in range(Tk):
            dot += scores[j] * v[j, d]
        y[d] = dot / total
    return m + math.log(total)


@rung("attention_single", 2, "inner loops along rows of k and v, in the array's own type; vectorised softmax; mask")
@kernel
def attention_single_v2(q, k, v, scale, y, scores, has_mask, mask):
    zero, one = q.dtype.type(0), q.dtype.type(1)
    query, out = in_one_piece(q), in_one_piece(y)
    for j in range(scores.size):
        key, dot = in_one_piece(k[j]), zero
        for d in range(query.size):
            dot += query[d] * key[d]
        scores[j] = scale * dot
    if has_mask:
        apply_mask(scores, mask, scores.size)
    lse = softmax_row(scores, scores.size, one)
    for d in range(out.size):
        out[d] = zero
    for j in range(scores.size):
        value, weight = in_one_piece(v[j]), scores[j]
        for d in range(out.size):
            out[d] += weight * value[d]
    return lse


@kernel
def single_query_heads(q, k, v, scale, y, lse, has_mask, mask):
    """All heads of a batch: q, y (B, 1, H, D), k, v (B, Tk, H, D), lse (B, H, 1), mask (B, H, 1, Tk)"""
    B, Tk, H, _ = k.shape
    scores = np.empty(Tk, q.dtype)
    for b in range(B):
        for h in range(H):
            m = mask[b, h, 0] if has_mask else mask[0, 0, 0]
            lse[b, h, 0] = attention_single_v2(
                q[b, 0, h], k[b, :, h], v[b, :, h], scale, y[b, 0, h], scores, has_mask, m
            )
