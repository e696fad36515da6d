"""Sums of squares of arrays of any length, for the gradient norm. Formula: kernels/reference/reduce.py.

A launch leaves one float32 for each block, some thousand at most, and the host adds those up in float64; the card is
slow at float64. All arrays are launched before the host waits for any of them.

Squares overflow for elements above 1e19 and vanish for elements below 1e-19. The host sees that from the sum: it is not
finite, or too small for the number of elements. Then that array is scaled by its largest element and summed again.
"""

import math

import numpy as np

from .device import DeviceArray, empty, to_host
from .elementwise import absolute
from .errors import DeviceError
from .ladder import rung
from .machine import Count, Float, Floats, cuda, kernel, load4
from .maps import for_fours
from .reductions import MAX, reduce
from .warp import LANES, warp_sum

THREADS, WARPS = 256, 8  # in a block
BLOCK = 4 * 4 * THREADS  # elements for which one more block is worth its start
BLOCKS = 1024  # most blocks of one launch
SMALLEST = 1e-30  # of the mean square; squares below 1e-38 are lost, so above it not more than 1e-8 of the sum is


@rung("squared_norm", 1, "each thread walks through a piece of its own, a block of threads leaves 256 sums")
@kernel(threads=THREADS)
def squared_norm_v1(x: Floats, factor: Float, sums: Floats, first: Count, n: Count):
    piece = (n + cuda.gridsize(1) - 1) // cuda.gridsize(1)
    start = cuda.grid(1) * piece
    total = np.float32(0)
    for i in range(start, min(start + piece, n)):
        v = x[i] * factor
        total += v * v
    sums[first + cuda.grid(1)] = total


@rung("squared_norm", 2, "neighbouring threads read neighbours; a block leaves one sum")
@kernel(threads=THREADS)
def squared_norm_v2(x: Floats, factor: Float, sums: Floats, first: Count, n: Count):
    each = cuda.shared.array(WARPS, np.float32)
    total = np.float32(0)
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        v = x[i] * factor
        total += v * v
    total = warp_sum(total)
    if cuda.threadIdx.x % LANES == 0:
        each[cuda.threadIdx.x // LANES] = total
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        total = np.float32(0)
        for warp in range(WARPS):
            total += each[warp]
        sums[first + cuda.blockIdx.x] = total


@rung("squared_norm", 3, "128 bits an access, and four sums that do not wait for each other")
@kernel(threads=THREADS)
def squared_norm_v3(x: Floats, factor: Float, sums: Floats, first: Count, n: Count):
    each = cuda.shared.array(WARPS, np.float32)
    t0, t1, t2, t3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for i in range(cuda.grid(1), n // 4, cuda.gridsize(1)):
        x0, x1, x2, x3 = load4(x, 4 * i)
        x0, x1, x2, x3 = x0 * factor, x1 * factor, x2 * factor, x3 * factor
        t0, t1, t2, t3 = t0 + x0 * x0, t1 + x1 * x1, t2 + x2 * x2, t3 + x3 * x3
    for i in range(n // 4 * 4 + cuda.grid(1), n, cuda.gridsize(1)):  # the last one to three
        v = x[i] * factor
        t0 += v * v
    total = warp_sum((t0 + t1) + (t2 + t3))
    if cuda.threadIdx.x % LANES == 0:
        each[cuda.threadIdx.x // LANES] = total
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        total = np.float32(0)
        for warp in range(WARPS):
            total += each[warp]
        sums[first + cuda.blockIdx.x] = total


def sums_of_squares(arrays) -> list[float]:
    """The sum of squares of each array, as Python floats; one copy to the host for all of them."""
    for x in arrays:
        if not isinstance(x, DeviceArray) or x.dtype != np.float32:
            raise DeviceError(f"squared_norm is there for float32 arrays on the card, not for {x!r}")
    arrays = [for_fours(x) for x in arrays]
    totals = _launch(arrays, [1.0] * len(arrays)) if arrays else []
    for i, (x, total) in enumerate(zip(arrays, totals, strict=True)):
        if not SMALLEST * x.size < total < math.inf and x.size:
            totals[i] = _scaled(x)
    return totals


def _launch(arrays, factors) -> list[float]:
    grids = [max(1, min(-(-x.size // BLOCK), BLOCKS)) for x in arrays]
    firsts = [sum(grids[:i]) for i in range(len(grids))]
    sums = empty((sum(grids),))
    for x, factor, grid, first in zip(arrays, factors, grids, firsts, strict=True):
        squared_norm_v3(grid, THREADS, x.flat, factor, sums.flat, first, x.size)
    host = to_host(sums).astype(np.float64)
    return [float(part.sum()) for part in np.split(host, firsts[1:])]


def _scaled(x) -> float:
    """The sum of squares of an array whose squares leave the range of float32. NaN and Inf stay what they are."""
    largest = float(to_host(reduce(MAX, absolute(x), tuple(range(x.ndim)), False)))
    if largest == 0 or not math.isfinite(largest):
        return largest
    power = max(-126, min(126, -math.frexp(largest)[1]))  # x * 2^power is below 1, and nothing is rounded by it
    return _launch([x], [2.0**power])[0] * 4.0**-power
