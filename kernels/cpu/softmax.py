"""Softmax and log-softmax over the last axis. Formulas: kernels/reference/softmax.py."""

import math

import numpy as np

from .arena import contiguous, empty
from .jit import exp, kernel, largest
from .ladder import rung


@rung("softmax_forward", 1, "three loops over each row: maximum, sum of exp, division")
@kernel
def softmax_v1(x, y):  # (N, C)
    for n in range(x.shape[0]):
        m = -np.inf
        for c in range(x.shape[1]):
            m = max(m, x[n, c])
        if m == -np.inf:
            m = 0.0
        total = 0.0
        for c in range(x.shape[1]):
            y[n, c] = math.exp(x[n, c] - m)
            total += y[n, c]
        for c in range(x.shape[1]):
            y[n, c] = y[n, c] / total if total != 0 else 0.0


@rung("softmax_forward", 2, "online: maximum and sum in one pass, the sum rescaled when the maximum rises")
@kernel
def softmax_v2(x, y):  # (N, C)
    for n in range(x.shape[0]):
        m, total = -np.inf, 0.0
        for c in range(x.shape[1]):
            if x[n, c] > m:
                total = total * math.exp(m - x[n, c]) + 1.0
                m = x[n, c]
            elif x[n, c] != -np.inf:
                total += math.exp(x[n, c] - m)
        for c in range(x.shape[1]):
            y[n, c] = math.exp(x[n, c] - m) / total if total != 0 else 0.0


@rung("softmax_forward", 3, "three loops again, each vectorised: a maximum, our exp with its sum, a multiplication")
@kernel
def softmax_v3(x, y):  # (N, C)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for n in range(x.shape[0]):
        m = largest(x[n])
        if m == -np.inf:
            m = zero
        total = zero
        for c in range(x.shape[1]):
            e = exp(x[n, c] - m)
            y[n, c] = e
            total += e
        scale = one / total if total != zero else zero
        for c in range(x.shape[1]):
            y[n, c] *= scale


@rung("softmax_backward", 1, "dx = y * (dy - sum dy y), sums in float64")
@kernel
def softmax_backward_v1(dy, y, dx):  # (N, C)
    for n in range(y.shape[0]):
        total = 0.0
        for c in range(y.shape[1]):
            total += dy[n, c] * y[n, c]
        for c in range(y.shape[1]):
            dx[n, c] = y[n, c] * (dy[n, c] - total)


@rung("softmax_backward", 2, "sums in the array's own type, vectorised")
@kernel
def softmax_backward_v2(dy, y, dx):  # (N, C)
    for n in range(y.shape[0]):
        total = y.dtype.type(0)
        for c in range(y.shape[1]):
            total += dy[n, c] * y[n, c]
        for c in range(y.shape[1]):
            dx[n, c] = y[n, c] * (dy[n, c] - total)


@kernel
def _log_softmax(x, y):  # (N, C)
    for n in range(x.shape[0]):
        m = largest(x[n])
        if m == -np.inf:
            m = x.dtype.type(0)
        total = x.dtype.type(0)
        for c in range(x.shape[1]):
            total += exp(x[n, c] - m)
        log_total = np.log(total) if total != x.dtype.type(0) else total  # only -inf: stays -inf
        for c in range(x.shape[1]):
            y[n, c] = x[n, c] - m - log_total


@kernel
def _log_softmax_backward(dy, y, dx):  # (N, C)
    for n in range(y.shape[0]):
        total = y.dtype.type(0)
        for c in range(y.shape[1]):
            total += dy[n, c]
        for c in range(y.shape[1]):
            dx[n, c] = dy[n, c] - exp(y[n, c]) * total


def _by_rows(function, *arrays):
    """Call function on (N, C) forms of the arrays and of a fresh output, which is returned in the first one's shape."""
    whole = [contiguous(a) for a in arrays]
    out = empty(whole[0].shape, whole[0].dtype)
    rows = (-1, out.shape[-1]) if out.size else (0, out.shape[-1])
    function(*(a.reshape(rows) for a in whole), out.reshape(rows))
    return out


def softmax_forward(x):
    return _by_rows(softmax_v3, x)


def softmax_backward(dy, y):
    return _by_rows(softmax_backward_v2, dy, y)


def log_softmax_forward(x):
    return _by_rows(_log_softmax, x)


def log_softmax_backward(dy, y):
    return _by_rows(_log_softmax_backward, dy, y)
