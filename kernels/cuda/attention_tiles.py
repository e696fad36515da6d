"""Products of tiles, of which all attention kernels are made.

Attention is matrix products with something small between them. A block keeps pieces of q, k, v, … in shared memory as
tiles (rows, D), and each thread computes a patch of a product, which it holds in registers:

    products      s += a @ b^T     a (ROWS, D), b (COLUMNS, D) -> patches of s (ROWS, COLUMNS)
    put           patches of s -> w (ROWS, COLUMNS) in shared memory, where all can read it
    accumulate    y += w @ b       -> patches of y (ROWS, D)

The threads form a grid of DOWN x ACROSS. Thread (down, across) owns rows down, down + DOWN, …; of s the columns across,
across + ACROSS, …; of y four columns side by side, then four more 4 ACROSS further on. For each four of the inner axis
it reads R + C accesses of 128 bits and makes 4 R C multiply-adds of them: 8 x 4 patches need 12 accesses for 128.
Row lengths in shared memory (`pitch`) are chosen so that the lanes of a warp read different banks.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from .dropout import GOLDEN, kept
from .machine import cuda, device_function, load4, store4
from .warp import LANES

ZERO = np.float32(0)
HIDDEN = np.float32(-3e38)  # score of a key that may not be seen: exp(HIDDEN - m) is 0 for all m that occur
LOWEST = np.float32(-1e38)  # maximum of no scores; above HIDDEN, so a row that sees nothing sums up to 0


class Tiles(NamedTuple):
    """Sizes, in elements of shared memory, and the device functions for them."""

    threads: int
    row_size: int  # of a tile (ROWS, D)
    column_size: int  # of a tile (COLUMNS, D)
    w_size: int
    load_rows: Any
    load_columns: Any
    products: Any
    put: Any
    accumulate: Any


def budget(threads: int, floats: int) -> tuple[int, int]:
    """Registers for a thread that holds so many floats in patches, and how many blocks then fit into a multiprocessor.

    It has four parts of 16,384 registers, and each warp stays in one of them: 4 warps find 128 registers a thread, 3
    find 168, 2 find the most that a thread can have, 255. A compiler that is not told takes more than it needs. The
    limits are what it needs, as compiled.
    """
    warps, registers = (4, 128) if floats <= 48 else (3, 168) if floats <= 112 else (2, 255)
    return registers, max(1, 4 * warps * LANES // threads)


def kernel_name(stem: str, D: int, rows: int, has_mask: bool, has_dropout: bool) -> str:
    return f"{stem}_{D}_{rows}" + "_mask" * has_mask + "_dropout" * has_dropout


@functools.cache
def tiles(D: int, ROWS: int, COLUMNS: int, DOWN: int, ACROSS: int) -> Tiles:
    """D, COLUMNS divisible by 8; ROWS by DOWN; COLUMNS by ACROSS; D by 4 ACROSS. ACROSS a power of two up to 32."""
    threads = DOWN * ACROSS
    pitch, w_pitch = D + 4, COLUMNS + max(ACROSS, 4)
    products = _products(D, pitch, ROWS // DOWN, COLUMNS // ACROSS, DOWN, ACROSS)
    put = _put(w_pitch, ROWS // DOWN, COLUMNS // ACROSS, DOWN, ACROSS)
    accumulate = _accumulate(COLUMNS, pitch, w_pitch, ROWS // DOWN, D // ACROSS, DOWN, ACROSS)
    load_rows, load_columns = (_load(D, pitch, n, threads) for n in (ROWS, COLUMNS))
    return Tiles(
        threads, ROWS * pitch, COLUMNS * pitch, ROWS * w_pitch, load_rows, load_columns, products, put, accumulate
    )


def _load(D, pitch, ROWS, threads):
    quads = D // 4  # accesses of 128 bits in a row; neighbouring threads make neighbouring ones
    each = ROWS * quads // threads
    floats, next_row = 4 * each, threads // quads
    if each * threads != ROWS * quads or next_row * quads != threads:
        raise ValueError(f"{threads} threads cannot share a tile of {ROWS} rows of {D} evenly")

    @device_function
    def load(x, first, step, rows, width, factor, tile):
        """tile[r, d] = factor * x[first + r * step + d].

        Beyond `rows` the last row again, which is in reach and whose products nobody uses; beyond `width` zeros.
        """
        held = cuda.local.array(floats, np.float32)  # all loads are under way before the first is waited for
        d, row, last = cuda.threadIdx.x % quads * 4, cuda.threadIdx.x // quads, np.int32(rows - 1)
        for n in range(floats):
            held[n] = ZERO
        if d < width:
            for n in range(each):
                at = first + min(np.int32(row + n * next_row), last) * step + d
                held[4 * n], held[4 * n + 1], held[4 * n + 2], held[4 * n + 3] = load4(x, at)
        for n in range(each):
            a, b, c, e = held[4 * n], held[4 * n + 1], held[4 * n + 2], held[4 * n + 3]
            store4(tile, (row + n * next_row) * pitch + d, factor * a, factor * b, factor * c, factor * e)

    return load


def _products(D, pitch, R, C, DOWN, ACROSS):
    patch, four_columns = R * C, 4 * C

    @device_function
    def four(a, b, at_a, at_b, held, s):
        """s += a @ b^T for four of the inner axis."""
        for c in range(C):
            n = 4 * c
            held[n], held[n + 1], held[n + 2], held[n + 3] = load4(b, at_b + c * ACROSS * pitch)
        for r in range(R):
            a0, a1, a2, a3 = load4(a, at_a + r * DOWN * pitch)
            for c in range(C):
                total = s[r * C + c]
                total += a0 * held[4 * c]
                total += a1 * held[4 * c + 1]
                total += a2 * held[4 * c + 2]
                total += a3 * held[4 * c + 3]
                s[r * C + c] = total

    @device_function
    def products(a, b, s):
        """s[r, c] = sum_d a[row r, d] * b[column c, d]"""
        held = cuda.local.array(four_columns, np.float32)
        at_a, at_b = cuda.threadIdx.x // ACROSS * pitch, cuda.threadIdx.x % ACROSS * pitch
        for n in range(patch):
            s[n] = ZERO
        d = 0
        while d < D:
            four(a, b, at_a + d, at_b + d, held, s)
            d += 4

    return products


def _put(w_pitch, R, C, DOWN, ACROSS):
    @device_function
    def put(s, w):
        """w[row r, column c] = s[r, c]"""
        first = np.uint32(cuda.threadIdx.x // ACROSS * w_pitch + cuda.threadIdx.x % ACROSS)
        for r in range(R):
            for c in range(C):
                w[first + np.uint32(r * DOWN * w_pitch + c * ACROSS)] = s[r * C + c]

    return put


def _accumulate(COLUMNS, pitch, w_pitch, R, C, DOWN, ACROSS):
    four_rows, quads = 4 * C, C // 4

    @device_function
    def four(w, b, at_w, at_b, held, y):
        """y += w @ b for four of the inner axis."""
        for n in range(4):
            for c in range(quads):
                at = n * C + 4 * c
                held[at], held[at + 1], held[at + 2], held[at + 3] = load4(b, at_b + n * pitch + c * 4 * ACROSS)
        for r in range(R):
            w0, w1, w2, w3 = load4(w, at_w + r * DOWN * w_pitch)
            for c in range(C):
                total = y[r * C + c]
                total += w0 * held[c]
                total += w1 * held[C + c]
                total += w2 * held[2 * C + c]
                total += w3 * held[3 * C + c]
                y[r * C + c] = total

    @device_function
    def accumulate(w, b, y):
        """y[r, d] += sum_n w[row r, n] * b[n, d]"""
        held = cuda.local.array(four_rows, np.float32)
        at_w, at_b = cuda.threadIdx.x // ACROSS * w_pitch, cuda.threadIdx.x % ACROSS * 4
        n = 0
        while n < COLUMNS:
            four(w, b, at_w, at_b, held, y)
            at_w += 4
            at_b += 4 * pitch
            n += 4

    return accumulate


@device_function
def split(n, inner):
    """n // inner and n % inner of numbers that are not negative: unsigned and of 32 bits a division is short."""
    outer = np.uint32(n) // np.uint32(inner)
    return np.int32(outer), np.int32(np.uint32(n) - outer * np.uint32(inner))


