"""The gated recurrent unit over all steps. Formulas: kernels/reference/gru.py; the order of axes: steps.py.

a, da (B, T, 3 hidden) in the order r z n, y, dy (B, T, hidden), h0, h_n (B, hidden), lengths (B,)
Kept for backward: gates (T, 3 hidden, B), and p_n (T, hidden, B), the product that the reset gate weakens.
"""

import math

import numpy as np

from kernels.reference.rnn import weight_gradient

from .arena import contiguous, empty
from .jit import exp, gemm, kernel
from .ladder import rung
from .matmul import bias_residual_backward
from .steps import add_turned, all_lengths, batch_first, batch_last, mark_ended, restore, turned, turned_back


@rung("gru_forward", 1, "row after row of the batch, step after step; the product with h in plain loops")
@kernel
def gru_v1(a, w_hh, b_hh, h0, lengths, y, h_n, gates, p_n):
    B, T, n = y.shape
    p, new = np.empty(3 * n, a.dtype), np.empty(n, a.dtype)
    for b in range(B):
        h_n[b] = h0[b]
        for t in range(T):
            for k in range(3 * n):
                p[k] = b_hh[k]
                for j in range(n):
                    p[k] += w_hh[k, j] * h_n[b, j]
            for j in range(n):
                r, z = 1 / (1 + math.exp(-a[b, t, j] - p[j])), 1 / (1 + math.exp(-a[b, t, n + j] - p[n + j]))
                m = math.tanh(a[b, t, 2 * n + j] + r * p[2 * n + j])
                new[j] = (1 - z) * m + z * h_n[b, j]
                gates[t, j, b], gates[t, n + j, b], gates[t, 2 * n + j, b], p_n[t, j, b] = r, z, m, p[2 * n + j]
            y[b, t] = 0
            if t < lengths[b]:
                y[b, t], h_n[b] = new, new


@rung("gru_forward", 2, "the batch as last axis, one BLAS product a step; one exp for each gate, vectorised")
@kernel
def gru_v2(a, w_hh, b_hh, h0, lengths, y, h_n, gates, p_n):
    B, T, n = y.shape
    pre, p = np.empty((3 * n, B), a.dtype), np.empty((3 * n, B), a.dtype)
    h, before, ended = np.empty((n, B), a.dtype), np.empty((n, B), a.dtype), np.zeros(B, np.bool_)
    turned(h0, h)
    for t in range(T):
        h, before = before, h
        turned(a[:, t], pre)
        for k in range(3 * n):
            for b in range(B):
                p[k, b] = b_hh[k]
        gemm(False, False, 1.0, w_hh, before, 1.0, p)
        _step(pre.reshape(-1), p.reshape(-1), before.reshape(-1), h.reshape(-1), gates[t].reshape(-1))
        p_n[t] = p[2 * n :]
        if mark_ended(lengths, t, ended):
            restore(ended, before, h)
        turned_back(h, ended, y[:, t])
    ended[:] = False
    turned_back(h, ended, h_n)


@kernel
def _step(pre, p, before, h, gates):
    """pre, p, gates: 3 n numbers, r z n after each other; before, h: n."""
    n = h.size
    one, two = h.dtype.type(1), h.dtype.type(2)
    for j in range(2 * n):
        gates[j] = one / (one + exp(-pre[j] - p[j]))
    r, z, m = gates[:n], gates[n : 2 * n], gates[2 * n :]
    pre_m, p_m = pre[2 * n :], p[2 * n :]
    for j in range(n):
        m[j] = two / (one + exp(-two * (pre_m[j] + r[j] * p_m[j]))) - one
        h[j] = (one - z[j]) * m[j] + z[j] * before[j]


@rung("gru_backward", 1, "row after row, step after step; the product with W in plain loops")
@kernel
def gru_backward_v1(dy, dh_n, w_hh, h0, y, gates, p_n, lengths, da, dp, dh0):
    B, T, n = dy.shape
    for b in range(B):
        dh0[b] = dh_n[b]
        for t in range(T - 1, -1, -1):
            da[b, t], dp[b, t] = 0, 0
            if t >= lengths[b]:
                continue
            for j in range(n):
                r, z, m = gates[t, j, b], gates[t, n + j, b], gates[t, 2 * n + j, b]
                before = y[b, t - 1, j] if t > 0 else h0[b, j]
                dh = dh0[b, j] + dy[b, t, j]
                da_m = dh * (1 - z) * (1 - m * m)
                da[b, t, j] = dp[b, t, j] = da_m * p_n[t, j, b] * r * (1 - r)
                da[b, t, n + j] = dp[b, t, n + j] = dh * (before - m) * z * (1 - z)
                da[b, t, 2 * n + j], dp[b, t, 2 * n + j] = da_m, da_m * r
                dh0[b, j] = dh * z
            for j in range(n):
                for k in range(3 * n):
                    dh0[b, j] += dp[b, t, k] * w_hh[k, j]


