"""Layer norm, forward and backward. Formulas: kernels/reference/layernorm.py."""

import math

import numpy as np

from .arena import contiguous, empty
from .jit import kernel
from .ladder import rung


@rung("layernorm_forward", 1, "three passes over each row, as the formula says")
@kernel
def layernorm_v1(x, weight, bias, eps, y, mean, rstd):  # x (N, C)
    N, C = x.shape
    for n in range(N):
        total = 0.0
        for c in range(C):
            total += x[n, c]
        mean[n, 0] = total / C
        total = 0.0
        for c in range(C):
            total += (x[n, c] - mean[n, 0]) ** 2
        rstd[n, 0] = 1 / math.sqrt(total / C + eps)
        for c in range(C):
            y[n, c] = (x[n, c] - mean[n, 0]) * rstd[n, 0] * weight[c] + bias[c]


@rung("layernorm_forward", 2, "sums in the array's own type, so that LLVM vectorises them; the row stays in cache")
@kernel
def layernorm_v2(x, weight, bias, eps, y, mean, rstd):  # x (N, C)
    N, C = x.shape
    zero, one = x.dtype.type(0), x.dtype.type(1)
    share = x.dtype.type(1 / C)
    for n in range(N):
        total = zero
        for c in range(C):
            total += x[n, c]
        m = total * share
        total = zero
        for c in range(C):
            d = x[n, c] - m
            total += d * d
        r = one / np.sqrt(total * share + x.dtype.type(eps))
        mean[n, 0], rstd[n, 0] = m, r
        for c in range(C):
            y[n, c] = (x[n, c] - m) * r * weight[c] + bias[c]


@rung("layernorm_backward", 1, "the formula, with one pass per sum")
@kernel
def layernorm_backward_v1(dy, x, weight, mean, rstd, dx, dweight, dbias):  # x (N, C)
    N, C = x.shape
    dweight[:] = 0
    dbias[:] = 0
    for n in range(N):
        sum_g, sum_gx = 0.0, 0.0
        for c in range(C):
            xhat = (x[n, c] - mean[n, 0]) * rstd[n, 0]
            sum_g += dy[n, c] * weight[c]
            sum_gx += dy[n, c] * weight[c] * xhat
            dweight[c] += dy[n, c] * xhat
            dbias[c] += dy[n, c]
        for c in range(C):
            xhat = (x[n, c] - mean[n, 0]) * rstd[n, 0]
            dx[n, c] = rstd[n, 0] * (dy[n, c] * weight[c] - sum_g / C - xhat * sum_gx / C)


@rung("layernorm_backward", 2, "the array's own type; sums over the row and over the column in loops of their own")
@kernel
def layernorm_backward_v2(dy, x, weight, mean, rstd, dx, dweight, dbias):  # x (N, C)
    N, C = x.shape
    zero, share = x.dtype.type(0), x.dtype.type(1 / C)
    for c in range(C):
        dweight[c] = zero
        dbias[c] = zero
    for n in range(N):
        m, r = mean[n, 0], rstd[n, 0]
        sum_g, sum_gx = zero, zero
        for c in range(C):
            g = dy[n, c] * weight[c]
            sum_g += g
            sum_gx += g * (x[n, c] - m)
        a = sum_g * share
        b = sum_gx * r * share
        for c in range(C):
            xhat = (x[n, c] - m) * r
            d = dy[n, c]
            dweight[c] += d * xhat
            dbias[c] += d
            dx[n, c] = r * (d * weight[c] - a - xhat * b)


def layernorm_forward(x, weight=None, bias=None, eps=1e-5):  # x (N, C)
    x = contiguous(x)
    N, C = x.shape
    y, mean, rstd = empty(x.shape, x.dtype), empty((N, 1), x.dtype), empty((N, 1), x.dtype)
    layernorm_v2(x, _or_full(weight, 1, C, x.dtype), _or_full(bias, 0, C, x.dtype), eps, y, mean, rstd)
    return y, mean, rstd


def layernorm_backward(dy, x, weight, mean, rstd):
    dy = contiguous(dy)
    C = x.shape[1]
    dx, dweight, dbias = empty(x.shape, x.dtype), empty((C,), x.dtype), empty((C,), x.dtype)
    layernorm_backward_v2(dy, x, _or_full(weight, 1, C, x.dtype), mean, rstd, dx, dweight, dbias)
    return dx, dweight, dbias


def _or_full(p, value, C, dtype):
    return np.full(C, value, dtype) if p is None else contiguous(p)
