"""Kernels of layer norm's backward. Formulas: kernels/reference/layernorm.py.

Two kinds of sums meet here. dx needs sums along each row: a warp takes a row. dweight and dbias are sums down the
columns: neighbouring threads take neighbouring columns and walk down, so that no two add into the same place. Sums by
atomic additions would be different in the last digits from run to run; here the rows are split into parts, each part
is summed in a fixed order into a line of its own (`parts`, of length 2 C: dweight, then dbias), and then the lines.
"""

import functools

import numpy as np

from .device import empty
from .fours import FOUR
from .ladder import rung
from .machine import Count, Floats, blocks, cuda, kernel, load4, store4
from .warp import LANES, warp_sum

WARPS = 8  # rows that a block works on at once
WARPS_V3 = 4  # the same where a thread needs up to 168 registers, of which a multiprocessor has 65,536
BLOCKS = 396  # then three blocks fit into each of the 132 multiprocessors of an H200
WARP = np.uint32(LANES)  # indices stay unsigned: signed ones could be negative, and that would be checked each time
ACROSS, DOWN = 32, 32  # a block that sums columns: so many of them, each by so many threads
TILE = ACROSS * DOWN


# --- rung 1 -----------------------------------------------------------------------------------------------------


@kernel(threads=256)
def dx_by_threads(dy: Floats, x: Floats, weight: Floats, mean: Floats, rstd: Floats, dx: Floats, N: Count, C: Count):
    n = np.uint32(cuda.grid(1))
    if n < N:
        m, r = mean[n], rstd[n]
        sum_g, sum_gx = np.float32(0), np.float32(0)
        for c in range(C):
            g = dy[n * C + c] * weight[c]
            sum_g += g
            sum_gx += g * (x[n * C + c] - m) * r
        for c in range(C):
            xhat = (x[n * C + c] - m) * r
            dx[n * C + c] = r * (dy[n * C + c] * weight[c] - sum_g / np.float32(C) - xhat * sum_gx / np.float32(C))


@kernel(threads=256)
def columns_by_threads(
    dy: Floats, x: Floats, mean: Floats, rstd: Floats, dweight: Floats, dbias: Floats, N: Count, C: Count
):
    c = np.uint32(cuda.grid(1))
    if c < C:
        sum_weight, sum_bias = np.float32(0), np.float32(0)
        for n in range(N):
            d = dy[n * C + c]
            sum_weight += d * (x[n * C + c] - mean[n]) * rstd[n]
            sum_bias += d
        dweight[c] = sum_weight
        dbias[c] = sum_bias


