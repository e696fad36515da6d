"""Matrix–vector products with weights of one byte. Formulas: kernels/reference/int8.py.

A token reads every weight once and does two operations with it: memory sets the pace, so bytes are what counts, and
the threads share them (threads.py). Many rows of x at once are another matter; for them the weights become floats
again, a few outputs at a time, and BLAS does the product.
"""

import numpy as np

from .arena import contiguous, empty
from .atomic import array_at
from .jit import ask_for, kernel
from .ladder import rung
from .matmul import add_bias_residual
from .threads import TASK, WORTH_IT, crew, leave, offer, take, wait_for_others, wait_for_work

FEW = 32  # rows of x up to which our own loops are faster than BLAS
PART = 512  # weights of an output between two looks ahead; the sums of so few are a little more exact, too
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


@rung("int8_linear", 4, "in parts: the memory three parts later is asked for, so that it is there in time")
@kernel
def int8_linear_v4(x, q, scale, y):
    zero, weights = x.dtype.type(0), q.reshape(-1)
    inner = q.shape[1]
    for o in range(q.shape[0]):
        row = q[o]
        for n in range(x.shape[0]):
            y[n, o] = zero
        for start in range(0, inner, PART):
            part = row[start : start + PART]
            for line in range(0, PART, 64):
                ask_for(weights, o * inner + start + 3 * PART + line)
            for n in range(x.shape[0]):
                xn, total = x[n, start : start + PART], zero
                for i in range(part.size):
                    total += xn[i] * x.dtype.type(part[i])
                y[n, o] += total
        for n in range(x.shape[0]):
            y[n, o] *= x.dtype.type(scale[o])


@kernel
def _dequantize(q, scale, weight):  # (rows, in) -> floats
    for o in range(q.shape[0]):
        row, out, factor = q[o], weight[o], weight.dtype.type(scale[o])
        for i in range(row.size):
            out[i] = factor * weight.dtype.type(row[i])


@rung("int8_linear", 5, "from eight rows of x on: two outputs become floats, and each float meets four rows at a time")
@kernel
def int8_linear_v5(x, q, scale, y):
    (N, inner), outputs = x.shape, q.shape[0]
    if N < 8 or outputs < 2:
        int8_linear_v4(x, q, scale, y)
        return
    zero, weights = x.dtype.type(0), np.empty((2, inner), x.dtype)
    for pair in range(0, outputs, 2):
        o = min(pair, outputs - 2)  # of an odd number the last two pairs overlap, as the fours of rows below do
        _dequantize(q[o : o + 2], scale[o : o + 2], weights)
        first, second = weights[0], weights[1]
        for four in range(0, N, 4):
            n = min(four, N - 4)
            a, b, c, d = x[n], x[n + 1], x[n + 2], x[n + 3]
            a1, b1, c1, d1 = zero, zero, zero, zero
            a2, b2, c2, d2 = zero, zero, zero, zero
            for i in range(inner):
                w1, w2 = first[i], second[i]
                a1 += a[i] * w1
                b1 += b[i] * w1
                c1 += c[i] * w1
                d1 += d[i] * w1
                a2 += a[i] * w2
                b2 += b[i] * w2
                c2 += c[i] * w2
                d2 += d[i] * w2
            y[n, o], y[n + 1, o], y[n + 2, o], y[n + 3, o] = a1, b1, c1, d1
            y[n, o + 1], y[n + 1, o + 1], y[n + 2, o + 1], y[n + 3, o + 1] = a2, b2, c2, d2


# --- a product shared by threads: see threads.py ------------------------------------------------------------

PIECES, ROWS, INNER, OUT, X, Q, SCALE, Y = range(TASK, TASK + 8)  # words: numbers, then addresses


@kernel
def _piece(piece, pieces, x, q, scale, y):
    pairs = q.shape[0] // 2  # whole pairs of outputs, so that they are the same for any number of pieces
    start, stop = pairs * piece // pieces * 2, pairs * (piece + 1) // pieces * 2
    if piece == pieces - 1:
        stop = q.shape[0]
    int8_linear_v5(x, q[start:stop], scale[start:stop], y[:, start:stop])


@kernel
def _help(words, looks):
    """What a helper runs: pieces of whatever product the words describe."""
    while wait_for_work(words, looks):
        piece = take(words)
        while piece >= 0:  # only now are the words those of this product
            rows, inner, out = words[ROWS], words[INNER], words[OUT]
            x, y = array_at(words[X], (rows, inner), np.float32), array_at(words[Y], (rows, out), np.float32)
            q, scale = array_at(words[Q], (out, inner), np.int8), array_at(words[SCALE], (out,), np.float32)
            _piece(piece, words[PIECES], x, q, scale, y)
            piece = take(words)
        leave(words)


@kernel
def _with_help(words, pieces, x, q, scale, y):  # as int8_linear_v5, all of them contiguous, x float32
    words[PIECES], words[ROWS], words[INNER], words[OUT] = pieces, x.shape[0], x.shape[1], q.shape[0]
    words[X], words[Q], words[SCALE], words[Y] = x.ctypes.data, q.ctypes.data, scale.ctypes.data, y.ctypes.data
    offer(words, pieces)
    piece = take(words)
    while piece >= 0:
        _piece(piece, pieces, x, q, scale, y)
        piece = take(words)
    wait_for_others(words)


def _shared_product(x, q, scale, y):
    helpers = crew(_help) if q.nbytes >= WORTH_IT and x.dtype == np.float32 == scale.dtype else None
    if helpers is None or not helpers.busy.acquire(blocking=False):
        int8_linear_v5(x, q, scale, y)
        return
    try:
        helpers.wake()
        _with_help(helpers.words, helpers.pieces(q), x, q, scale, y)
    finally:
        helpers.busy.release()


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
        _shared_product(x, q, scale, y)
    else:
        tile = empty((min(TILE, len(q)), inner), x.dtype)
        for start in range(0, len(q), TILE):
            part = slice(start, min(start + TILE, len(q)))
            weight = tile[: part.stop - start]  # (outputs, in)
            _dequantize(q[part], scale[part], weight)
            np.matmul(x, weight.T, out=y[:, part])
    add_bias_residual(y, bias, residual)
    return y


def int8_embedding_forward(ids, q, scale):  # ids (...), q (V, C), scale (V,) -> (..., C) float32
    ids, q, scale = contiguous(ids), contiguous(q), contiguous(scale)
    y = empty((*ids.shape, q.shape[1]), np.float32)
    _gather(ids.reshape(-1), q, scale, y.reshape(ids.size, q.shape[1]))
    return y