@rung("gru_backward", 2, "the batch as last axis, one BLAS product a step, vectorised")
@kernel
def gru_backward_v2(dy, dh_n, w_hh, h0, y, gates, p_n, lengths, da, dp, dh0):
    B, T, n = dy.shape
    d_pre, d_p = np.empty((3 * n, B), dy.dtype), np.empty((3 * n, B), dy.dtype)
    dh, dh_before, before = np.empty((n, B), dy.dtype), np.empty((n, B), dy.dtype), np.empty((n, B), dy.dtype)
    ended = np.zeros(B, np.bool_)
    w_turned = np.empty((n, 3 * n), dy.dtype)
    turned(w_hh, w_turned)
    turned(dh_n, dh)
    for t in range(T - 1, -1, -1):
        some = mark_ended(lengths, t, ended)
        add_turned(dy[:, t], ended, dh)
        turned(y[:, t - 1] if t > 0 else h0, before)
        _step_backward(
            dh.reshape(-1), gates[t].reshape(-1), p_n[t].reshape(-1), before.reshape(-1), d_pre.reshape(-1),
            d_p.reshape(-1), dh_before.reshape(-1),
        )  # fmt: skip
        turned_back(d_pre, ended, da[:, t])
        turned_back(d_p, ended, dp[:, t])
        gemm(False, False, 1.0, w_turned, d_p, 1.0, dh_before)
        if some:
            restore(ended, dh, dh_before)
        dh, dh_before = dh_before, dh
    ended[:] = False
    turned_back(dh, ended, dh0)


@kernel
def _step_backward(dh, gates, p_m, before, d_pre, d_p, dh_before):
    """d_pre, d_p: 3 n numbers. dh_before: the part of d loss / d before that does not pass through the product."""
    n = dh.size
    one = dh.dtype.type(1)
    r, z, m = gates[:n], gates[n : 2 * n], gates[2 * n :]
    d_r, d_z, d_m, dp_m = d_pre[:n], d_pre[n : 2 * n], d_pre[2 * n :], d_p[2 * n :]
    for j in range(n):
        d_m[j] = dh[j] * (one - z[j]) * (one - m[j] * m[j])
        d_z[j] = dh[j] * (before[j] - m[j]) * z[j] * (one - z[j])
        d_r[j] = d_m[j] * p_m[j] * r[j] * (one - r[j])
        dp_m[j] = d_m[j] * r[j]
        dh_before[j] = dh[j] * z[j]
    for j in range(2 * n):
        d_p[j] = d_pre[j]


def gru_forward(a, w_hh, b_hh, h0, lengths=None):
    B, T, G = a.shape
    a, w_hh, b_hh, h0 = (contiguous(x) for x in (a, w_hh, b_hh, h0))
    y, h_n = empty((B, T, G // 3), a.dtype), empty(h0.shape, a.dtype)
    gates, p_n = empty((T, G, B), a.dtype), empty((T, G // 3, B), a.dtype)
    gru_v2(a, w_hh, b_hh, h0, all_lengths(lengths, B, T), y, h_n, gates, p_n)
    return y, h_n, batch_first(gates), batch_first(p_n)


def gru_backward(dy, dh_n, w_hh, h0, y, gates, p_n, lengths=None):
    B, T, _ = dy.shape
    dy, dh_n, w_hh, h0, y = (contiguous(x) for x in (dy, dh_n, w_hh, h0, y))
    da, dp, dh0 = empty(gates.shape, dy.dtype), empty(gates.shape, dy.dtype), empty(h0.shape, dy.dtype)
    every = all_lengths(lengths, B, T)
    gru_backward_v2(dy, dh_n, w_hh, h0, y, batch_last(gates), batch_last(p_n), every, da, dp, dh0)
    db_hh = bias_residual_backward(dp.reshape(B * T, dp.shape[2]))  # (3 hidden,)
    return da, weight_gradient(dp, h0, y), db_hh, dh0
