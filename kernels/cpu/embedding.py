"""Table look-up and its transpose. Formulas: kernels/reference/embedding.py."""

from .arena import contiguous, empty
from .jit import kernel
from .ladder import rung


@rung("embedding_forward", 1, "copy row by row")
@kernel
def embedding_v1(ids, weight, y):  # ids (N,), weight (V, C), y (N, C)
    for n in range(ids.size):
        for c in range(weight.shape[1]):
            y[n, c] = weight[ids[n], c]


@rung("embedding_forward", 2, "id and rows looked up before the inner loop, which then only copies: it is vectorised")
@kernel
def embedding_v2(ids, weight, y):  # ids (N,), weight (V, C), y (N, C)
    for n in range(ids.size):
        row, copy = weight[ids[n]], y[n]  # (C,)
        for c in range(row.size):
            copy[c] = row[c]


@rung("embedding_backward", 1, "add row by row; rows of one id meet in order, so the result is always the same")
@kernel
def embedding_backward_v1(dy, ids, dweight):  # dy (N, C), dweight (V, C)
    for n in range(ids.size):
        for c in range(dweight.shape[1]):
            dweight[ids[n], c] += dy[n, c]


@rung("embedding_backward", 2, "id and rows looked up before the inner loop, which then only adds: it is vectorised")
@kernel
def embedding_backward_v2(dy, ids, dweight):  # dy (N, C), dweight (V, C)
    for n in range(ids.size):
        row, d = dweight[ids[n]], dy[n]  # (C,)
        for c in range(d.size):
            row[c] += d[c]


def embedding_forward(ids, weight):  # ids (...), weight (V, C) -> (..., C)
    ids, weight = contiguous(ids), contiguous(weight)
    C = weight.shape[1]
    y = empty((*ids.shape, C), weight.dtype)
    embedding_v2(ids.reshape(-1), weight, y.reshape(ids.size, C))
    return y


def embedding_backward(dy, ids, n):  # dy (..., C) -> (n, C)
    dweight = empty((n, dy.shape[-1]), dy.dtype)
    dweight.fill(0)
    embedding_add_into(dweight, dy, ids)
    return dweight


def embedding_add_into(dweight, dy, ids):  # dweight (V, C), dy (..., C)
    dy, ids = contiguous(dy), contiguous(ids)
    embedding_backward_v2(dy.reshape(ids.size, dy.shape[-1]), ids.reshape(-1), dweight)
