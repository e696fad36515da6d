"""The LSTM: gates of one step, and a layer over all steps. Formulas: kernels/reference/lstm.py.

tanh(x) = 2 / (1 + e^-2x) - 1, so that each of the five bends of a step is one exp, which LLVM vectorises.
"""

import math

import numpy as np

from kernels.reference.rnn import weight_gradient

from .arena import contiguous, empty
from .jit import exp, gemm, kernel
from .ladder import rung
from .steps import add_turned, all_lengths, batch_first, batch_last, mark_ended, restore, turned, turned_back

# --- gates of one step: a, gates (B, 4 hidden), c_prev, h, c (B, hidden) ------------------------------------------


@rung("lstm_cell_forward", 1, "the formula, element by element, with math.exp and math.tanh")
@kernel
def lstm_cell_v1(a, c_prev, h, c, gates):
    B, n = c_prev.shape
    for b in range(B):
        for j in range(n):
            i, f = 1 / (1 + math.exp(-a[b, j])), 1 / (1 + math.exp(-a[b, n + j]))
            g, o = math.tanh(a[b, 2 * n + j]), 1 / (1 + math.exp(-a[b, 3 * n + j]))
            c[b, j] = f * c_prev[b, j] + i * g
            h[b, j] = o * math.tanh(c[b, j])
            gates[b, j], gates[b, n + j], gates[b, 2 * n + j], gates[b, 3 * n + j] = i, f, g, o


@kernel
def _sigmoid(x, y):
    one = x.dtype.type(1)
    for j in range(x.size):
        y[j] = one / (one + exp(-x[j]))


@kernel
def _tanh(x, y):
    one, two = x.dtype.type(1), x.dtype.type(2)
    for j in range(x.size):
        y[j] = two / (one + exp(-two * x[j])) - one


@rung("lstm_cell_forward", 2, "gate by gate, each loop over arrays of its own: one exp an element, vectorised")
@kernel
def lstm_cell_v2(a, c_prev, h, c, gates):
    B, n = c_prev.shape
    one, two = a.dtype.type(1), a.dtype.type(2)
    for b in range(B):
        _sigmoid(a[b, : 2 * n], gates[b, : 2 * n])
        _tanh(a[b, 2 * n : 3 * n], gates[b, 2 * n : 3 * n])
        _sigmoid(a[b, 3 * n :], gates[b, 3 * n :])
        i, f, g, o = gates[b, :n], gates[b, n : 2 * n], gates[b, 2 * n : 3 * n], gates[b, 3 * n :]
        before, c_row, h_row = c_prev[b], c[b], h[b]
        for j in range(n):
            cell = f[j] * before[j] + i[j] * g[j]
            c_row[j] = cell
            h_row[j] = o[j] * (two / (one + exp(-two * cell)) - one)


@rung("lstm_cell_backward", 1, "the formula, element by element, with math.tanh")
@kernel
def lstm_cell_backward_v1(dh, dc, gates, c_prev, c, da, dc_prev):
    B, n = c.shape
    for b in range(B):
        for j in range(n):
            i, f, g, o = gates[b, j], gates[b, n + j], gates[b, 2 * n + j], gates[b, 3 * n + j]
            tanh_c = math.tanh(c[b, j])
            dcell = dc[b, j] + dh[b, j] * o * (1 - tanh_c * tanh_c)
            da[b, j] = dcell * g * i * (1 - i)
            da[b, n + j] = dcell * c_prev[b, j] * f * (1 - f)
            da[b, 2 * n + j] = dcell * i * (1 - g * g)
            da[b, 3 * n + j] = dh[b, j] * tanh_c * o * (1 - o)
            dc_prev[b, j] = dcell * f


@rung("lstm_cell_backward", 2, "tanh by one exp, the array's own type, a view for each gate: vectorised")
@kernel
def lstm_cell_backward_v2(dh, dc, gates, c_prev, c, da, dc_prev):
    B, n = c.shape
    one, two = c.dtype.type(1), c.dtype.type(2)
    for b in range(B):
        i, f, g, o = gates[b, :n], gates[b, n : 2 * n], gates[b, 2 * n : 3 * n], gates[b, 3 * n :]
        da_i, da_f, da_g, da_o = da[b, :n], da[b, n : 2 * n], da[b, 2 * n : 3 * n], da[b, 3 * n :]
        dh_row, dc_row, before, c_row, dc_out = dh[b], dc[b], c_prev[b], c[b], dc_prev[b]
        for j in range(n):
            tanh_c = two / (one + exp(-two * c_row[j])) - one
            da_o[j] = dh_row[j] * tanh_c * o[j] * (one - o[j])
            dcell = dc_row[j] + dh_row[j] * o[j] * (one - tanh_c * tanh_c)
            da_i[j] = dcell * g[j] * i[j] * (one - i[j])
            da_f[j] = dcell * before[j] * f[j] * (one - f[j])
            da_g[j] = dcell * i[j] * (one - g[j] * g[j])
            dc_out[j] = dcell * f[j]


