"""Matrix products: the ladder from one thread per element to tiles in registers, and the linear layer.

Formulas: kernels/reference/matmul.py. All rungs take matrices as they lie in memory, transposed or not, and stacks of
them (Operand in matmul_operands.py); blockIdx.z is the number in the stack, blockIdx.x the number of a tile of y.

What a linear layer adds to a product (bias, residual, GELU) is done by the same kernel before it writes a sum, so that
the result goes to memory once. Sums over the rows (bias gradients) stand in bias.py.
"""

import functools
from math import prod

import numpy as np

from .activation import gelu_backward
from .bias import column_sums, run_bias_residual
from .device import DeviceArray, contiguous, empty
from .ladder import rung
from .machine import Count, Floats, blocks, cuda, kernel
from .maps import for_fours
from .matmul_operands import choose_tile, kernel_for, launch, left, right
from .matmul_parts import ACROSS, ALONG, ANYHOW, GELU, ONE, PLAIN, RESIDUAL, ZERO, tile_of_block
from .matmul_tensor_cores import matmul_tensor_cores
from .matmul_tiles import matmul_registers
from .reductions import SUM

SIDE = 16  # of the tiles of rungs 1 and 2: 256 threads, each for one element


@kernel(threads=SIDE * SIDE)
def matmul_elements(
    a: Floats, a0: Count, a_z: Count, a_line: Count, a_k: Count,
    b: Floats, b0: Count, b_z: Count, b_line: Count, b_k: Count,
    y: Floats, y0: Count, M: Count, N: Count, K: Count,
):  # fmt: skip
    side = np.uint32(SIDE)
    t, z = np.uint32(cuda.threadIdx.x), np.uint32(cuda.blockIdx.z)
    row, column = tile_of_block(np.uint32(cuda.blockIdx.x), M, N, side)
    i, j = row + t // side, column + t % side
    if i < M and j < N:
        a_at, b_at = a0 + z * a_z + i * a_line, b0 + z * b_z + j * b_line
        total = np.float32(0)
        k = ZERO
        while k < K:
            total += a[a_at + k * a_k] * b[b_at + k * b_k]
            k += ONE
        y[y0 + (z * M + i) * N + j] = total


@functools.cache
def matmul_shared(side):
    """Rung 2, for tiles of side x side."""
    threads, S = side * side, np.uint32(side)

    @kernel(threads=threads)
    def matmul_shared(
        a: Floats, a0: Count, a_z: Count, a_line: Count, a_k: Count,
        b: Floats, b0: Count, b_z: Count, b_line: Count, b_k: Count,
        y: Floats, y0: Count, M: Count, N: Count, K: Count,
    ):  # fmt: skip
        a_tile = cuda.shared.array(threads, np.float32)  # (row, k)
        b_tile = cuda.shared.array(threads, np.float32)  # (k, column)
        t, z = np.uint32(cuda.threadIdx.x), np.uint32(cuda.blockIdx.z)
        row, column = tile_of_block(np.uint32(cuda.blockIdx.x), M, N, S)
        down, across = t // S, t % S
        i, j = row + down, column + across
        total = np.float32(0)
        k = ZERO
        while k < K:
            a_tile[t], b_tile[t] = np.float32(0), np.float32(0)
            if i < M and k + across < K:
                a_tile[t] = a[a0 + z * a_z + i * a_line + (k + across) * a_k]
            if k + down < K and j < N:
                b_tile[t] = b[b0 + z * b_z + (k + down) * b_k + j * b_line]
            cuda.syncthreads()  # now the tiles are there
            for n in range(side):
                total += a_tile[down * S + np.uint32(n)] * b_tile[np.uint32(n) * S + across]
            cuda.syncthreads()  # now nobody needs them
            k += S
        if i < M and j < N:
            y[y0 + (z * M + i) * N + j] = total

    return matmul_shared


SHARED = matmul_shared(SIDE)
REGISTERS = {  # ways of a and b -> kernel, tile
    (ALONG, ACROSS): (matmul_registers(8, 8, ALONG, ACROSS), 128),
    (ANYHOW, ANYHOW): (matmul_registers(8, 4, ANYHOW, ANYHOW), 64),
}
TENSOR_CORES = matmul_tensor_cores(128)


# --- the ladder: a (…, M, K), b (…, K, N), y (…, M, N) on the card, y in one piece --------------------------------


