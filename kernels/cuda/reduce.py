"""Many elements to one along given axes. Formulas: kernels/reference/reduce.py; kernels: reductions.py, norm.py."""

import numpy as np

from . import norm
from .elementwise import compare, divide, multiply, subtract
from .errors import DeviceError
from .operands import floats
from .reductions import MAX, SUM, reduce


def sum(x, axis, keepdims=False):
    return reduce(_ways(SUM, "sum", x), x, axis, keepdims)


def max(x, axis, keepdims=False):
    if 0 in (x.shape[i] for i in axis) and 0 not in (n for i, n in enumerate(x.shape) if i not in axis):
        raise ValueError(f"max over axes {axis} of an array of shape {x.shape}: there is nothing to choose from")
    return reduce(_ways(MAX, "max", x), x, axis, keepdims)


def max_backward(dy, x, y, axis):
    is_max = compare(x, y, "==")
    share = divide(dy, sum(is_max, axis, keepdims=True))
    return multiply(is_max, share)


def var(x, axis, keepdims=False):
    (x,) = floats("var", x)
    count = _count(x, axis)
    distance = _from_mean(x, axis, count)
    return multiply(sum(multiply(distance, distance), axis, keepdims), 1 / count)


def var_backward(dy, x, axis, count):
    return multiply(_from_mean(x, axis, count), multiply(dy, 2 / count))


def _from_mean(x, axis, count):
    return subtract(x, multiply(sum(x, axis, keepdims=True), 1 / count))


def _count(x, axis):
    return int(np.prod([x.shape[i] for i in axis], dtype=np.int64))


def _ways(ways, name, x):
    if x.dtype.name not in ways:
        raise DeviceError(f"the cuda row has {name} of {', '.join(ways)} arrays, not of {x.dtype}")
    return ways


def squared_norm(x):
    return norm.squared_norm(x)


def squared_norms(arrays):
    """Of all arrays together, as clip_scale takes them; they stay on the card."""
    return norm.sums_of_squares(arrays)
