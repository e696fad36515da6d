"""The plain recurrent layer (Elman 1990), one layer over all steps.

h_t = tanh(a_t + h_{t-1} W_hh^T)     a = x W_ih^T + biases, computed for all steps at once
                                     "relu" in place of tanh: Le, Jaitly & Hinton 2015

Rows of a batch may have different lengths: at steps from a row's length on, y is 0 and the state stays what it was.
"""

import numpy as np


def rnn_forward(a, w_hh, h0, lengths=None, nonlinearity="tanh"):  # a (B, T, hidden), w_hh (hidden, hidden)
    y, h = np.empty_like(a), h0  # (B, T, hidden), (B, hidden)
    for t in range(a.shape[1]):
        pre = a[:, t] + h @ w_hh.T  # (B, hidden)
        new = np.tanh(pre) if nonlinearity == "tanh" else np.maximum(pre, 0)
        running = running_at(t, lengths)
        y[:, t] = np.where(running, new, 0)
        h = np.where(running, new, h)
    return y, h


def rnn_backward(dy, dh_n, w_hh, h0, y, lengths=None, nonlinearity="tanh"):
    da, dh = np.empty_like(y), dh_n  # (B, T, hidden), (B, hidden)
    for t in reversed(range(y.shape[1])):
        running = running_at(t, lengths)
        dh = dh + np.where(running, dy[:, t], 0)
        slope = 1 - y[:, t] * y[:, t] if nonlinearity == "tanh" else y[:, t] > 0
        da[:, t] = np.where(running, dh * slope, 0)
        dh = np.where(running, da[:, t] @ w_hh, dh)
    return da, weight_gradient(da, h0, y), dh


def running_at(t, lengths):
    """(B, 1): which rows have a step t."""
    return True if lengths is None else (t < lengths)[:, None]


def weight_gradient(da, h0, y):
    """dW_hh = sum over rows and steps of da_t^T h_{t-1}, as one product. Ended rows have da = 0."""
    before = np.concatenate([h0[:, None], y[:, :-1]], axis=1) if y.shape[1] else y  # (B, T, hidden): h_{t-1}
    return da.reshape(-1, da.shape[2]).T @ before.reshape(-1, y.shape[2])  # (G hidden, hidden)
