"""Scale and norm of a step's gradients, without a wait. Formulas: kernels/reference/clipping.py.

One block adds up what the blocks of squared_norm_v4 left, and writes two numbers: the scale, with which the optimizer's
kernels multiply the gradients, and the norm, which the host fetches when it wants to know.
"""

import math

import numpy as np

from .array import DeviceArray, empty
from .device import addresses
from .fours import FOUR
from .machine import Count, Flag, Float, Floats, Ids, cuda, floats_at, kernel, load4, store4
from .norm import LARGER, SMALLER, TINY
from .shape import concatenate
from .tables import ADDRESS, LENGTH, InPlace, piece_of
from .warp import block_sum

THREADS, WARPS = 256, 8
ONE, ZERO = np.float32(1), np.float32(0)
LEAST = np.float32(1e-37)  # a scale that is not to be taken for the 0 of a step that failed
LARGEST = np.float32(3.4e38)
SMALL_SUM, SMALL, LARGE = np.float32(TINY), np.float32(1 / LARGER), np.float32(1 / SMALLER)


@kernel(threads=THREADS, exact=True)  # it has to notice NaN and Inf
def clip_scale_v1(
    sums: Floats, pieces: Count, losses: Ids, number: Count, mean: Float, max_norm: Float, follows: Flag,
    before: Floats, result: Floats,
):  # fmt: skip
    """sums (3, pieces); losses: addresses; result: scale, norm. follows: `before` is the result of the step before."""
    each = cuda.shared.array(WARPS, np.float32)
    thread = np.uint32(cuda.threadIdx.x)
    plain, small, large = ZERO, ZERO, ZERO
    i = thread
    while i < pieces:
        plain += sums[i]
        small += sums[pieces + i]
        large += sums[np.uint32(2) * pieces + i]
        i += np.uint32(THREADS)
    plain = block_sum(plain, each)
    small = block_sum(small, each)
    large = block_sum(large, each)
    if thread == 0:
        norm = mean * math.sqrt(plain)
        if not plain <= LARGEST:  # Inf or NaN
            norm = mean * math.sqrt(small) * LARGE
        elif plain < SMALL_SUM:
            norm = mean * (math.sqrt(large) * SMALL)
        scale = max(LEAST, mean * min(ONE, max_norm / (norm + np.float32(1e-6))))
        if not norm <= LARGEST or (follows and before[0] == ZERO):
            scale = ZERO
        k = np.uint32(0)
        while k < number:
            if not abs(floats_at(losses[k], 1)[0]) <= LARGEST:
                scale = ZERO
            k += np.uint32(1)
        result[0] = scale
        result[1] = norm


def clip_scale(squares, losses, mean, max_norm, before=1.0):
    """squares: one array for each thread that told the card what to do; before: the scale returned last time, or 1."""
    sums = squares[0] if len(squares) == 1 else concatenate(squares, 1)  # (3, pieces)
    result, places = empty((2,)), addresses(losses)
    follows = isinstance(before, DeviceArray)
    clip_scale_v1(1, THREADS, sums.flat, sums.shape[1], places.flat, len(losses), mean, max_norm, follows,
                  (before if follows else sums).flat, result.flat)  # fmt: skip
    return tuple(DeviceArray(result.lease, result.dtype, (), (), n) for n in range(2))


@kernel(threads=THREADS)
def scale_all_v1(table: Ids, factor: Float, arrays: Count):
    row, start, end = piece_of(np.uint32(cuda.blockIdx.x), table, np.uint32(ADDRESS + 1), arrays)
    x = floats_at(table[row + np.uint32(ADDRESS)], table[row + np.uint32(LENGTH)])
    i = start + FOUR * np.uint32(cuda.threadIdx.x)
    while i + np.uint32(3) < end:
        four = load4(x, i)
        store4(x, i, factor * four[0], factor * four[1], factor * four[2], factor * four[3])
        i += np.uint32(4 * THREADS)
    i = end - end % FOUR + np.uint32(cuda.threadIdx.x)
    if i < end:
        x[i] *= factor


def scale_all(arrays, factor):
    """x *= factor for each x of `arrays`, in place."""
    with InPlace([[x] for x in arrays], changed=1) as table:
        scale_all_v1(table.blocks, THREADS, table.rows.flat, factor, table.arrays)
