"""Matrix products, and the linear layer with what is usually fused to it.

matmul:       y[..., i, j] = sum_k a[..., i, k] * b[..., k, j]; leading axes broadcast
linear:       y = x @ weight + bias + residual; weight (in, out), the layout of GPT-2 checkpoints
linear_gelu:  y = gelu(x @ weight + bias), the tanh form
bias_residual: y = x + bias + residual

`needs` says which gradients are wanted; the others come back as None and cost nothing.
"""

import numpy as np

from .activation import gelu_backward, gelu_forward


def matmul(a, b):
    return np.matmul(a, b)


def linear_forward(x, weight, bias=None, residual=None):  # x (N, in), weight (in, out), bias (out,), residual (N, out)
    y = np.matmul(x, weight)  # (N, out)
    if bias is not None:
        y += bias
    if residual is not None:
        y += residual
    return y


def linear_backward(dy, x, weight, needs=(True, True, True)):  # dy (N, out)
    dx = np.matmul(dy, weight.T) if needs[0] else None  # (N, in)       y = x @ weight + bias
    dweight = np.matmul(x.T, dy) if needs[1] else None  # (in, out)
    dbias = np.sum(dy, axis=0) if needs[2] else None  # (out,)
    return dx, dweight, dbias


def linear_gelu_forward(x, weight, bias=None):  # x (N, in)
    pre = linear_forward(x, weight, bias)  # (N, out)
    return gelu_forward(pre), pre


def linear_gelu_backward(dy, x, weight, pre, needs=(True, True, True)):  # dy (N, out)
    return linear_backward(gelu_backward(dy, pre), x, weight, needs)


def bias_residual_forward(x, bias, residual):  # x (N, C), bias (C,), residual (N, C)
    return x + bias + residual


def bias_residual_backward(dy):  # dy (N, C)
    """dx = dresidual = dy, so only dbias (C,) is new."""
    return np.sum(dy, axis=0)
