"""Arrays of this device: making them, moving them, writing into them."""

from contextlib import nullcontext

import numpy as np


def is_array(x):
    """Whether x is an array that this row's functions can take."""
    return isinstance(x, np.ndarray)


def from_host(x):
    """NumPy array -> array of this device."""
    return x


def to_host(x):
    """Array of this device -> NumPy array."""
    return x


def owns_memory(x):
    """Whether x is no view of another array."""
    return x.base is None


def shares_memory(a, b):
    """Whether the memory spans of a and b overlap."""
    return np.may_share_memory(a, b)


def arena():
    """A context in which memory is used again from step to step; here NumPy's own memory is good enough."""
    return nullcontext()


def zeros(shape, dtype):
    return np.zeros(shape, dtype)


def full(shape, value, dtype):
    return np.full(shape, value, dtype)


def astype(x, dtype):
    return x.astype(dtype, copy=False)


def copy(x):
    return np.array(x, order="C")  # always memory of its own


def assign(out, key, value):
    """out[key] = value, in place."""
    out[key] = value


def add_into(out, x):
    """out += x, in place."""
    np.add(out, x, out=out)


def fetch(numbers):
    """Arrays of one number each, or numbers -> Python floats; from a card they come in one copy, waited for once."""
    return [float(x) for x in numbers]
