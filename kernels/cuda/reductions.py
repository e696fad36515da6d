"""Kernels that make one element of many, for any function that joins two: sums, maxima.

An array is seen as (outer, K, inner), and the middle is reduced:

    inner = 1   rows that lie in one piece. A warp takes a row; eight warps take a row that is long; and if there are
                few rows that are very long, each is cut into parts, and a second launch joins the parts.
    inner > 1   columns. A thread walks down a column; neighbouring threads read neighbours. Long columns are cut too.

Who adds what in which order depends on the shape alone, so results are the same bits every time.
"""

from math import prod
from typing import NamedTuple

import numpy as np

from .device import DeviceArray, contiguous, empty
from .machine import Bytes, Count, Floats, Ids, Kernel, blocks, cuda, device_function, kernel
from .warp import ALL, LANES

WARPS = 8  # in a block
SHORT = 1024  # elements of a row that one warp takes
PART = 8192  # elements of a part of a row that eight warps take, at least
PARTS = 1024  # blocks that are enough for a whole card


class Reduction(NamedTuple):
    """The two kernels of one way to join elements, and of what type the result is."""

    rows: Kernel
    columns: Kernel
    dtype: np.dtype


def reduction(name, Array, Result, number, join, start):
    """Kernels that join elements of Array by join(a, b), from `start` on, into a Result; number: its NumPy type."""

    @device_function
    def join_warp(value):
        value = join(value, cuda.shfl_xor_sync(ALL, value, 16))
        value = join(value, cuda.shfl_xor_sync(ALL, value, 8))
        value = join(value, cuda.shfl_xor_sync(ALL, value, 4))
        value = join(value, cuda.shfl_xor_sync(ALL, value, 2))
        return join(value, cuda.shfl_xor_sync(ALL, value, 1))

    @kernel(threads=WARPS * LANES, registers=64)
    def rows(x: Array, y: Result, K: Count, parts: Count, part: Count, warps: Count, n: Count):
        """y[row * parts + p] = x[row, p * part … (p + 1) * part], n of them; `warps` warps work on each."""
        each = cuda.shared.array(WARPS, number)
        lane, warp = cuda.threadIdx.x % LANES, cuda.threadIdx.x // LANES
        i = cuda.blockIdx.x * (WARPS // warps) + warp // warps
        value = start
        if i < n:
            first = (i % parts) * part
            row = (i // parts) * K
            for k in range(first + (warp % warps) * LANES + lane, min(first + part, K), warps * LANES):
                value = join(value, x[row + k])
        value = join_warp(value)
        if warps > 1:  # so for all threads of the block
            if lane == 0:
                each[warp] = value
            cuda.syncthreads()
            if lane == 0 and warp % warps == 0:
                for other in range(warp + 1, warp + warps):
                    value = join(value, each[other])
        if lane == 0 and warp % warps == 0 and i < n:
            y[i] = value

    @kernel(threads=256, registers=64)
    def columns(x: Array, y: Result, K: Count, inner: Count, parts: Count, part: Count, n: Count):
        """y[o, p, c] = x[o, p * part … (p + 1) * part, c], n of them."""
        i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
        while i < n:
            c, rest = i % inner, i // inner
            first, outer = (rest % parts) * part, rest // parts
            value = start
            for k in range(first, min(first + part, K)):
                value = join(value, x[(outer * K + k) * inner + c])
            y[i] = value
            i += step

    rows.name, columns.name = f"{name}_rows", f"{name}_columns"
    return Reduction(rows, columns, np.dtype(number))


@device_function
def plus(a, b):
    return a + b


@device_function
def larger(a, b):
    return a if a >= b or a != a else b  # NaN wins


SUM = {
    "float32": reduction("sum_float32", Floats, Floats, np.float32, plus, np.float32(0)),
    "int64": reduction("sum_int64", Ids, Ids, np.int64, plus, np.int64(0)),
    "bool": reduction("sum_bool", Bytes, Ids, np.int64, plus, np.int64(0)),
}
MAX = {
    "float32": reduction("max_float32", Floats, Floats, np.float32, larger, np.float32(-np.inf)),
    "int64": reduction("max_int64", Ids, Ids, np.int64, larger, np.int64(np.iinfo(np.int64).min)),
}


# --- launching them ---------------------------------------------------------------------------------------------


def reduce(ways: dict[str, Reduction], x: DeviceArray, axis, keepdims) -> DeviceArray:
    """x reduced over the axes by the kernels for its type."""
    shape = tuple(1 if i in axis else n for i, n in enumerate(x.shape))
    flat, outer, K, inner = as_middle(x, axis)
    way = ways[x.dtype.name]
    if inner == 1:
        warps, parts = row_plan(outer, K)
        flat = reduce_rows(way, flat, outer, K, warps, parts)
    else:
        parts = column_plan(outer, K, inner)
        flat = reduce_columns(way, flat, outer, K, inner, parts)
    if parts > 1:
        way = ways[way.dtype.name]
        if inner == 1:
            flat = reduce_rows(way, flat, outer, parts, 1, 1)
        else:
            flat = reduce_columns(way, flat, outer, parts, inner, 1)
    return DeviceArray(
        flat.lease, way.dtype, shape if keepdims else [n for i, n in enumerate(x.shape) if i not in axis]
    )


def as_middle(x, axis):
    """(x in one piece, outer, K, inner): the axes to reduce are the middle, behind all others if they lie scattered."""
    real = [i for i, n in enumerate(x.shape) if n != 1]
    reduced = [i for i in real if i in axis]
    if not reduced:
        return contiguous(x), x.size, 1, 1
    between = range(reduced[0], reduced[-1] + 1)
    if any(i in real and i not in axis for i in between):
        order = [i for i in range(x.ndim) if i not in reduced] + reduced
        x = DeviceArray(x.lease, x.dtype, [x.shape[i] for i in order], [x.strides[i] for i in order], x.offset)
        between = range(x.ndim - len(reduced), x.ndim)
    lengths = [prod(x.shape[slice(*ends)]) for ends in ((0, between[0]), (between[0], between[-1] + 1))]
    return contiguous(x), *lengths, prod(x.shape[between[-1] + 1 :])


def row_plan(rows, K) -> tuple[int, int]:
    """(warps for a part of a row, parts of a row)"""
    if K <= SHORT:
        return 1, 1
    return WARPS, max(1, min(-(-K // PART), PARTS // max(rows, 1)))


def column_plan(outer, K, inner) -> int:
    """Parts of a column: at least 32 elements each, and no more threads than the card holds."""
    return max(1, min(K // 32, PARTS * 256 // max(outer * inner, 1)))


def reduce_rows(way, x, rows, K, warps, parts):
    """(rows, K) -> (rows, parts), flat."""
    y = empty((rows * parts,), way.dtype)
    way.rows(-(-y.size * warps // WARPS), WARPS * LANES, x.flat, y.flat, K, parts, -(-K // parts), warps, y.size)
    return y


def reduce_columns(way, x, outer, K, inner, parts):
    """(outer, K, inner) -> (outer, parts, inner), flat."""
    y = empty((outer * parts * inner,), way.dtype)
    way.columns(blocks(y.size, 256), 256, x.flat, y.flat, K, inner, parts, -(-K // parts), y.size)
    return y
