"""Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1).

    scores  = scale * q @ k^T,  -inf where query i may not see key j
    weights = softmax(scores) over the keys
    y       = dropout(weights) @ v

`mask` is boolean, True = may attend, and broadcasts to (B, H, Tq, Tk). With `causal`, query i sees the keys
j <= i + Tk - Tq: the last query sees all of them. A query that sees nothing gives zeros.

Forward hands back `lse` = log sum_j exp(score_ij), from which backward recomputes the weights; the T x T
matrix need not be kept. The packed form takes q, k, v side by side, (B, T, 3C), as one linear layer makes them.
"""

import numpy as np

from .dropout import dropout_forward


def causal_mask(Tq, Tk):  # -> (Tq, Tk) boolean, True on and below the diagonal that ends bottom right
    return np.tri(Tq, Tk, Tk - Tq, dtype=bool)


def attention_scores(q, k, mask, causal, scale):  # q (B, H, Tq, D), k (B, H, Tk, D)
    scores = np.matmul(q, np.swapaxes(k, -1, -2)) * scale  # (B, H, Tq, Tk)
    if causal:
        scores = np.where(causal_mask(q.shape[-2], k.shape[-2]), scores, np.array(-np.inf, scores.dtype))
    if mask is not None:
        scores = np.where(mask, scores, np.array(-np.inf, scores.dtype))
    return scores


def attention_forward(q, k, v, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    scores = attention_scores(q, k, mask, causal, scale)  # (B, H, Tq, Tk)
    m = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)  # (B, H, Tq, 1)
    m = np.where(m == -np.inf, np.zeros_like(m), m)  # a row that sees nothing
    e = np.exp(scores - m)
    total = np.sum(e, axis=-1, keepdims=True)  # (B, H, Tq, 1)
    total = np.where(total == 0, np.ones_like(total), total)
    weights = dropout_forward(e / total, *dropout)
    y = np.matmul(weights, v)  # (B, H, Tq, D)
    lse = (m + np.log(total))[..., 0]  # (B, H, Tq)
    return y, lse


def attention_backward(dy, q, k, v, y, lse, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    scores = attention_scores(q, k, mask, causal, scale)  # (B, H, Tq, Tk)
    weights = np.exp(scores - lse[..., None])
    dv = np.matmul(np.swapaxes(dropout_forward(weights, *dropout), -1, -2), dy)  # (B, H, Tk, D)  y = weights @ v
    dweights = dropout_forward(np.matmul(dy, np.swapaxes(v, -1, -2)), *dropout)  # (B, H, Tq, Tk)
    # sum_j dweights_j weights_j equals sum_d dy_d y_d, which is shorter to sum
    dscores = weights * (dweights - np.sum(dy * y, axis=-1, keepdims=True)) * scale
    dq = np.matmul(dscores, k)  # (B, H, Tq, D)                            scores = scale * q @ k^T
    dk = np.matmul(np.swapaxes(dscores, -1, -2), q)  # (B, H, Tk, D)
    return dq, dk, dv


def split_heads(x, n_head):  # (B, T, C) -> (B, H, T, D)
    B, T, C = x.shape
    return x.reshape(B, T, n_head, C // n_head).transpose(0, 2, 1, 3)


def merge_heads(x):  # (B, H, T, D) -> (B, T, C)
    B, H, T, D = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, H * D)


def attention_qkv_forward(qkv, n_head, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    q, k, v = (split_heads(part, n_head) for part in np.split(qkv, 3, axis=-1))  # (B, H, T, D) each
    y, lse = attention_forward(q, k, v, mask, causal, scale, dropout)
    return merge_heads(y), lse  # (B, T, C), (B, H, T)


def attention_qkv_backward(dy, qkv, y, lse, n_head, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    q, k, v = (split_heads(part, n_head) for part in np.split(qkv, 3, axis=-1))  # (B, H, T, D) each
    dq, dk, dv = attention_backward(
        split_heads(dy, n_head), q, k, v, split_heads(y, n_head), lse, mask, causal, scale, dropout
    )
    return np.concatenate([merge_heads(dq), merge_heads(dk), merge_heads(dv)], axis=-1)  # (B, T, 3C)
