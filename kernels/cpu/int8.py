"""Matrix–vector products with weights of one byte. Formulas: kernels/reference/int8.py.

A token reads every weight once and does two operations with it: memory sets the pace, so bytes are what counts. Many
rows of x at once are another matter; for them the weights become floats again, a few outputs at a time, and BLAS does
the product.
"""

import numpy as np

from .arena import contiguous, empty
from .jit import kernel
from .ladder import rung
from .threads import over_rows

FEW = 8  # rows of x up to which each is a product of its own
TILE = 256  # outputs that become floats at a time, for BLAS


@rung("int8_linear", 1, "the formula, every weight scaled when it is read; sum in float64")
@kernel
def int8_linear_v1(x, q, scale, y):  # x (N, in), q (out, in), scale (out,), y (N, out)
    for n in range(x.shape[0]):
        for o in range(q.shape[0]):
            total = 0.0
            for i in range(x.shape[1]):
                total += x[n, i] * (q[o, i] * np.float64(scale[o]))
            y[n, o] = total


@rung(
    "int8_linear", 2, "the scale once per output; float32 sums, which LLVM vectorises: 8 weights are widened at a time"
)
@kernel
def int8_linear_v2(x, q, scale, y):
    zero = x.dtype.type(0)
    for n in range(x.shape[0]):
        xn = x[n]
        for o in range(q.shape[0]):
            row, total = q[o], zero
            for i in range(xn.size):
                total += xn[i] * x.dtype.type(row[i])
            y[n, o] = total * x.dtype.type(scale[o])


@rung("int8_linear", 3, "outputs outside, rows of x inside: the weights of an output are read from memory once for all")
@kernel
def int8_linear_v3(x, q, scale, y):
    zero = x.dtype.type(0)
    for o in range(q.shape[0]):
        row, factor = q[o], x.dtype.type(scale[o])
        for n in range(x.shape[0]):
            xn, total = x[n], zero
            for i in range(xn.size):
                total += xn[i] * x.dtype.type(row[i])
            y[n, o] = total * factor


@kernel
def _dequantize(q, scale, weight):  # (rows, in) -> floats
    for o in range(q.shape[0]):
        row, out, factor = q[o], weight[o], weight.dtype.type(scale[o])
        for i in range(row.size):
            out[i] = factor * weight.dtype.type(row[i])


@kernel
def _gather(ids, q, scale, y):  # ids (N,), q (V, C), y (N, C)
    for n in range(ids.size):
        row, out, factor = q[ids[n]], y[n], scale[ids[n]]
        for c in range(row.size):
            out[c] = factor * np.float32(row[c])


def int8_linear_forward(x, q, scale, bias=None, residual=None):  # x (N, in), q (out, in), scale (out,)
    x, q, scale = contiguous(x), contiguous(q), contiguous(scale)
    N, inner = x.shape
    y = empty((N, len(q)), x.dtype)
    if N <= FEW:
        over_rows(lambda a, b: int8_linear_v3(x, q[a:b], scale[a:b], y[:, a:b]), q)
    else:
        tile = empty((min(TILE, len(q)), inner), x.dtype)
        for start in range(0, len(q), TILE):
            part = slice(start, min(start + TILE, len(q)))
            weight = tile[: part.stop - start]  # (outputs, in)
            _dequantize(q[part], scale[part], weight)
            np.matmul(x, weight.T, out=y[:, part])
    if bias is not None:
        y += bias
    if residual is not None:
        y += residual
    return y


def int8_embedding_forward(ids, q, scale):  # ids (...), q (V, C), scale (V,) -> (..., C) float32
    ids, q, scale = contiguous(ids), contiguous(q), contiguous(scale)
    y = empty((*ids.shape, q.shape[1]), np.float32)
    _gather(ids.reshape(-1), q, scale, y.reshape(ids.size, q.shape[1]))
    return y
