"""The LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000): a step's elements, and a layer.

i, f, g, o = sigmoid(a_i), sigmoid(a_f), tanh(a_g), sigmoid(a_o)     a = x W_ih^T + h W_hh^T + biases
c = f * c_prev + i * g
h = o * tanh(c)
"""

import numpy as np

from .activation import sigmoid_forward
from .rnn import running_at, weight_gradient


def lstm_cell_forward(a, c_prev):  # a (B, 4 hidden) in the order i f g o, c_prev (B, hidden)
    a_i, a_f, a_g, a_o = np.split(a, 4, axis=-1)  # (B, hidden) each
    i, f, g, o = sigmoid_forward(a_i), sigmoid_forward(a_f), np.tanh(a_g), sigmoid_forward(a_o)
    c = f * c_prev + i * g
    h = o * np.tanh(c)
    return h, c, np.concatenate([i, f, g, o], axis=-1)  # gates (B, 4 hidden), kept for backward


def lstm_cell_backward(dh, dc, gates, c_prev, c):
    i, f, g, o = np.split(gates, 4, axis=-1)  # (B, hidden) each
    tanh_c = np.tanh(c)
    dc = dc + dh * o * (1 - tanh_c * tanh_c)  # h = o * tanh(c)
    da_i = dc * g * i * (1 - i)  # c = f * c_prev + i * g
    da_f = dc * c_prev * f * (1 - f)
    da_g = dc * i * (1 - g * g)
    da_o = dh * tanh_c * o * (1 - o)
    return np.concatenate([da_i, da_f, da_g, da_o], axis=-1), dc * f  # da (B, 4 hidden), dc_prev (B, hidden)


# --- the layer: all steps ----------------------------------------------------------------------------------------


def lstm_forward(a, w_hh, h0, c0, lengths=None):
    """a (B, T, 4 hidden) = x W_ih^T + biases, w_hh (4 hidden, hidden); lengths (B,) as in rnn.py."""
    B, T, G = a.shape
    y, cells = np.empty((B, T, G // 4), a.dtype), np.empty((B, T, G // 4), a.dtype)
    gates, h, c = np.empty_like(a), h0, c0
    for t in range(T):
        new_h, new_c, gates[:, t] = lstm_cell_forward(a[:, t] + h @ w_hh.T, c)
        running = running_at(t, lengths)
        y[:, t] = np.where(running, new_h, 0)
        h, c = np.where(running, new_h, h), np.where(running, new_c, c)
        cells[:, t] = c
    return y, h, c, gates, cells  # gates and cells are kept for backward


def lstm_backward(dy, dh_n, dc_n, w_hh, h0, c0, y, gates, cells, lengths=None):
    da, dh, dc = np.empty_like(gates), dh_n, dc_n
    for t in reversed(range(y.shape[1])):
        running = running_at(t, lengths)
        dh = dh + np.where(running, dy[:, t], 0)
        da_t, dc_before = lstm_cell_backward(dh, dc, gates[:, t], cells[:, t - 1] if t else c0, cells[:, t])
        da[:, t] = np.where(running, da_t, 0)
        dh, dc = np.where(running, da[:, t] @ w_hh, dh), np.where(running, dc_before, dc)
    return da, weight_gradient(da, h0, y), dh, dc
