"""One output element from the input elements at the same place; shapes broadcast as in NumPy.

The backward functions take `dy` = d loss / d y and return d loss / d x before any broadcasting is undone.
"""

import numpy as np


def add(a, b):
    return np.add(a, b)


def subtract(a, b):
    return np.subtract(a, b)


def multiply(a, b):
    return np.multiply(a, b)


def divide(a, b):
    return np.true_divide(a, b)


def negative(x):
    return np.negative(x)


def absolute(x):
    return np.absolute(x)


def sign(x):
    return np.sign(x)


def exp(x):
    return np.exp(x)


def log(x):
    return np.log(x)


def sqrt(x):
    return np.sqrt(x)


def compare(a, b, relation):
    """Boolean array of `a relation b`, relation one of < <= > >= == !=."""
    ufunc = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal,
             "!=": np.not_equal}[relation]  # fmt: skip
    return ufunc(a, b)


def where(condition, a, b):
    return np.where(condition, a, b)


def power(x, exponent):
    """y = x ** exponent; the exponent is a number or an array."""
    return x**exponent


def power_backward(dy, x, exponent):
    """dx = dy * e * x^(e-1), and 0 where e is 0 (there x^(e-1) would be 0 * inf at x = 0)."""
    lowered = np.where(np.equal(exponent, 0), exponent, np.subtract(exponent, 1)).astype(x.dtype)
    return dy * exponent * x**lowered


def power_backward_exponent(dy, x, y):
    """de = dy * y * ln x, and 0 where x is 0."""
    return dy * y * np.log(np.where(x == 0, np.ones_like(x), x))
