"""Matrix products in tiles that lie in registers: the kernels of rungs 3 and 4 of the ladder in matmul.py.

A multiply-add needs two numbers, and shared memory hands out 32 a cycle where 128 multipliers wait. So a thread has to
use each number that it reads many times. Here it computes TM x TN elements of y: for each k it reads TM numbers of a
and TN of b, and makes TM * TN multiply-adds of them: with 8 x 8, 64 of 16.

    block    a tile of y, `tile` rows and columns, tile = 2 TM TN: 128 for 8 x 8, 64 for 8 x 4, 32 for 4 x 4
    slice    8 of the k: (8, tile) numbers of a and of b in shared memory, k first. Of each a thread fetches four.
    warp     4 x 8 lanes, each with 4 rows and 4 columns side by side, then 4 more 16 rows or 32 columns further on:
             what the lanes read at once lies in one piece, so no two of them want the same bank of shared memory.
             Lanes 0 to 3 are a square, 4 to 7 the next: lanes 2n and 2n + 1 read the same of a, lanes 4n + m and
             4n + m + 2 the same of b, and shared memory can answer half a warp at a time

In `lines` we count the rows of a and the columns of b. How a matrix lies in memory is its `way`:

    ALONG    neighbours along k: a slice is fetched in pieces of four k, 128 bits each, and turned
    ACROSS   neighbours across the lines: fetched in pieces of four lines, 128 bits each
    ALONG_1, ACROSS_1   the same where such pieces would not begin at multiples of four: four single numbers a thread
    ANYHOW   any strides, also these two: the kernel finds out

A slice that reaches past the last line fetches that line again: what it adds up is not written. Only the first slice
may be short of k, so that the loop over the others has no such question in it; what it lacks is zero.
"""

import functools

import numpy as np

from .activation import gelu_of
from .fours import FOUR
from .machine import device_function, load4, store4

ALONG, ACROSS, ALONG_1, ACROSS_1, ANYHOW = "along", "across", "along_1", "across_1", "anyhow"
DEPTH = 8  # k in a slice
ZERO, ONE, TWO, THREE, EIGHT, SIXTEEN, WARP = (np.uint32(n) for n in (0, 1, 2, 3, 8, 16, 32))
TALL = np.uint32(8)  # tiles below each other that are worked on together: they share b, and b stays in the L2 cache