def lstm_cell_forward(a, c_prev):
    a, c_prev = contiguous(a), contiguous(c_prev)
    h, c, gates = empty(c_prev.shape, a.dtype), empty(c_prev.shape, a.dtype), empty(a.shape, a.dtype)
    lstm_cell_v2(a, c_prev, h, c, gates)
    return h, c, gates


def lstm_cell_backward(dh, dc, gates, c_prev, c):
    dh, dc, gates, c_prev, c = (contiguous(x) for x in (dh, dc, gates, c_prev, c))
    da, dc_prev = empty(gates.shape, gates.dtype), empty(c.shape, c.dtype)
    lstm_cell_backward_v2(dh, dc, gates, c_prev, c, da, dc_prev)
    return da, dc_prev


# --- the layer: a (B, T, 4 hidden), y (B, T, hidden), gates (T, 4 hidden, B), cells (T, hidden, B) ----------------


@rung("lstm_forward", 1, "row after row of the batch, step after step; the product with h in plain loops")
@kernel
def lstm_v1(a, w_hh, h0, c0, lengths, y, h_n, c_n, gates, cells):
    B, T, n = y.shape
    pre, out = np.empty((1, 4 * n), a.dtype), np.empty((1, 4 * n), a.dtype)
    h, c = np.empty((1, n), a.dtype), np.empty((1, n), a.dtype)
    for b in range(B):
        h_n[b], c_n[b] = h0[b], c0[b]
        for t in range(T):
            for k in range(4 * n):
                pre[0, k] = a[b, t, k]
                for j in range(n):
                    pre[0, k] += w_hh[k, j] * h_n[b, j]
            lstm_cell_v1(pre, c_n[b : b + 1], h, c, out)
            gates[t, :, b] = out[0]
            y[b, t] = 0
            if t < lengths[b]:
                y[b, t], h_n[b], c_n[b] = h[0], h[0], c[0]
            cells[t, :, b] = c_n[b]


@rung("lstm_forward", 2, "all rows together: one BLAS product a step, h_before @ W^T; vectorised gates")
@kernel
def lstm_v2(a, w_hh, h0, c0, lengths, y, h_n, c_n, gates, cells):
    B, T, n = y.shape
    out = np.empty((B, 4 * n), a.dtype)
    h, c = np.empty((B, n), a.dtype), np.empty((B, n), a.dtype)
    h_n[:], c_n[:] = h0, c0
    for t in range(T):
        pre = a[:, t].copy()
        gemm(False, True, 1.0, h_n, w_hh, 1.0, pre)
        lstm_cell_v2(pre, c_n, h, c, out)
        turned(out, gates[t])
        for b in range(B):
            y[b, t] = 0
            if t < lengths[b]:
                y[b, t], h_n[b], c_n[b] = h[b], h[b], c[b]
        turned(c_n, cells[t])


@rung("lstm_forward", 3, "the batch as last axis: BLAS packs the weights faster, and the gates of a step are one loop")
@kernel
def lstm_v3(a, w_hh, h0, c0, lengths, y, h_n, c_n, gates, cells):
    B, T, n = y.shape
    pre, ended = np.empty((4 * n, B), a.dtype), np.zeros(B, np.bool_)
    h, before, c0_turned = np.empty((n, B), a.dtype), np.empty((n, B), a.dtype), np.empty((n, B), a.dtype)
    turned(h0, h)
    turned(c0, c0_turned)
    c_before = c0_turned
    for t in range(T):
        h, before = before, h
        turned(a[:, t], pre)
        gemm(False, False, 1.0, w_hh, before, 1.0, pre)
        c = cells[t]
        lstm_cell_v2(_one_row(pre), _one_row(c_before), _one_row(h), _one_row(c), _one_row(gates[t]))
        if mark_ended(lengths, t, ended):
            restore(ended, before, h)
            restore(ended, c_before, c)
        turned_back(h, ended, y[:, t])
        c_before = c
    ended[:] = False
    turned_back(h, ended, h_n)
    turned_back(c_before, ended, c_n)


