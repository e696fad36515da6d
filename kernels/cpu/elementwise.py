"""Sums and products of arrays: NumPy's loops are at the memory's speed; only where the result goes is ours."""

import numpy as np

from .arena import empty


def add(a, b):
    return np.add(a, b, out=_room(a, b))


def multiply(a, b):
    return np.multiply(a, b, out=_room(a, b))


def _room(a, b):
    """Memory for a ufunc's result, or None (NumPy then makes its own) unless both are float arrays of one type."""
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype == b.dtype and a.dtype.kind == "f"):
        return None
    return empty(a.shape if a.shape == b.shape else np.broadcast_shapes(a.shape, b.shape), a.dtype)
