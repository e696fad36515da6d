"""Table look-up and its transpose. Formulas: kernels/reference/embedding.py; backward: embedding_backward.py.

The ids come from a text, so the host cannot know without waiting whether all of them lie in the table. A row for an id
that is not in the table is NaN, and its gradient goes nowhere; nothing is read or written outside.
"""

from math import prod

import numpy as np

from .device import astype, contiguous, copy_into, empty, zeros
from .embedding_backward import embedding_backward_v2, embedding_backward_v3
from .fours import FOUR, in_fours
from .ladder import rung
from .machine import Count, Floats, Ids, cuda, kernel, load4, store4
from .warp import LANES

WARPS = 8  # rows that a block works on at once
WARP = np.uint32(LANES)
NAN = np.float32(np.nan)


@rung("embedding_forward", 1, "one thread an element")
@kernel(threads=256)
def embedding_v1(ids: Ids, weight: Floats, y: Floats, N: Count, C: Count, V: Count):
    i = np.uint32(cuda.grid(1))
    if i < N * C:
        token = ids[i // C]
        y[i] = weight[np.uint32(token) * C + i % C] if 0 <= token < V else NAN


@rung("embedding_forward", 2, "one warp a row: the id is read once, and no thread divides")
@kernel(threads=32 * WARPS)
def embedding_v2(ids: Ids, weight: Floats, y: Floats, N: Count, C: Count, V: Count):
    n = np.uint32(cuda.grid(1)) // WARP
    c = np.uint32(cuda.threadIdx.x) % WARP
    if n < N:
        token = ids[n]
        inside = 0 <= token < V
        row = np.uint32(token) * C
        while c < C:
            y[n * C + c] = weight[row + c] if inside else NAN
            c += WARP


@rung("embedding_forward", 3, "128 bits an access; for C in fours")
@kernel(threads=32 * WARPS)
def embedding_v3(ids: Ids, weight: Floats, y: Floats, N: Count, C: Count, V: Count):
    n = np.uint32(cuda.grid(1)) // WARP
    c = FOUR * (np.uint32(cuda.threadIdx.x) % WARP)
    if n < N:
        token = ids[n]
        inside = 0 <= token < V
        row = np.uint32(token) * C
        while c < C:
            if inside:
                four = load4(weight, row + c)
                store4(y, n * C + c, four[0], four[1], four[2], four[3])
            else:
                store4(y, n * C + c, NAN, NAN, NAN, NAN)
            c += FOUR * WARP


def embedding_forward(ids, weight):  # ids (...), weight (V, C) -> (..., C)
    ids, weight = astype(contiguous(ids), np.int64), contiguous(weight)
    V, C = weight.shape
    y = empty((*ids.shape, C))
    version = embedding_v3 if in_fours(C, weight) else embedding_v2
    version(-(-ids.size // WARPS), 32 * WARPS, ids.flat, weight.flat, y.flat, ids.size, C, V)
    return y


def embedding_backward(dy, ids, n):  # dy (..., C) -> (n, C)
    dweight = zeros((n, dy.shape[-1]), dy.dtype)
    embedding_add_into(dweight, dy, ids)
    return dweight


def embedding_add_into(dweight, dy, ids):  # dweight (V, C), dy (..., C)
    """dweight[ids[i]] += dy[i] for every i, in place; the same bits in every run"""
    ids, dy, table = astype(contiguous(ids), np.int64), contiguous(dy), contiguous(dweight)
    V, C = table.shape
    version = embedding_backward_v3 if in_fours(C, dy, table) else embedding_backward_v2
    version(dy, ids, table, prod(ids.shape), C, V)
    if table is not dweight:  # it did not lie in one piece
        copy_into(dweight, table)