@rung("matmul", 1, "one thread an element of y: a row of a and a column of b, straight from memory")
def matmul_v1(a, b, y):
    launch(matmul_elements, SIDE, *_operands(a, b, y), y, a.shape[-1])


@rung("matmul", 2, "tiles of 16 x 16 in shared memory: each number is fetched once for 16 threads")
def matmul_v2(a, b, y):
    launch(SHARED, SIDE, *_operands(a, b, y), y, a.shape[-1])


@rung("matmul", 3, "8 x 8 sums a thread, in registers: each number from shared memory is used 8 times; 128-bit loads")
def matmul_v3(a, b, y):
    p, q = _operands(a, b, y)
    K = a.shape[-1]
    ways = (p.way(y.shape[-2], K), q.way(y.shape[-1], K))
    kernel, tile = REGISTERS.get(ways, REGISTERS[ANYHOW, ANYHOW])
    launch(kernel, tile, p, q, y, K)


@rung("matmul", 4, "the next slice is fetched during the products of this one; tiles, and cuts of K, by the shape")
def matmul_v4(a, b, y):
    _product(a, b, y)


@rung("matmul", 5, "not in use: tensor cores, which round a and b to 11 bits (TF32)")
def matmul_v5(a, b, y):
    launch(TENSOR_CORES, 128, *_operands(a, b, y), y, a.shape[-1])


def _operands(a, b, y):
    stack = y.shape[:-2]
    return left(a, stack), right(b, stack)


def _product(a, b, y, bias=None, other=None, ending=PLAIN):
    """y = a @ b + bias, and what `ending` says (matmul_parts.py); bias and other in one piece, other fit for load4."""
    p, q = _operands(a, b, y)
    M, N, K, stack = *y.shape[-2:], a.shape[-1], prod(y.shape[:-2])
    tile, pieces = choose_tile(M, N, K, stack, may_cut=bias is None and ending == PLAIN)
    target = y
    if pieces > 1:  # a stack of shorter products
        K //= pieces
        p, q = p._replace(z=K * p.k), q._replace(z=K * q.k)
        target = empty((pieces, M, N))
    kernel, tile = kernel_for(tile, p.way(M, K), q.way(N, K))
    given = [y.flat if part is None else part.flat for part in (bias, other)]
    launch(kernel, tile, p, q, target, K, given[0], bias is not None, given[1], ending)
    if pieces > 1:
        SUM["float32"].columns(blocks(M * N, 256), 256, target.flat, y.flat, pieces, M * N, 1, pieces, M * N)


# --- the functions of the row -------------------------------------------------------------------------------------


def matmul(a, b):
    y = empty((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]))
    _product(a, b, y)
    return y


def linear_forward(x, weight, bias=None, residual=None):  # x (N, in), weight (in, out), residual (N, out)
    y = empty((x.shape[0], weight.shape[1]))
    bias = None if bias is None else contiguous(bias)
    if residual is None:
        _product(x, weight, y, bias)
    else:
        _product(x, weight, y, bias, for_fours(residual), RESIDUAL)
    return y


def linear_backward(dy, x, weight, needs=(True, True, True)):  # dy (N, out)
    dx = matmul(dy, _transposed(weight)) if needs[0] else None  # (N, in)
    dweight = matmul(_transposed(x), dy) if needs[1] else None  # (in, out)
    dbias = column_sums(dy) if needs[2] else None  # (out,)
    return dx, dweight, dbias


def linear_gelu_forward(x, weight, bias=None):  # x (N, in)
    y, pre = empty((x.shape[0], weight.shape[1])), empty((x.shape[0], weight.shape[1]))  # (N, out) both
    _product(x, weight, y, None if bias is None else contiguous(bias), pre, GELU)
    return y, pre


def linear_gelu_backward(dy, x, weight, pre, needs=(True, True, True)):  # dy (N, out)
    return linear_backward(gelu_backward(dy, pre), x, weight, needs)


def bias_residual_forward(x, bias, residual):  # x (N, C), bias (C,), residual (N, C)
    return run_bias_residual(for_fours(x), for_fours(bias), for_fours(residual))


def bias_residual_backward(dy):  # dy (N, C)
    return column_sums(dy)


def _transposed(x):  # (n, m) -> (m, n), a view
    return DeviceArray(x.lease, x.dtype, x.shape[::-1], x.strides[::-1], x.offset)
