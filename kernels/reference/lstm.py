"""The element-wise half of an LSTM step (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).

i, f, g, o = sigmoid(a_i), sigmoid(a_f), tanh(a_g), sigmoid(a_o)     a = x W_ih^T + h W_hh^T + biases
c = f * c_prev + i * g
h = o * tanh(c)
"""

import numpy as np

from .activation import sigmoid_forward


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