@kernel
def _one_row(x):
    """(n, B) as (1, n * B): to the gates it is all one whether an element is another row's or another unit's."""
    return x.reshape((1, x.size))


@rung("lstm_backward", 1, "row after row, step after step; the product with W in plain loops")
@kernel
def lstm_backward_v1(dy, dh_n, dc_n, w_hh, c0, gates, cells, lengths, da, dh0, dc0):
    B, T, n = dy.shape
    d_pre, dc = np.empty((1, 4 * n), dy.dtype), np.empty((1, n), dy.dtype)
    for b in range(B):
        dh0[b], dc0[b] = dh_n[b], dc_n[b]
        for t in range(T - 1, -1, -1):
            da[b, t] = 0
            if t >= lengths[b]:
                continue
            before = cells[t - 1, :, b] if t > 0 else c0[b]
            for j in range(n):
                dh0[b, j] += dy[b, t, j]
            step = gates[t, :, b].copy().reshape((1, 4 * n))
            c, c_before = cells[t, :, b].copy().reshape((1, n)), before.copy().reshape((1, n))
            lstm_cell_backward_v1(dh0[b : b + 1], dc0[b : b + 1], step, c_before, c, d_pre, dc)
            da[b, t], dc0[b] = d_pre[0], dc[0]
            for j in range(n):
                dh0[b, j] = 0
                for k in range(4 * n):
                    dh0[b, j] += d_pre[0, k] * w_hh[k, j]


@rung("lstm_backward", 2, "the batch as last axis, one BLAS product a step, vectorised gates")
@kernel
def lstm_backward_v2(dy, dh_n, dc_n, w_hh, c0, gates, cells, lengths, da, dh0, dc0):
    B, T, n = dy.shape
    d_pre, ended = np.empty((4 * n, B), dy.dtype), np.zeros(B, np.bool_)
    dh, dh_before = np.empty((n, B), dy.dtype), np.empty((n, B), dy.dtype)
    dc, dc_before, first = np.empty((n, B), dy.dtype), np.empty((n, B), dy.dtype), np.empty((n, B), dy.dtype)
    w_turned = np.empty((n, 4 * n), dy.dtype)
    turned(w_hh, w_turned)
    turned(dh_n, dh)
    turned(dc_n, dc)
    turned(c0, first)
    for t in range(T - 1, -1, -1):
        some = mark_ended(lengths, t, ended)
        add_turned(dy[:, t], ended, dh)
        c_before = cells[t - 1] if t > 0 else first
        lstm_cell_backward_v2(
            _one_row(dh), _one_row(dc), _one_row(gates[t]), _one_row(c_before), _one_row(cells[t]), _one_row(d_pre),
            _one_row(dc_before),
        )  # fmt: skip
        turned_back(d_pre, ended, da[:, t])
        gemm(False, False, 1.0, w_turned, d_pre, 0.0, dh_before)
        if some:
            restore(ended, dh, dh_before)
            restore(ended, dc, dc_before)
        dh, dh_before, dc, dc_before = dh_before, dh, dc_before, dc
    ended[:] = False
    turned_back(dh, ended, dh0)
    turned_back(dc, ended, dc0)


def lstm_forward(a, w_hh, h0, c0, lengths=None):
    B, T, G = a.shape
    a, w_hh, h0, c0 = (contiguous(x) for x in (a, w_hh, h0, c0))
    y, h_n, c_n = empty((B, T, G // 4), a.dtype), empty(h0.shape, a.dtype), empty(h0.shape, a.dtype)
    gates, cells = empty((T, G, B), a.dtype), empty((T, G // 4, B), a.dtype)
    lstm_v3(a, w_hh, h0, c0, all_lengths(lengths, B, T), y, h_n, c_n, gates, cells)
    return y, h_n, c_n, batch_first(gates), batch_first(cells)


def lstm_backward(dy, dh_n, dc_n, w_hh, h0, c0, y, gates, cells, lengths=None):
    B, T, _ = dy.shape
    dy, dh_n, dc_n, w_hh, c0 = (contiguous(x) for x in (dy, dh_n, dc_n, w_hh, c0))
    da, dh0, dc0 = empty(gates.shape, dy.dtype), empty(h0.shape, dy.dtype), empty(h0.shape, dy.dtype)
    every = all_lengths(lengths, B, T)
    lstm_backward_v2(dy, dh_n, dc_n, w_hh, c0, batch_last(gates), batch_last(cells), every, da, dh0, dc0)
    return da, weight_gradient(da, h0, y), dh0, dc0
