"""Many elements to one along given axes. `axis` is a tuple of non-negative axes, sorted."""

import numpy as np


def sum(x, axis, keepdims=False):
    return np.sum(x, axis=axis, keepdims=keepdims)


def max(x, axis, keepdims=False):
    return np.max(x, axis=axis, keepdims=keepdims)


def max_backward(dy, x, y, axis):
    """Each place that holds the maximum gets an equal share of dy. dy and y keep the reduced axes."""
    is_max = x == y
    return dy * is_max / np.sum(is_max, axis=axis, keepdims=True, dtype=x.dtype)


def var(x, axis, keepdims=False):
    """y = mean((x - mean x)^2), divided by n, not n - 1"""
    return np.var(x, axis=axis, keepdims=keepdims)


def var_backward(dy, x, axis, count):
    """dx = dy * 2 (x - mean x) / n. dy keeps the reduced axes, count = n."""
    return dy * (2.0 / count) * (x - np.mean(x, axis=axis, keepdims=True))


def squared_norm(x):
    """Sum of squares of all elements, a Python float."""
    return float(np.sum(np.square(x, dtype=np.float64)))


def squared_norms(arrays):
    """squared_norm of each, as clip_scale takes them; on a card they stay there."""
    return [squared_norm(x) for x in arrays]
