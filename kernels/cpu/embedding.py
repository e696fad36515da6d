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


@rung("embedding_backward", 1, "add row by row; rows of one id meet in order, so the result is always the same")
@kernel
def embedding_backward_v1(dy, ids, dweight):  # dy (N, C), dweight (V, C)
    for n in range(ids.size):
        for c in range(dweight.shape[1]):
            dweight[ids[n], c] += dy[n, c]


def embedding_forward(ids, weight):  # ids (...), weight (V, C) -> (..., C)
    ids, weight = contiguous(ids), contiguous(weight)
    C = weight.shape[1]
    y = empty((*ids.shape, C), weight.dtype)
    embedding_v1(ids.reshape(-1), weight, y.reshape(ids.size, C))
    return y


def embedding_backward(dy, ids, n):  # dy (..., C) -> (n, C)
    dy, ids = contiguous(dy), contiguous(ids)
    C = dy.shape[-1]
    dweight = empty((n, C), dy.dtype)
    dweight.fill(0)
    embedding_backward_v1(dy.reshape(ids.size, C), ids.reshape(-1), dweight)
    return dweight
