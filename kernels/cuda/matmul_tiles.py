"""The kernels of rungs 3 and 4 of the ladder in matmul.py: tiles of y held in registers. See matmul_parts.py."""

import functools

import numpy as np

from .fours import FOUR
from .machine import Count, Flag, Floats, cuda, kernel
from .matmul_parts import (
    DEPTH,
    EIGHT,
    PLAIN,
    WARP,
    ZERO,
    depth_of_first,
    moves,
    place_of_lane,
    products,
    tile_of_block,
    writer,
)


@functools.cache
def matmul_registers(TM, TN, a_way, b_way):
    """Rung 3 for threads of TM x TN sums."""
    tile, sums_each = 2 * TM * TN, TM * TN
    pitch = tile + 4  # 4 more, so that lanes which put numbers of different k do not meet in a bank
    a_begin, a_first, a_fetch, a_put = moves(a_way, tile, pitch)
    b_begin, b_first, b_fetch, b_put = moves(b_way, tile, pitch)
    multiply, write = products(TM, TN, pitch), writer(TM, TN)
    slice_size = DEPTH * pitch
    T, warps_across = np.uint32(tile), np.uint32(tile // (8 * TN))
    warp_rows, warp_columns = np.uint32(4 * TM), np.uint32(8 * TN)

    @kernel(threads=4 * sums_each, registers=128)
    def matmul_registers(
        a: Floats, a0: Count, a_z: Count, a_line: Count, a_k: Count,
        b: Floats, b0: Count, b_z: Count, b_line: Count, b_k: Count,
        y: Floats, y0: Count, M: Count, N: Count, K: Count,
    ):  # fmt: skip
        a_slice = cuda.shared.array(slice_size, np.float32, alignment=16)
        b_slice = cuda.shared.array(slice_size, np.float32, alignment=16)
        sums = cuda.local.array(sums_each, np.float32)
        a_of_k, b_of_k = cuda.local.array(TM, np.float32), cuda.local.array(TN, np.float32)
        a_held, b_held = cuda.local.array(4, np.float32), cuda.local.array(4, np.float32)
        a_at, b_at = cuda.local.array(4, np.uint32), cuda.local.array(4, np.uint32)
        for i in range(sums_each):
            sums[i] = np.float32(0)
        t, z = np.uint32(cuda.threadIdx.x), np.uint32(cuda.blockIdx.z)
        row, column = tile_of_block(np.uint32(cuda.blockIdx.x), M, N, T)
        warp, (lane_row, lane_column) = t // WARP, place_of_lane(t % WARP)
        my_row = warp // warps_across * warp_rows + lane_row * FOUR
        my_column = warp % warps_across * warp_columns + lane_column * FOUR
        k = depth_of_first(K)
        a_place, a_step = a_begin(a0 + z * a_z + row * a_line, a_line, a_k, M - row, t, a_at)
        b_place, b_step = b_begin(b0 + z * b_z + column * b_line, b_line, b_k, N - column, t, b_at)
        a_first(a, a_at, a_k, k, t, a_held)
        b_first(b, b_at, b_k, k, t, b_held)
        a_put(a_held, a_slice, a_place, a_step)
        b_put(b_held, b_slice, b_place, b_step)
        cuda.syncthreads()  # now the slices are there
        multiply(a_slice, my_row, b_slice, my_column, sums, a_of_k, b_of_k)
        while k < K:
            a_fetch(a, a_at, k * a_k, a_held)
            b_fetch(b, b_at, k * b_k, b_held)
            cuda.syncthreads()  # now nobody needs the old ones
            a_put(a_held, a_slice, a_place, a_step)
            b_put(b_held, b_slice, b_place, b_step)
            cuda.syncthreads()
            multiply(a_slice, my_row, b_slice, my_column, sums, a_of_k, b_of_k)
            k += EIGHT
        write(y, y0 + z * M * N, row + my_row, column + my_column, M, N, sums, b_of_k, y, False, y, PLAIN)

    matmul_registers.name = f"matmul_registers_{tile}_{a_way}_{b_way}"
    return matmul_registers


@functools.cache
def matmul_two_slices(TM, TN, a_way, b_way):
    """Rung 4 for threads of TM x TN sums: a slice is multiplied while the next is under way to another place."""
    tile, sums_each = 2 * TM * TN, TM * TN
    pitch = tile + 4
    a_begin, a_first, a_fetch, a_put = moves(a_way, tile, pitch)
    b_begin, b_first, b_fetch, b_put = moves(b_way, tile, pitch)
    multiply, write = products(TM, TN, pitch), writer(TM, TN)
    two_slices, second = 2 * DEPTH * pitch, np.uint32(DEPTH * pitch)
    T, warps_across = np.uint32(tile), np.uint32(tile // (8 * TN))
    warp_rows, warp_columns = np.uint32(4 * TM), np.uint32(8 * TN)

    @kernel(threads=4 * sums_each, registers=128)
    def matmul_two_slices(
        a: Floats, a0: Count, a_z: Count, a_line: Count, a_k: Count,
        b: Floats, b0: Count, b_z: Count, b_line: Count, b_k: Count,
        y: Floats, y0: Count, M: Count, N: Count, K: Count,
        bias: Floats, with_bias: Flag, other: Floats, ending: Count,
    ):  # fmt: skip
        a_slices = cuda.shared.array(two_slices, np.float32, alignment=16)
        b_slices = cuda.shared.array(two_slices, np.float32, alignment=16)
        sums = cuda.local.array(sums_each, np.float32)
        a_of_k, b_of_k = cuda.local.array(TM, np.float32), cuda.local.array(TN, np.float32)
        a_held, b_held = cuda.local.array(4, np.float32), cuda.local.array(4, np.float32)
        a_at, b_at = cuda.local.array(4, np.uint32), cuda.local.array(4, np.uint32)
        for i in range(sums_each):
            sums[i] = np.float32(0)
        t, z = np.uint32(cuda.threadIdx.x), np.uint32(cuda.blockIdx.z)
        row, column = tile_of_block(np.uint32(cuda.blockIdx.x), M, N, T)
        warp, (lane_row, lane_column) = t // WARP, place_of_lane(t % WARP)
        my_row = warp // warps_across * warp_rows + lane_row * FOUR
        my_column = warp % warps_across * warp_columns + lane_column * FOUR
        k, now = depth_of_first(K), ZERO
        a_place, a_step = a_begin(a0 + z * a_z + row * a_line, a_line, a_k, M - row, t, a_at)
        b_place, b_step = b_begin(b0 + z * b_z + column * b_line, b_line, b_k, N - column, t, b_at)
        a_first(a, a_at, a_k, k, t, a_held)
        b_first(b, b_at, b_k, k, t, b_held)
        a_put(a_held, a_slices, now + a_place, a_step)
        b_put(b_held, b_slices, now + b_place, b_step)
        cuda.syncthreads()
        while k < K:
            a_fetch(a, a_at, k * a_k, a_held)  # into registers: the memory answers while we multiply
            b_fetch(b, b_at, k * b_k, b_held)
            multiply(a_slices, now + my_row, b_slices, now + my_column, sums, a_of_k, b_of_k)
            now = second - now
            a_put(a_held, a_slices, now + a_place, a_step)  # nobody reads here: all have passed the last barrier
            b_put(b_held, b_slices, now + b_place, b_step)
            cuda.syncthreads()
            k += EIGHT
        multiply(a_slices, now + my_row, b_slices, now + my_column, sums, a_of_k, b_of_k)
        row, column = row + my_row, column + my_column
        write(y, y0 + z * M * N, row, column, M, N, sums, b_of_k, bias, with_bias, other, ending)

    matmul_two_slices.name = f"matmul_two_slices_{tile}_{a_way}_{b_way}"
    return matmul_two_slices
