"""The plain recurrent layer over all steps. Formulas: kernels/reference/rnn.py; the order of axes: steps.py.

a, da (B, T, hidden), y, dy (B, T, hidden), h0, h_n (B, hidden), lengths (B,); relu: whether in place of tanh
"""

import math

import numpy as np

from kernels.reference.rnn import weight_gradient

from .arena import contiguous, empty
from .jit import exp, gemm, kernel
from .ladder import rung
from .steps import add_turned, all_lengths, mark_ended, restore, turned, turned_back


@rung("rnn_forward", 1, "row after row of the batch, step after step; the product with h in plain loops")
@kernel
def rnn_v1(a, w_hh, h0, lengths, relu, y, h_n):
    B, T, n = y.shape
    new = np.empty(n, a.dtype)
    for b in range(B):
        h_n[b] = h0[b]
        for t in range(T):
            for k in range(n):
                pre = a[b, t, k]
                for j in range(n):
                    pre += w_hh[k, j] * h_n[b, j]
                new[k] = max(pre, 0) if relu else math.tanh(pre)
            y[b, t] = 0
            if t < lengths[b]:
                y[b, t], h_n[b] = new, new


@rung("rnn_forward", 2, "the batch as last axis, one BLAS product a step; tanh by one exp, vectorised")
@kernel
def rnn_v2(a, w_hh, h0, lengths, relu, y, h_n):
    B, T, n = y.shape
    h, before, ended = np.empty((n, B), a.dtype), np.empty((n, B), a.dtype), np.zeros(B, np.bool_)
    turned(h0, h)
    for t in range(T):
        h, before = before, h
        turned(a[:, t], h)
        gemm(False, False, 1.0, w_hh, before, 1.0, h)
        _bend(h.reshape(-1), relu)
        if mark_ended(lengths, t, ended):
            restore(ended, before, h)
        turned_back(h, ended, y[:, t])
    ended[:] = False
    turned_back(h, ended, h_n)


@kernel
def _bend(x, relu):
    """tanh or ReLU, in place; a NaN stays one."""
    zero, one, two = x.dtype.type(0), x.dtype.type(1), x.dtype.type(2)
    if relu:
        for j in range(x.size):
            x[j] = zero if x[j] < zero else x[j]
    else:
        for j in range(x.size):
            x[j] = two / (one + exp(-two * x[j])) - one


@rung("rnn_backward", 1, "row after row, step after step; the product with W in plain loops")
@kernel
def rnn_backward_v1(dy, dh_n, w_hh, y, lengths, relu, da, dh0):
    B, T, n = dy.shape
    for b in range(B):
        dh0[b] = dh_n[b]
        for t in range(T - 1, -1, -1):
            da[b, t] = 0
            if t >= lengths[b]:
                continue
            for k in range(n):
                slope = (1 if y[b, t, k] > 0 else 0) if relu else 1 - y[b, t, k] * y[b, t, k]
                da[b, t, k] = (dh0[b, k] + dy[b, t, k]) * slope
            for j in range(n):
                dh0[b, j] = 0
                for k in range(n):
                    dh0[b, j] += da[b, t, k] * w_hh[k, j]


@rung("rnn_backward", 2, "the batch as last axis, one BLAS product a step, vectorised")
@kernel
def rnn_backward_v2(dy, dh_n, w_hh, y, lengths, relu, da, dh0):
    B, T, n = dy.shape
    dh, dh_before, d_pre = np.empty((n, B), dy.dtype), np.empty((n, B), dy.dtype), np.empty((n, B), dy.dtype)
    h, ended = np.empty((n, B), dy.dtype), np.zeros(B, np.bool_)
    w_turned = np.empty((n, n), dy.dtype)
    turned(w_hh, w_turned)
    turned(dh_n, dh)
    for t in range(T - 1, -1, -1):
        some = mark_ended(lengths, t, ended)
        add_turned(dy[:, t], ended, dh)
        turned(y[:, t], h)
        _slope(dh.reshape(-1), h.reshape(-1), relu, d_pre.reshape(-1))
        turned_back(d_pre, ended, da[:, t])
        gemm(False, False, 1.0, w_turned, d_pre, 0.0, dh_before)
        if some:
            restore(ended, dh, dh_before)
        dh, dh_before = dh_before, dh
    ended[:] = False
    turned_back(dh, ended, dh0)


@kernel
def _slope(dh, h, relu, d_pre):
    zero, one = h.dtype.type(0), h.dtype.type(1)
    if relu:
        for j in range(h.size):
            d_pre[j] = dh[j] if h[j] > zero else zero
    else:
        for j in range(h.size):
            d_pre[j] = dh[j] * (one - h[j] * h[j])


def rnn_forward(a, w_hh, h0, lengths=None, nonlinearity="tanh"):
    B, T, _ = a.shape
    a, w_hh, h0 = contiguous(a), contiguous(w_hh), contiguous(h0)
    y, h_n = empty(a.shape, a.dtype), empty(h0.shape, a.dtype)
    rnn_v2(a, w_hh, h0, all_lengths(lengths, B, T), nonlinearity == "relu", y, h_n)
    return y, h_n


def rnn_backward(dy, dh_n, w_hh, h0, y, lengths=None, nonlinearity="tanh"):
    B, T, _ = dy.shape
    dy, dh_n, w_hh, y = (contiguous(x) for x in (dy, dh_n, w_hh, y))
    da, dh0 = empty(dy.shape, dy.dtype), empty(h0.shape, dy.dtype)
    rnn_backward_v2(dy, dh_n, w_hh, y, all_lengths(lengths, B, T), nonlinearity == "relu", da, dh0)
    return da, weight_gradient(da, h0, y), dh0
