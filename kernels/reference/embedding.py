"""Table look-up: y[...] = weight[ids[...]], and its transpose, adding rows up where an id repeats."""

import numpy as np


def embedding_forward(ids, weight):  # ids (...), weight (V, C) -> (..., C)
    return weight[ids]


def embedding_backward(dy, ids, n):  # dy (..., C) -> (V, C)
    dweight = np.zeros((n, dy.shape[-1]), dy.dtype)
    embedding_add_into(dweight, dy, ids)
    return dweight


def embedding_add_into(dweight, dy, ids):  # dweight (V, C), dy (..., C)
    """dweight[ids[i]] += dy[i] for every i, in place"""
    np.add.at(dweight, ids.reshape(-1), dy.reshape(-1, dy.shape[-1]))
