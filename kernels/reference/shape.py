"""The same elements in another arrangement, and pieces of arrays."""

import numpy as np


def reshape(x, shape):
    return x.reshape(shape)


def permute(x, axes):
    return np.transpose(x, axes)


def broadcast_to(x, shape):
    """Repeat along axes of length 1; a read-only view."""
    return np.broadcast_to(x, shape)


def concatenate(arrays, axis):
    return np.concatenate(arrays, axis=axis)


def slice_forward(x, key):
    """x[key] for integers, slices, None and Ellipsis; a view."""
    return x[key]


def slice_backward(dy, key, shape):
    """dx[key] = dy, zero elsewhere; no place of x was read twice."""
    dx = np.zeros(shape, dy.dtype)
    dx[key] = dy
    return dx


def gather(x, key):
    """x[key] where key holds integer or boolean arrays; a copy."""
    return x[key]


def scatter_add(dy, key, shape):
    """dx[key] += dy, adding up where key names a place more than once."""
    dx = np.zeros(shape, dy.dtype)
    np.add.at(dx, key, dy)
    return dx
