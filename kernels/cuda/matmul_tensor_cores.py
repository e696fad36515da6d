"""Rung 5 of the ladder in matmul.py, which nothing uses: products on the tensor cores, in TF32.

A warp multiplies (16, 8) by (8, 8) in one instruction, mma.sync. Each lane brings 4 numbers of a and 2 of b, and has
4 of the sums; with g = lane // 4 and m = lane % 4 (PTX ISA, "Matrix Fragments for mma.m16n8k8"):

    a   (g, m)  (g + 8, m)  (g, m + 4)  (g + 8, m + 4)        rows, k
    b   (m, g)  (m + 4, g)                                    k, columns
    y   (g, 2m)  (g, 2m + 1)  (g + 8, 2m)  (g + 8, 2m + 1)

TF32 keeps 11 bits of each number of a and b, of 24: the result is right to about three digits. That is why it is not in
use: the rows of the kernel table agree to rounding in float32. Slices are moved as in rung 4; more speed would need
deeper slices, fetched past the registers (cp.async), and the larger instructions that Hopper has (wgmma).
"""

import functools

import numpy as np

from .fours import FOUR
from .machine import SIMULATED, Count, Floats, cuda, device_function, kernel
from .matmul_parts import ANYHOW, DEPTH, EIGHT, SIXTEEN, TWO, WARP, ZERO, depth_of_first, moves, tile_of_block

if SIMULATED:
    from .simulated_mma import mma_tf32, to_tf32
else:
    from .numba_cuda import mma_tf32, to_tf32

ROWS = 32  # of y, a warp: two times 16


@device_function
def round_held(held):
    for i in range(4):
        held[i] = to_tf32(held[i])


@functools.cache
def matmul_tensor_cores(tile):
    """The kernel for tiles of 32, 64 or 128. A warp has 32 rows and tile / 2 columns of y, in pieces of (16, 8)."""
    pitch = tile + 8  # so that what a warp reads for an mma lies in 32 different banks
    begin, fetch_first, fetch, put = moves(ANYHOW, tile, pitch)
    threads, across = 2 * tile, tile // 2 // 8  # pieces next to each other
    sums_each = 2 * across * 4
    two_slices, second = 2 * DEPTH * pitch, np.uint32(DEPTH * pitch)
    T, P, columns, warps_across = np.uint32(tile), np.uint32(pitch), np.uint32(tile // 2), TWO

    @device_function
    def multiply(a_slices, row, b_slices, column, sums):
        """All products of a slice; row, column: where the lane's first numbers of a and b lie in it."""
        for i in range(2):
            at = row + SIXTEEN * np.uint32(i)
            a = a_slices[at], a_slices[at + EIGHT], a_slices[at + FOUR * P], a_slices[at + FOUR * P + EIGHT]
            for j in range(across):
                at = column + EIGHT * np.uint32(j)
                b = b_slices[at], b_slices[at + FOUR * P]
                k = (i * across + j) * 4
                c = sums[k], sums[k + 1], sums[k + 2], sums[k + 3]
                sums[k], sums[k + 1], sums[k + 2], sums[k + 3] = mma_tf32(c, a, b)

    @device_function
    def write(y, y0, row, column, M, N, sums):
        for i in range(2):
            for j in range(across):
                for part in range(4):
                    m = row + np.uint32(16 * i + part // 2 * 8)
                    n = column + np.uint32(8 * j + part % 2)
                    if m < M and n < N:
                        y[y0 + m * N + n] = sums[(i * across + j) * 4 + part]

    @kernel(threads=threads, registers=168)
    def matmul_tensor_cores(
        a: Floats, a0: Count, a_z: Count, a_line: Count, a_k: Count,
        b: Floats, b0: Count, b_z: Count, b_line: Count, b_k: Count,
        y: Floats, y0: Count, M: Count, N: Count, K: Count,
    ):  # fmt: skip
        a_slices = cuda.shared.array(two_slices, np.float32)
        b_slices = cuda.shared.array(two_slices, np.float32)
        sums = cuda.local.array(sums_each, np.float32)
        a_held, b_held = cuda.local.array(4, np.float32), cuda.local.array(4, np.float32)
        a_at, b_at = cuda.local.array(4, np.uint32), cuda.local.array(4, np.uint32)
        for i in range(sums_each):
            sums[i] = np.float32(0)
        t, z = np.uint32(cuda.threadIdx.x), np.uint32(cuda.blockIdx.z)
        row, column = tile_of_block(np.uint32(cuda.blockIdx.x), M, N, T)
        a_place, a_step = begin(a0 + z * a_z + row * a_line, a_line, a_k, M - row, t, a_at)
        b_place, b_step = begin(b0 + z * b_z + column * b_line, b_line, b_k, N - column, t, b_at)
        warp, g, m = t // WARP, t % WARP // FOUR, t % FOUR
        warp_row, warp_column = warp // warps_across * np.uint32(ROWS), warp % warps_across * columns
        a_first, b_first = m * P + warp_row + g, m * P + warp_column + g
        k, now = depth_of_first(K), ZERO
        fetch_first(a, a_at, a_k, k, t, a_held)
        fetch_first(b, b_at, b_k, k, t, b_held)
        round_held(a_held)
        round_held(b_held)
        put(a_held, a_slices, now + a_place, a_step)
        put(b_held, b_slices, now + b_place, b_step)
        cuda.syncthreads()
        while k < K:
            fetch(a, a_at, k * a_k, a_held)
            fetch(b, b_at, k * b_k, b_held)
            multiply(a_slices, now + a_first, b_slices, now + b_first, sums)
            now = second - now
            round_held(a_held)
            round_held(b_held)
            put(a_held, a_slices, now + a_place, a_step)
            put(b_held, b_slices, now + b_place, b_step)
            cuda.syncthreads()
            k += EIGHT
        multiply(a_slices, now + a_first, b_slices, now + b_first, sums)
        write(y, y0 + z * M * N, row + warp_row + g, column + warp_column + m * TWO, M, N, sums)

    matmul_tensor_cores.name = f"matmul_tensor_cores_{tile}"
    return matmul_tensor_cores
