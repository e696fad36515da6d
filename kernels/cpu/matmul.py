"""Matrix products: the ladder from the triple loop to BLAS, and the linear layer with what is fused to it.

NumPy's BLAS is as fast as any; what is saved here is around it: outputs in memory that is used again, and bias, GELU
and residual in the pass that touches the data anyway. Formulas: kernels/reference/matmul.py.
"""

import numpy as np

from .activation import gelu_backward, gelu_v2
from .arena import contiguous, empty
from .jit import gemm, kernel
from .ladder import rung


@rung("matmul", 1, "the definition: y[i, j] = sum_k a[i, k] b[k, j]")
@kernel
def matmul_v1(a, b, y):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = y.dtype.type(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            y[i, j] = total


@rung("matmul", 2, "loops in the order i, k, j: the inner one walks along rows of b and y")
@kernel
def matmul_v2(a, b, y):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            y[i, j] = y.dtype.type(0)
        for k in range(a.shape[1]):
            aik = a[i, k]
            for j in range(b.shape[1]):
                y[i, j] += aik * b[k, j]


@rung("matmul", 3, "tiles of b that stay in cache while all rows of a pass over them")
@kernel
def matmul_v3(a, b, y):
    tile_k, tile_j = 64, 256
    y[:] = 0
    for k0 in range(0, a.shape[1], tile_k):
        for j0 in range(0, b.shape[1], tile_j):
            for i in range(a.shape[0]):
                y_row = y[i, j0 : j0 + tile_j]  # a view each, so that the inner loop counts from 0: no index can be
                for k in range(k0, min(k0 + tile_k, a.shape[1])):  # negative then, and LLVM vectorises
                    aik, b_row = a[i, k], b[k, j0 : j0 + tile_j]
                    for j in range(y_row.size):
                        y_row[j] += aik * b_row[j]


@rung("matmul", 4, "four rows of a at a time: each element of b that is loaded is used four times")
@kernel
def matmul_v4(a, b, y):
    tile_k, tile_j = 64, 256
    y[:] = 0
    rows = a.shape[0] - a.shape[0] % 4
    for k0 in range(0, a.shape[1], tile_k):
        k1 = min(k0 + tile_k, a.shape[1])
        for j0 in range(0, b.shape[1], tile_j):
            j1 = j0 + tile_j
            for i in range(0, rows, 4):
                y0, y1, y2, y3 = y[i, j0:j1], y[i + 1, j0:j1], y[i + 2, j0:j1], y[i + 3, j0:j1]
                for k in range(k0, k1):
                    a0, a1, a2, a3, b_row = a[i, k], a[i + 1, k], a[i + 2, k], a[i + 3, k], b[k, j0:j1]
                    for j in range(b_row.size):
                        bkj = b_row[j]
                        y0[j] += a0 * bkj
                        y1[j] += a1 * bkj
                        y2[j] += a2 * bkj
                        y3[j] += a3 * bkj
            for i in range(rows, a.shape[0]):
                y_row = y[i, j0:j1]
                for k in range(k0, k1):
                    aik, b_row = a[i, k], b[k, j0:j1]
                    for j in range(b_row.size):
                        y_row[j] += aik * b_row[j]


@rung("matmul", 5, "BLAS")
@kernel
def matmul_v5(a, b, y):
    gemm(False, False, 1.0, a, b, 0.0, y)


def matmul(a, b):
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) if a.ndim > 2 or b.ndim > 2 else ()
    dtype = a.dtype if a.dtype == b.dtype else np.result_type(a, b)
    return np.matmul(a, b, out=empty((*stack, a.shape[-2], b.shape[-1]), dtype))


@kernel
def _add_bias(y, bias):  # y (N, C)
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            y[n, c] += bias[c]


@kernel
def _bias_gelu(pre, bias, y):  # (N, C)
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            pre[n, c] += bias[c]
        gelu_v2(pre[n], y[n])


@kernel
def _column_sums(x, out):  # x (N, C), out (C,)
    for c in range(x.shape[1]):
        out[c] = x.dtype.type(0)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            out[c] += x[n, c]


@kernel
def _bias_residual(x, bias, residual, y):  # (N, C)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[n, c] = x[n, c] + bias[c] + residual[n, c]


def add_bias_residual(y, bias, residual):  # y (N, out), in place; bias (out,) and residual (N, out) may be None
    if bias is not None and residual is not None:
        _bias_residual(y, contiguous(bias), contiguous(residual), y)
    elif bias is not None:
        _add_bias(y, contiguous(bias))
    elif residual is not None:
        y += residual


def linear_forward(x, weight, bias=None, residual=None):  # x (N, in), weight (in, out), residual (N, out)
    y = matmul(x, weight)  # (N, out)
    add_bias_residual(y, bias, residual)
    return y


def linear_backward(dy, x, weight, needs=(True, True, True)):  # dy (N, out)
    dx = matmul(dy, weight.T) if needs[0] else None  # (N, in)
    dweight = matmul(x.T, dy) if needs[1] else None  # (in, out)
    dbias = bias_residual_backward(dy) if needs[2] else None  # (out,)
    return dx, dweight, dbias


def linear_gelu_forward(x, weight, bias=None):  # x (N, in)
    pre = matmul(x, weight)  # (N, out)
    y = empty(pre.shape, pre.dtype)
    if bias is None:
        gelu_v2(pre.reshape(-1), y.reshape(-1))
    else:
        _bias_gelu(pre, contiguous(bias), y)
    return y, pre


def linear_gelu_backward(dy, x, weight, pre, needs=(True, True, True)):  # dy (N, out)
    return linear_backward(gelu_backward(dy, pre), x, weight, needs)


def bias_residual_forward(x, bias, residual):  # x (N, C), bias (C,), residual (N, C)
    y = empty(x.shape, x.dtype)
    _bias_residual(*(contiguous(a) for a in (x, bias, residual)), y)
    return y


def bias_residual_backward(dy):  # dy (N, C)
    dbias = empty((dy.shape[1],), dy.dtype)
    _column_sums(contiguous(dy), dbias)
    return dbias
