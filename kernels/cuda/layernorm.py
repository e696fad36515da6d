"""Layer norm, forward and backward. Formulas: kernels/reference/layernorm.py; backward: layernorm_backward.py.

The rows are independent, and each is a sum over its elements: a warp takes a row, its lanes read neighbouring elements
(one access of 128 bytes for all of them) and add up by exchanging registers.
"""

import functools
import math

import numpy as np

from .device import contiguous, empty, full
from .fours import FOUR, in_fours
from .ladder import rung
from .layernorm_backward import WIDEST, layernorm_backward_v2, layernorm_backward_v3
from .machine import Count, Float, Floats, cuda, kernel, load4, store4
from .warp import LANES, warp_sum

WARPS = 8  # rows that a block works on at once
WARP = np.uint32(LANES)  # indices stay unsigned: signed ones could be negative, and that would be checked each time


@rung("layernorm_forward", 1, "one thread a row: neighbouring threads read elements that lie a row apart")
@kernel(threads=256)
def layernorm_v1(
    x: Floats, weight: Floats, bias: Floats, eps: Float, y: Floats, mean: Floats, rstd: Floats, N: Count, C: Count
):  # fmt: skip
    n = cuda.grid(1)
    if n < N:
        total = np.float32(0)
        for c in range(C):
            total += x[n * C + c]
        m = total / np.float32(C)
        total = np.float32(0)
        for c in range(C):
            d = x[n * C + c] - m
            total += d * d
        r = np.float32(1) / math.sqrt(total / np.float32(C) + eps)
        mean[n] = m
        rstd[n] = r
        for c in range(C):
            y[n * C + c] = (x[n * C + c] - m) * r * weight[c] + bias[c]


@rung("layernorm_forward", 2, "one warp a row: its lanes read neighbours, and add up by exchanging registers")
@kernel(threads=32 * WARPS)
def layernorm_v2(
    x: Floats, weight: Floats, bias: Floats, eps: Float, y: Floats, mean: Floats, rstd: Floats, N: Count, C: Count
):  # fmt: skip
    lane = np.uint32(cuda.threadIdx.x) % WARP
    n = np.uint32(cuda.grid(1)) // WARP  # all lanes of a warp have the same row, and leave together
    if n < N:
        first = n * C
        total = np.float32(0)
        c = lane
        while c < C:  # not a range: that counts with signed numbers, and the compiler unrolls it less
            total += x[first + c]
            c += WARP
        m = warp_sum(total) / np.float32(C)
        total = np.float32(0)
        c = lane
        while c < C:
            d = x[first + c] - m
            total += d * d
            c += WARP
        r = np.float32(1) / math.sqrt(warp_sum(total) / np.float32(C) + eps)
        if lane == 0:
            mean[n] = m
            rstd[n] = r
        c = lane
        while c < C:
            y[first + c] = (x[first + c] - m) * r * weight[c] + bias[c]
            c += WARP


@functools.cache
def layernorm_in_registers(vectors):
    """The kernel for C up to 128 * vectors: a lane keeps so many times four elements of the row in registers.

    The loops have fixed lengths, so that the compiler writes them out; only then can `row` be registers, which have
    names and no index. At c >= C there is nothing: zeros, which the sums do not feel.
    """
    width = 4 * vectors

    @kernel(threads=32 * WARPS)
    def layernorm_v3(
        x: Floats, weight: Floats, bias: Floats, eps: Float, y: Floats, mean: Floats, rstd: Floats, N: Count, C: Count
    ):  # fmt: skip
        row = cuda.local.array(width, np.float32)
        lane = np.uint32(cuda.threadIdx.x) % WARP
        n = np.uint32(cuda.grid(1)) // WARP
        if n < N:
            total = np.float32(0)
            for k in range(vectors):
                c, i = FOUR * (np.uint32(k) * WARP + lane), 4 * k
                row[i], row[i + 1], row[i + 2], row[i + 3] = (
                    np.float32(0),
                    np.float32(0),
                    np.float32(0),
                    np.float32(0),
                )
                if c < C:
                    row[i], row[i + 1], row[i + 2], row[i + 3] = load4(x, n * C + c)
                total += (row[i] + row[i + 1]) + (row[i + 2] + row[i + 3])
            m = warp_sum(total) / np.float32(C)
            total = np.float32(0)
            for k in range(vectors):
                if FOUR * (np.uint32(k) * WARP + lane) < C:
                    for i in range(4 * k, 4 * k + 4):
                        d = row[i] - m
                        total += d * d
            r = np.float32(1) / math.sqrt(warp_sum(total) / np.float32(C) + eps)
            if lane == 0:
                mean[n] = m
                rstd[n] = r
            for k in range(vectors):
                c, i = FOUR * (np.uint32(k) * WARP + lane), 4 * k
                if c < C:
                    w, b = load4(weight, c), load4(bias, c)
                    store4(
                        y, n * C + c,
                        (row[i] - m) * r * w[0] + b[0], (row[i + 1] - m) * r * w[1] + b[1],
                        (row[i + 2] - m) * r * w[2] + b[2], (row[i + 3] - m) * r * w[3] + b[3],
                    )  # fmt: skip

    layernorm_v3.name = f"layernorm_v3_{vectors}"
    return layernorm_v3


# (largest C, kernel): 128, 384 and 768 are the widths of our usual models
IN_REGISTERS = [(128 * vectors, layernorm_in_registers(vectors)) for vectors in (1, 3, 6, 16)]


@rung("layernorm_forward", 3, "128 bits an access, and the row kept in registers: it is read once; for C in fours")
def layernorm_v3(grid, block, x, weight, bias, eps, y, mean, rstd, N, C):
    instance = next(kernel for most, kernel in IN_REGISTERS if C <= most)
    instance(grid, block, x, weight, bias, eps, y, mean, rstd, N, C)


def layernorm_forward(x, weight=None, bias=None, eps=1e-5):  # x (N, C)
    x = contiguous(x)
    N, C = x.shape
    y, mean, rstd = empty((N, C)), empty((N, 1)), empty((N, 1))
    weight, bias = _or_full(weight, 1.0, C), _or_full(bias, 0.0, C)
    fits = C <= IN_REGISTERS[-1][0] and in_fours(C, x, weight, bias)
    version = layernorm_v3 if fits else layernorm_v2
    version(-(-N // WARPS), 32 * WARPS, x.flat, weight.flat, bias.flat, eps, y.flat, mean.flat, rstd.flat, N, C)
    return y, mean, rstd


def layernorm_backward(dy, x, weight, mean, rstd):
    """dx (N, C), dweight (C,), dbias (C,)"""
    dy, x, mean, rstd = contiguous(dy), contiguous(x), contiguous(mean), contiguous(rstd)
    N, C = x.shape
    weight = _or_full(weight, 1.0, C)
    dx, dweight, dbias = empty((N, C)), empty((C,)), empty((C,))
    fits = C <= WIDEST and in_fours(C, dy, x, weight)
    version = layernorm_backward_v3 if fits else layernorm_backward_v2
    version(dy.flat, x.flat, weight.flat, mean.flat, rstd.flat, dx.flat, dweight.flat, dbias.flat, N, C)
    return dx, dweight, dbias


def _or_full(p, value, C):
    return full((C,), value, np.float32) if p is None else contiguous(p)
