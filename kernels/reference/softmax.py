"""Softmax and log-softmax over the last axis.

y_i = exp(x_i - m) / sum_j exp(x_j - m),  m = max_j x_j
Subtracting m changes nothing mathematically and keeps exp from overflowing.
A row of nothing but -inf (everything masked) gives zeros, and a gradient of zeros.
"""

import numpy as np


def _row_max(x):  # x (..., C) -> (..., 1)
    m = np.max(x, axis=-1, keepdims=True)
    return np.where(m == -np.inf, np.zeros_like(m), m)  # -inf - -inf would be NaN


def softmax_forward(x):  # x (..., C)
    e = np.exp(x - _row_max(x))
    total = np.sum(e, axis=-1, keepdims=True)  # (..., 1)
    return e / np.where(total == 0, np.ones_like(total), total)


def softmax_backward(dy, y):
    """dx = y * (dy - sum_j dy_j y_j)"""
    return y * (dy - np.sum(dy * y, axis=-1, keepdims=True))


def log_softmax_forward(x):  # x (..., C)
    """y_i = x_i - m - log sum_j exp(x_j - m)"""
    shifted = x - _row_max(x)
    total = np.sum(np.exp(shifted), axis=-1, keepdims=True)  # (..., 1)
    return shifted - np.log(np.where(total == 0, np.ones_like(total), total))  # only -inf: stays -inf


def log_softmax_backward(dy, y):
    """dx = dy - softmax(x) * sum_j dy_j,  softmax(x) = exp(y)"""
    return dy - np.exp(y) * np.sum(dy, axis=-1, keepdims=True)