@functools.cache
def moves(way, tile, pitch):
    """Four device functions that bring slices of one matrix into shared memory, for thread t of the block.

    begin(x0, line, k, lines, t, at)       where in the matrix the thread's numbers lie, for strides line and k -> at;
                                           returns where in a slice they go: the first, and the step to the next
    fetch_first(x, at, k, depth, t, held)  those of the first slice, which has only `depth` k -> held
    fetch(x, at, ahead, held)              those of the slice that lies `ahead` elements further on -> held
    put(held, slice, place, step)          into shared memory
    """
    tile, quarter, pitch = np.uint32(tile), np.uint32(tile // 4), np.uint32(pitch)

    if way not in (ALONG, ACROSS):

        @device_function
        def position(k, t):
            """Line and k of the first of four numbers, and the steps to the next."""
            if way == ALONG_1 or (way == ANYHOW and k == ONE):
                return t // EIGHT, t % EIGHT, quarter, ZERO
            return t % tile, t // tile, ZERO, TWO

        @device_function
        def begin(x0, line, k, lines, t, at):
            my_line, my_k, next_line, next_k = position(k, t)
            for i in range(4):
                n = np.uint32(i)
                at[i] = x0 + min(my_line + n * next_line, lines - ONE) * line + (my_k + n * next_k) * k
            return my_k * pitch + my_line, next_k * pitch + next_line

        @device_function
        def fetch_first(x, at, k, depth, t, held):
            _, my_k, _, next_k = position(k, t)
            for i in range(4):
                held[i] = np.float32(0)
                if my_k + np.uint32(i) * next_k < depth:
                    held[i] = x[at[i]]

        @device_function
        def fetch(x, at, ahead, held):
            for i in range(4):
                held[i] = x[np.uint32(at[i] + ahead)]

        @device_function
        def put(held, slice, place, step):
            for i in range(4):
                slice[place + np.uint32(i) * step] = held[i]

        return begin, fetch_first, fetch, put

    @device_function
    def position(t):
        """Line and k of the first of four numbers."""
        if way == ALONG:
            return t // TWO, t % TWO * FOUR
        return t % quarter * FOUR, t // quarter

    @device_function
    def begin(x0, line, k, lines, t, at):
        my_line, my_k = position(t)
        last = lines - ONE if way == ALONG else lines - FOUR
        at[0] = x0 + min(my_line, last) * line + my_k * k
        return my_k * pitch + my_line, pitch

    @device_function
    def fetch_first(x, at, k, depth, t, held):
        for i in range(4):
            held[i] = np.float32(0)
        if position(t)[1] < depth:
            fetch(x, at, ZERO, held)

    @device_function
    def fetch(x, at, ahead, held):
        held[0], held[1], held[2], held[3] = load4(x, at[0] + ahead)

    @device_function
    def put(held, slice, place, step):
        if way == ALONG:
            for i in range(4):
                slice[place + np.uint32(i) * step] = held[i]
        else:
            store4(slice, place, held[0], held[1], held[2], held[3])

    return begin, fetch_first, fetch, put


@functools.cache
def products(TM, TN, pitch):
    """multiply(a_slice, row, b_slice, column, sums, a, b): all products of a slice, added to a thread's sums."""

    @device_function
    def step(a_slice, row, b_slice, column, sums, a, b):  # one k
        for i in range(0, TM, 4):
            a[i], a[i + 1], a[i + 2], a[i + 3] = load4(a_slice, row + FOUR * np.uint32(i))
        for j in range(0, TN, 4):
            b[j], b[j + 1], b[j + 2], b[j + 3] = load4(b_slice, column + EIGHT * np.uint32(j))
        for i in range(TM):
            for j in range(TN):
                sums[i * TN + j] += a[i] * b[j]

    k1, k2, k3, k4, k5, k6, k7 = (np.uint32(k * pitch) for k in range(1, DEPTH))

    @device_function
    def multiply(a_slice, row, b_slice, column, sums, a, b):
        """Written out, since a loop over k is not unrolled, and counting takes a tenth of the time."""
        step(a_slice, row, b_slice, column, sums, a, b)
        step(a_slice, row + k1, b_slice, column + k1, sums, a, b)
        step(a_slice, row + k2, b_slice, column + k2, sums, a, b)
        step(a_slice, row + k3, b_slice, column + k3, sums, a, b)
        step(a_slice, row + k4, b_slice, column + k4, sums, a, b)
        step(a_slice, row + k5, b_slice, column + k5, sums, a, b)
        step(a_slice, row + k6, b_slice, column + k6, sums, a, b)
        step(a_slice, row + k7, b_slice, column + k7, sums, a, b)

    return multiply


@device_function
def tile_of_block(n, M, N, tile):
    """Row and column where tile n of y begins: TALL tiles down, then the next column of tiles."""
    down, across = (M + tile - ONE) // tile, (N + tile - ONE) // tile
    first = n // (TALL * across) * TALL
    tall = min(TALL, down - first)
    n = n % (TALL * across)
    return (first + n % tall) * tile, n // tall * tile


@device_function
def place_of_lane(lane):
    """Row (of 4) and column (of 8) of a lane in its warp."""
    return lane // SIXTEEN * TWO + lane // TWO % TWO, lane // FOUR % FOUR * TWO + lane % TWO


@device_function
def depth_of_first(K):
    """How many k the first slice has, so that all others have 8."""
    return ZERO if K == ZERO else (K - ONE) % EIGHT + ONE


# --- what is done with a sum + bias before it is written ----------------------------------------------------------

PLAIN, RESIDUAL, GELU = (np.uint32(n) for n in range(3))  # nothing; plus `other`; kept in `other`, and gelu of it


@device_function
def write_one(y, at, value, other, ending):
    if ending == RESIDUAL:
        value += other[at]
    if ending == GELU:
        other[at] = value
        value = gelu_of(value)
    y[at] = value


@device_function
def write_four(y, at, v0, v1, v2, v3, other, ending):
    if ending == RESIDUAL:
        r0, r1, r2, r3 = load4(other, at)
        v0, v1, v2, v3 = v0 + r0, v1 + r1, v2 + r2, v3 + r3
    if ending == GELU:
        store4(other, at, v0, v1, v2, v3)
        v0, v1, v2, v3 = gelu_of(v0), gelu_of(v1), gelu_of(v2), gelu_of(v3)
    store4(y, at, v0, v1, v2, v3)


@functools.cache
def writer(TM, TN):
    """write(…): a thread's sums into y, as far as they lie in it; row, column: of the first; b: room for TN numbers."""

    @device_function
    def write(y, y0, row, column, M, N, sums, b, bias, with_bias, other, ending):
        for j in range(TN):
            b[j] = np.float32(0)
            if with_bias:
                b[j] = bias[min(column + np.uint32(j // 4 * 32 + j % 4), N - ONE)]
        for i in range(TM):
            m = row + np.uint32(i // 4 * 16 + i % 4)
            if m < M:
                for j in range(0, TN, 4):
                    n = column + EIGHT * np.uint32(j)
                    at, k = y0 + m * N + n, i * TN + j
                    v0, v1 = sums[k] + b[j], sums[k + 1] + b[j + 1]
                    v2, v3 = sums[k + 2] + b[j + 2], sums[k + 3] + b[j + 3]
                    if N % FOUR == ZERO:
                        if n < N:
                            write_four(y, at, v0, v1, v2, v3, other, ending)
                    else:
                        if n < N:
                            write_one(y, at, v0, other, ending)
                        if n + ONE < N:
                            write_one(y, at + ONE, v1, other, ending)
                        if n + TWO < N:
                            write_one(y, at + TWO, v2, other, ending)
                        if n + THREE < N:
                            write_one(y, at + THREE, v3, other, ending)

    return write
