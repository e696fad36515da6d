"""What belongs to a bias: adding it, with a residual, to every row; and its gradient, the sum over the rows.

A sum over the rows is deterministic: who adds what in which order depends on the shape alone.
"""

import numpy as np

from .device import contiguous, empty
from .fours import FOUR
from .ladder import rung
from .machine import Count, Floats, blocks, cuda, kernel, load4, store4

LANES, DOWN = 32, 8  # a block that sums: a warp for 32 columns, 8 warps for rows
BLOCK = LANES * DOWN
ROWS = 128  # that a block takes at least: 16 for each of its warps


@kernel(threads=256)
def bias_residual(x: Floats, bias: Floats, residual: Floats, y: Floats, C: Count, n: Count):
    """y = x + bias + residual for n elements, in rows of C; by fours if C is a multiple of four."""
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    if C % FOUR == 0:
        i, step = FOUR * i, FOUR * step
        while i < n:
            x0, x1, x2, x3 = load4(x, i)
            b0, b1, b2, b3 = load4(bias, i % C)
            r0, r1, r2, r3 = load4(residual, i)
            store4(y, i, x0 + b0 + r0, x1 + b1 + r1, x2 + b2 + r2, x3 + b3 + r3)
            i += step
    else:
        while i < n:
            y[i] = x[i] + bias[i % C] + residual[i]
            i += step


def run_bias_residual(x, bias, residual):
    """x + bias + residual, all in one piece that begins at a multiple of four elements."""
    y = empty(x.shape)
    threads = -(-y.size // 4)
    bias_residual(blocks(threads, 256), 256, x.flat, bias.flat, residual.flat, y.flat, x.shape[1], y.size)
    return y


@rung("column_sums", 1, "one thread a column, all the way down")
@kernel(threads=256)
def column_sums_v1(x: Floats, y: Floats, N: Count, C: Count):
    c = np.uint32(cuda.grid(1))
    if c < C:
        total = np.float32(0)
        for n in range(N):
            total += x[n * C + c]
        y[c] = total


@rung(
    "column_sums", 2, "a block takes 32 columns and some of the rows, its warps every eighth; a second launch adds up"
)
@kernel(threads=BLOCK)
def column_sums_v2(x: Floats, y: Floats, N: Count, C: Count, rows: Count):
    """y[p, c] = sum of x[n, c] over the rows p * rows … (p + 1) * rows; p is blockIdx.y."""
    sums = cuda.shared.array(BLOCK, np.float32)
    t, p = np.uint32(cuda.threadIdx.x), np.uint32(cuda.blockIdx.y)
    lanes, down = np.uint32(LANES), np.uint32(DOWN)
    c = np.uint32(cuda.blockIdx.x) * lanes + t % lanes
    total = np.float32(0)
    if c < C:
        n, end = p * rows + t // lanes, min((p + np.uint32(1)) * rows, N)
        while n < end:
            total += x[n * C + c]
            n += down
    sums[t] = total
    cuda.syncthreads()
    if t < lanes and c < C:
        for warp in range(1, DOWN):
            total += sums[t + np.uint32(warp) * lanes]
        y[p * C + c] = total


def column_sums(x):  # (N, C) -> (C,)
    x = contiguous(x)
    N, C = x.shape
    across = -(-C // LANES)
    most = max(1, 2048 // max(1, across))  # parts of the rows: 2048 blocks keep all of the card busy
    parts = min(-(-N // ROWS), most)
    if parts <= 1:
        return _sum_parts(x, 1)
    return _sum_parts(_sum_parts(x, parts), 1)


def _sum_parts(x, parts):  # (N, C) -> (parts, C), or (C,) if parts is 1
    N, C = x.shape
    rows = -(-N // parts)
    y = empty((parts, C) if parts > 1 else (C,))
    column_sums_v2((-(-C // LANES), parts), BLOCK, x.flat, y.flat, N, C, rows)
    return y