# --- what stands between the products -------------------------------------------------------------------------


@functools.cache
def hide_scores(R: int, C: int, DOWN: int, ACROSS: int, keys_across: bool, has_mask: bool):
    """keys_across: rows of s are queries, columns are keys; else the other way round."""

    @device_function
    def hide(s, rows, columns, causal, ahead, mask, first, row_step, column_step):
        """s = HIDDEN where a query may not see a key.

        rows, columns: how many there are from the thread's first one on; ahead: how many keys beyond the thread's
        first key its first query may see; mask[first + r * row_step + c * column_step]: 0 where it may not.
        """
        for r in range(R):
            for c in range(C):
                farther = c * ACROSS - r * DOWN if keys_across else r * DOWN - c * ACROSS
                if c * ACROSS >= columns or (causal and farther > ahead):
                    s[r * C + c] = HIDDEN
                elif has_mask and r * DOWN < rows:
                    at = np.uint32(first + r * DOWN * row_step + c * ACROSS * column_step)
                    if mask[at] == 0:
                        s[r * C + c] = HIDDEN

    return hide


@functools.cache
def drop_weights(R: int, C: int, DOWN: int, ACROSS: int):
    @device_function
    def drop(s, counter, row_step, column_step, threshold, factor):
        """Dropout: s *= factor where kept, else 0. counter: that of the thread's first element (see dropout.py).

        Neighbouring rows are row_step elements apart, neighbouring columns column_step.
        """
        down, across = np.uint64(row_step * DOWN) * GOLDEN, np.uint64(column_step * ACROSS) * GOLDEN
        for r in range(R):
            here = counter
            for c in range(C):
                s[r * C + c] *= factor if kept(here, threshold) else ZERO
                here += across
            counter += down

    return drop