@rung("layernorm_backward", 1, "one thread a row for dx; one thread a column, all the way down, for dweight and dbias")
def layernorm_backward_v1(dy, x, weight, mean, rstd, dx, dweight, dbias, N, C):
    dx_by_threads(-(-N // 256), 256, dy, x, weight, mean, rstd, dx, N, C)
    columns_by_threads(-(-C // 256), 256, dy, x, mean, rstd, dweight, dbias, N, C)


# --- rung 2 -----------------------------------------------------------------------------------------------------


@kernel(threads=32 * WARPS)
def dx_by_warps(dy: Floats, x: Floats, weight: Floats, mean: Floats, rstd: Floats, dx: Floats, N: Count, C: Count):
    lane = np.uint32(cuda.threadIdx.x) % WARP
    n = np.uint32(cuda.grid(1)) // WARP
    if n < N:
        first, m, r = n * C, mean[n], rstd[n]
        sum_g, sum_gx = np.float32(0), np.float32(0)
        c = lane
        while c < C:  # not a range: that counts with signed numbers, and the compiler unrolls it less
            g = dy[first + c] * weight[c]
            sum_g += g
            sum_gx += g * (x[first + c] - m)
            c += WARP
        a = warp_sum(sum_g) / np.float32(C)
        b = warp_sum(sum_gx) * r / np.float32(C)
        c = lane
        while c < C:
            dx[first + c] = r * (dy[first + c] * weight[c] - a - (x[first + c] - m) * r * b)
            c += WARP


@kernel(threads=32 * WARPS)
def columns_in_parts(dy: Floats, x: Floats, mean: Floats, rstd: Floats, parts: Floats, N: Count, C: Count):
    """Blocks of (32, WARPS) threads: a warp takes 32 columns, and the rows of one part: p, p + P, p + 2 P, …"""
    c = np.uint32(cuda.grid(2)[0])
    p = np.uint32(cuda.grid(2)[1])
    P = np.uint32(cuda.gridsize(2)[1])
    if c < C:
        sum_weight, sum_bias = np.float32(0), np.float32(0)
        n = p
        while n < N:
            d = dy[n * C + c]
            sum_weight += d * (x[n * C + c] - mean[n]) * rstd[n]
            sum_bias += d
            n += P
        parts[np.uint32(2) * p * C + c] = sum_weight
        parts[(np.uint32(2) * p + np.uint32(1)) * C + c] = sum_bias


@kernel(threads=TILE)
def add_parts(parts: Floats, dweight: Floats, dbias: Floats, P: Count, C: Count):
    """dweight and dbias, 2 C columns in all, from P lines."""
    sums = cuda.shared.array((TILE,), np.float32)
    across, down = np.uint32(cuda.threadIdx.x), np.uint32(cuda.threadIdx.y)
    c = np.uint32(cuda.blockIdx.x) * np.uint32(ACROSS) + across
    total = np.float32(0)
    if c < np.uint32(2) * C:
        p = down
        while p < P:
            total += parts[p * np.uint32(2) * C + c]
            p += np.uint32(DOWN)
    sums[down * np.uint32(ACROSS) + across] = total
    cuda.syncthreads()
    if down == 0 and c < np.uint32(2) * C:
        total = np.float32(0)
        for k in range(DOWN):
            total += sums[np.uint32(k) * np.uint32(ACROSS) + across]
        if c < C:
            dweight[c] = total
        else:
            dbias[c - C] = total


@rung("layernorm_backward", 2, "one warp a row; for the columns the rows are summed in parts, then the parts")
def layernorm_backward_v2(dy, x, weight, mean, rstd, dx, dweight, dbias, N, C):
    dx_by_warps(-(-N // WARPS), 32 * WARPS, dy, x, weight, mean, rstd, dx, N, C)
    P = WARPS * blocks(N, WARPS, most=32)
    parts = empty((P, 2, C))
    columns_in_parts((-(-C // 32), P // WARPS), (32, WARPS), dy, x, mean, rstd, parts.whole, N, C)
    add_parts(-(-2 * C // ACROSS), (ACROSS, DOWN), parts.whole, dweight, dbias, P, C)


# --- rung 3 -----------------------------------------------------------------------------------------------------


@functools.cache
def backward_in_registers(vectors):
    """The kernel for C up to 128 * vectors: a lane keeps so many times four elements of x and dy in registers.

    It also keeps the sums of its columns there, over all rows that its warp works on. At the end the warps of a block
    add theirs up in shared memory, one after the other, and the block writes one line of `parts`.
    """
    width, most = 4 * vectors, 128 * vectors
    two_rows = 2 * most

    @kernel(threads=32 * WARPS_V3, registers=168)
    def layernorm_backward_v3(
        dy: Floats, x: Floats, weight: Floats, mean: Floats, rstd: Floats, dx: Floats, parts: Floats, N: Count, C: Count
    ):  # fmt: skip
        sums = cuda.shared.array(two_rows, np.float32)  # dweight, then dbias
        xhat, g = cuda.local.array(width, np.float32), cuda.local.array(width, np.float32)
        sum_weight, sum_bias = cuda.local.array(width, np.float32), cuda.local.array(width, np.float32)
        for i in range(width):
            sum_weight[i], sum_bias[i] = np.float32(0), np.float32(0)
        thread = np.uint32(cuda.threadIdx.x)
        lane, warp = thread % WARP, thread // WARP
        n = np.uint32(cuda.grid(1)) // WARP
        while n < N:
            m, r = mean[n], rstd[n]
            sum_g, sum_gx = np.float32(0), np.float32(0)
            for k in range(vectors):
                c = FOUR * (np.uint32(k) * WARP + lane)
                if c < C:
                    x4, dy4, weight4 = load4(x, n * C + c), load4(dy, n * C + c), load4(weight, c)
                    for j in range(4):
                        i = 4 * k + j
                        xhat[i] = (x4[j] - m) * r
                        g[i] = dy4[j] * weight4[j]
                        sum_g += g[i]
                        sum_gx += g[i] * xhat[i]
                        sum_weight[i] += dy4[j] * xhat[i]
                        sum_bias[i] += dy4[j]
            a = warp_sum(sum_g) / np.float32(C)
            b = warp_sum(sum_gx) / np.float32(C)
            for k in range(vectors):
                c = FOUR * (np.uint32(k) * WARP + lane)
                if c < C:
                    i = 4 * k
                    store4(
                        dx, n * C + c,
                        r * (g[i] - a - xhat[i] * b), r * (g[i + 1] - a - xhat[i + 1] * b),
                        r * (g[i + 2] - a - xhat[i + 2] * b), r * (g[i + 3] - a - xhat[i + 3] * b),
                    )  # fmt: skip
            n += np.uint32(cuda.gridsize(1)) // WARP
        i = thread
        while i < np.uint32(two_rows):
            sums[i] = np.float32(0)
            i += np.uint32(cuda.blockDim.x)
        cuda.syncthreads()
        for turn in range(WARPS_V3):
            if warp == np.uint32(turn):
                for k in range(vectors):
                    for j in range(4):
                        c = FOUR * (np.uint32(k) * WARP + lane) + np.uint32(j)
                        sums[c] += sum_weight[4 * k + j]
                        sums[c + np.uint32(most)] += sum_bias[4 * k + j]
            cuda.syncthreads()
        line = np.uint32(2) * np.uint32(cuda.blockIdx.x) * C
        c = thread
        while c < C:
            parts[line + c] = sums[c]
            parts[line + C + c] = sums[c + np.uint32(most)]
            c += np.uint32(cuda.blockDim.x)

    layernorm_backward_v3.name = f"layernorm_backward_v3_{vectors}"
    return layernorm_backward_v3


IN_REGISTERS = [(128 * vectors, backward_in_registers(vectors)) for vectors in (1, 3, 8)]  # (largest C, kernel)
WIDEST = IN_REGISTERS[-1][0]


@rung("layernorm_backward", 3, "x and dy are read once, for rows and columns, 128 bits at a time; for C in fours")
def layernorm_backward_v3(dy, x, weight, mean, rstd, dx, dweight, dbias, N, C):
    instance = next(kernel for most, kernel in IN_REGISTERS if C <= most)
    P = blocks(N, WARPS_V3, most=BLOCKS)
    parts = empty((P, 2, C))
    instance(P, 32 * WARPS_V3, dy, x, weight, mean, rstd, dx, parts.whole, N, C)
    add_parts(-(-2 * C // ACROSS), (ACROSS, DOWN), parts.whole, dweight, dbias, P, C)
