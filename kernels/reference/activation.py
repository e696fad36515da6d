"""Activation functions: the bends between linear layers.

The backward functions take `dy` = d loss / d y and what forward had: x, or y where that is shorter.
"""

import math

import numpy as np

GELU_C = math.sqrt(2.0 / math.pi)
GELU_A = 0.044715


def tanh_forward(x):
    return np.tanh(x)


def tanh_backward(dy, y):
    """dx = dy * (1 - y^2)"""
    return dy * (1 - y * y)


def sigmoid_forward(x):
    """y = 1 / (1 + e^-x), written as (1 + tanh(x/2)) / 2, which cannot overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def sigmoid_backward(dy, y):
    """dx = dy * y * (1 - y)"""
    return dy * y * (1 - y)


def relu_forward(x):
    return np.maximum(x, 0)


def relu_backward(dy, x):
    """dx = dy where x > 0, else 0"""
    return dy * (x > 0)


def gelu_forward(x, approximate="tanh"):
    """y = x * Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016, section 2).

    approximate="tanh": Phi(x) ~ (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))) / 2, the form of GPT-2;
    approximate="none": Phi(x) = (1 + erf(x / sqrt 2)) / 2.
    """
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(GELU_C * (x + GELU_A * (x * x * x))))
    return x * _normal_cdf(x)


def gelu_backward(dy, x, approximate="tanh"):
    """dx = dy * (Phi(x) + x * Phi'(x))"""
    if approximate == "tanh":
        t = np.tanh(GELU_C * (x + GELU_A * (x * x * x)))
        du = GELU_C * (1 + 3 * GELU_A * (x * x))  # derivative of the argument of tanh
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du)
    density = np.exp(-0.5 * (x * x)) * (1 / math.sqrt(2 * math.pi))
    return dy * (_normal_cdf(x) + x * density)


def _normal_cdf(x):
    from scipy.special import erf  # here, since importing scipy takes longer than all of NumPy

    return 0.5 * (1 + erf(x * (1 / math.sqrt(2))))
