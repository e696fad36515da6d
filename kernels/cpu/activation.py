"""GELU, forward and backward, tanh form. Formulas: kernels/reference/activation.py.

tanh(u) = 2 / (1 + e^-2u) - 1 turns GPT-2's form into y = x * s, s = 1 / (1 + e^-2u), u = c (x + a x^3): one exp.
    dx = dy * (s + x * s * (1 - s) * 2 du/dx),   du/dx = c (1 + 3 a x^2)
"""

import math

import numpy as np

from kernels.reference import activation as reference

from .arena import contiguous, empty
from .jit import exp, kernel
from .ladder import rung

C = math.sqrt(2.0 / math.pi)
A = 0.044715


@rung("gelu_forward", 1, "the formula, element by element, with math.tanh")
@kernel
def gelu_v1(x, y):
    for i in range(x.size):
        u = C * (x[i] + A * x[i] * x[i] * x[i])
        y[i] = 0.5 * x[i] * (1 + math.tanh(u))


@rung("gelu_forward", 2, "float32 throughout; tanh by one exp that LLVM vectorises")
@kernel
def gelu_v2(x, y):
    one = x.dtype.type(1)
    c2, c2a = x.dtype.type(-2 * C), x.dtype.type(-2 * C * A)
    for i in range(x.size):
        v = x[i]
        y[i] = v / (one + exp(v * (c2 + c2a * v * v)))


@rung("gelu_backward", 1, "the formula, element by element, with math.tanh")
@kernel
def gelu_backward_v1(dy, x, dx):
    for i in range(x.size):
        t = math.tanh(C * (x[i] + A * x[i] * x[i] * x[i]))
        du = C * (1 + 3 * A * x[i] * x[i])
        dx[i] = dy[i] * (0.5 * (1 + t) + 0.5 * x[i] * (1 - t * t) * du)


@rung("gelu_backward", 2, "float32 throughout; tanh by one exp that LLVM vectorises")
@kernel
def gelu_backward_v2(dy, x, dx):
    one = x.dtype.type(1)
    c2, c2a, c6a = x.dtype.type(-2 * C), x.dtype.type(-2 * C * A), x.dtype.type(6 * C * A)
    far = x.dtype.type(20)  # beyond this the derivative is 0 or 1, and v^3 need not overflow to find out
    for i in range(x.size):
        v = x[i]
        if far < abs(v) < np.inf:
            v = far if v > far else -far
        s = one / (one + exp(v * (c2 + c2a * v * v)))
        dx[i] = dy[i] * (s + v * s * (one - s) * (c6a * v * v - c2))


def gelu_forward(x, approximate="tanh"):
    if approximate != "tanh":
        return reference.gelu_forward(x, approximate)  # erf: SciPy's loop, no kernel of ours
    x = contiguous(x)
    y = empty(x.shape, x.dtype)
    gelu_v2(x.reshape(-1), y.reshape(-1))
    return y


def gelu_backward(dy, x, approximate="tanh"):
    if approximate != "tanh":
        return reference.gelu_backward(dy, x, approximate)
    dy, x = contiguous(dy), contiguous(x)
    dx = empty(x.shape, x.dtype)
    gelu_backward_v2(dy.reshape(-1), x.reshape(-1), dx.reshape(-1))
    return dx
