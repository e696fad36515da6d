"""Sums of squares of arrays of any length, for the gradient norm. Formula: kernels/reference/reduce.py.

A block leaves one float32; what the blocks left is added up by the kernel of clipping.py, so that nobody has to wait.

Squares overflow for elements above 1e19 and vanish for elements below 1e-19. So rung 4 also adds up the squares of
2^-90 x and of 2^90 x, which costs arithmetic that the card has time for while it waits for memory (Blue 1978, "A
portable Fortran program to find the Euclidean norm of a vector"). If the plain sum is Inf, the first of them counts, if
it is below 1e-20, the second.
"""

import math

import numpy as np

from .array import DeviceArray, empty
from .device import to_host, zeros
from .fours import FOUR
from .ladder import rung
from .machine import Count, Float, Floats, Ids, cuda, device_function, floats_at, kernel, load4
from .tables import ADDRESS, LENGTH, InPlace, piece_of
from .warp import LANES, block_sum, warp_sum

THREADS, WARPS = 256, 8  # in a block
TINY = 1e-20  # smaller sums of squares may lack squares that were below what float32 can hold


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
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        v = x[i] * factor
        total += v * v
        i += step
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
    i, step = FOUR * np.uint32(cuda.grid(1)), FOUR * np.uint32(cuda.gridsize(1))
    while i + np.uint32(3) < n:
        x0, x1, x2, x3 = load4(x, i)
        x0, x1, x2, x3 = x0 * factor, x1 * factor, x2 * factor, x3 * factor
        t0, t1, t2, t3 = t0 + x0 * x0, t1 + x1 * x1, t2 + x2 * x2, t3 + x3 * x3
        i += step
    i = n - n % FOUR + np.uint32(cuda.grid(1))  # the last one to three
    if i < n:
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


# --- many arrays ------------------------------------------------------------------------------------------------

SMALLER, LARGER = np.float32(2.0**-90), np.float32(2.0**90)


@rung("squared_norm", 4, "all arrays in one launch, found in a table; three sums, so that no range is lost")
@kernel(threads=THREADS, exact=True)  # else the compiler may put x * x * (2^-90 * 2^-90) together, which is 0
def squared_norm_v4(table: Ids, sums: Floats, arrays: Count, pieces: Count):
    """sums (3, pieces): for each block the sum of x^2, of (2^-90 x)^2 and of (2^90 x)^2."""
    each = cuda.shared.array(WARPS, np.float32)
    block, thread = np.uint32(cuda.blockIdx.x), np.uint32(cuda.threadIdx.x)
    row, start, end = piece_of(block, table, np.uint32(ADDRESS + 1), arrays)
    x = floats_at(table[row + np.uint32(ADDRESS)], table[row + np.uint32(LENGTH)])
    plain, small, large = np.float32(0), np.float32(0), np.float32(0)
    i = start + FOUR * thread
    while i + np.uint32(3) < end:
        four = load4(x, i)
        plain, small, large = add_squares(plain, small, large, four[0], four[1])
        plain, small, large = add_squares(plain, small, large, four[2], four[3])
        i += np.uint32(4 * THREADS)
    i = end - end % FOUR + thread  # the last one to three
    if i < end:
        plain, small, large = add_squares(plain, small, large, x[i], np.float32(0))
    plain = block_sum(plain, each)
    small = block_sum(small, each)
    large = block_sum(large, each)
    if thread == 0:
        sums[block] = plain
        sums[pieces + block] = small
        sums[np.uint32(2) * pieces + block] = large


@device_function
def add_squares(plain, small, large, a, b):
    plain += a * a + b * b
    small += (a * SMALLER) * (a * SMALLER) + (b * SMALLER) * (b * SMALLER)
    large += (a * LARGER) * (a * LARGER) + (b * LARGER) * (b * LARGER)
    return plain, small, large


def sums_of_squares(arrays) -> DeviceArray:
    """(3, pieces) on the card: what squared_norm_v4 leaves of each piece. With no arrays, one piece of zeros."""
    with InPlace([[x] for x in arrays], changed=0) as table:
        if not table.blocks:
            return zeros((3, 1), np.float32)
        sums = empty((3, table.blocks))
        squared_norm_v4(table.blocks, THREADS, table.rows.flat, sums.flat, table.arrays, table.blocks)
    return sums


def squared_norm(x) -> float:
    """The sum of squares of one array as a Python float, for which the host waits."""
    plain, small, large = to_host(sums_of_squares([x])).astype(np.float64).sum(axis=1)
    if not math.isfinite(plain):
        return float(small) * 2.0**180
    return float(plain if plain > TINY else large * 2.0**-180)
