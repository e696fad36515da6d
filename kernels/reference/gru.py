"""The gated recurrent unit (Cho et al. 2014), one layer over all steps; the reset gate acts after the product.

r, z = sigmoid(a_r + p_r), sigmoid(a_z + p_z)     a = x W_ih^T + b_ih, computed for all steps at once
n    = tanh(a_n + r * p_n)                        p = h_{t-1} W_hh^T + b_hh
h_t  = (1 - z) * n + z * h_{t-1}

Cho et al. reset h before the product; this order, which PyTorch has too, needs one product a step instead of two.
Lengths as in rnn.py.
"""

import numpy as np

from .activation import sigmoid_forward
from .rnn import running_at, weight_gradient


def gru_forward(a, w_hh, b_hh, h0, lengths=None):  # a (B, T, 3 hidden) in the order r z n, w_hh (3 hidden, hidden)
    B, T, G = a.shape
    y, p_n = np.empty((B, T, G // 3), a.dtype), np.empty((B, T, G // 3), a.dtype)
    gates, h = np.empty_like(a), h0
    for t in range(T):
        a_r, a_z, a_n = np.split(a[:, t], 3, axis=-1)  # (B, hidden) each
        p_r, p_z, p_n[:, t] = np.split(h @ w_hh.T + b_hh, 3, axis=-1)
        r, z = sigmoid_forward(a_r + p_r), sigmoid_forward(a_z + p_z)
        n = np.tanh(a_n + r * p_n[:, t])
        new, running = (1 - z) * n + z * h, running_at(t, lengths)
        gates[:, t] = np.concatenate([r, z, n], axis=-1)
        y[:, t] = np.where(running, new, 0)
        h = np.where(running, new, h)
    return y, h, gates, p_n  # gates and p_n are kept for backward


def gru_backward(dy, dh_n, w_hh, h0, y, gates, p_n, lengths=None):
    da, dp, dh = np.empty_like(gates), np.empty_like(gates), dh_n  # (B, T, 3 hidden) twice, (B, hidden)
    for t in reversed(range(y.shape[1])):
        running = running_at(t, lengths)
        r, z, n = np.split(gates[:, t], 3, axis=-1)  # (B, hidden) each
        before = y[:, t - 1] if t else h0
        dh = dh + np.where(running, dy[:, t], 0)
        da_n = dh * (1 - z) * (1 - n * n)  # n = tanh(a_n + r * p_n)
        da_z = dh * (before - n) * z * (1 - z)  # h = (1 - z) * n + z * before
        da_r = da_n * p_n[:, t] * r * (1 - r)
        da[:, t] = np.where(running, np.concatenate([da_r, da_z, da_n], axis=-1), 0)
        dp[:, t] = np.where(running, np.concatenate([da_r, da_z, da_n * r], axis=-1), 0)
        dh = np.where(running, dh * z + dp[:, t] @ w_hh, dh)
    return da, weight_gradient(dp, h0, y), dp.sum(axis=(0, 1)), dh
