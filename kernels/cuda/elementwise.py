"""One output element from the input elements at the same place. Formulas: kernels/reference/elementwise.py.

Operands are arrays, 0-d arrays, or numbers. Two arrays of one shape, or an array and a number after it, are one launch
of 128-bit accesses; arrays that broadcast are one launch too (maps.py). Floats are float32; of integers there are sums,
differences, products and comparisons, of int64.
"""

import math

import numpy as np

from .device import DeviceArray
from .machine import Bytes, Count, Float, Floats, Ids, Int, cuda, device_function, kernel
from .maps import THREADS, map_number, map_one, map_repeated, map_two, run_fours, run_repeated
from .operands import floats, meet, on_card, refuse

# --- sums, differences, products, quotients ---------------------------------------------------------------------


@device_function
def sum_of(a, b):
    return a + b


@device_function
def difference_of(a, b):
    return a - b


@device_function
def product_of(a, b):
    return a * b


@device_function
def quotient_of(a, b):
    return a / b


_NAMES = {sum_of: "add", difference_of: "subtract", product_of: "multiply", quotient_of: "divide"}
_TWO = {f: map_two(f, f"{name}_two") for f, name in _NAMES.items()}
_REPEATED = {f: map_repeated(f, f"{name}_repeated") for f, name in _NAMES.items()}
_NUMBER = {f: map_number(f, f"{name}_number") for f, name in _NAMES.items()}


@device_function
def whole_of(operation, a, b):
    if operation == 0:
        return a + b
    if operation == 1:
        return a - b
    return a * b


@kernel(threads=THREADS)
def whole_repeated(
    a: Ids, a_inside: Count, a_length: Count, b: Ids, b_inside: Count, b_length: Count,
    operation: Count, y: Ids, n: Count,
):  # fmt: skip
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        y[i] = whole_of(operation, a[(i // a_inside) % a_length], b[(i // b_inside) % b_length])
        i += step


@kernel(threads=THREADS)
def whole_number(a: Ids, a_inside: Count, a_length: Count, number: Int, operation: Count, y: Ids, n: Count):
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        y[i] = whole_of(operation, a[(i // a_inside) % a_length], np.int64(number))
        i += step


_WHOLE = {sum_of: 0, difference_of: 1, product_of: 2}


def _arithmetic(f, a, b, dtype):
    """f of two operands of one type, float32 or int64."""
    if dtype == np.int64:
        return _with_number(whole_repeated, whole_number, a, b, dtype, _WHOLE[f])
    if isinstance(b, DeviceArray) or not isinstance(a, DeviceArray):
        a, b = on_card(a, dtype), on_card(b, dtype)
        return run_fours(_TWO[f], [a, b]) if a.shape == b.shape else run_repeated(_REPEATED[f], [a, b])
    return run_fours(_NUMBER[f], [a], b)


def _with_number(of_arrays, of_number, a, b, dtype, *settings, out=None):
    """Launch the kernel for two arrays, or the one for an array and a number if that fits into it."""
    fits = not isinstance(b, DeviceArray) and (dtype == np.float32 or -(2**31) <= b < 2**31)
    if fits and isinstance(a, DeviceArray):
        return run_repeated(of_number, [a], b, *settings, dtype=out or dtype)
    return run_repeated(of_arrays, [on_card(a, dtype), on_card(b, dtype)], *settings, dtype=out or dtype)


def _add_or_multiply(name, f, a, b):
    (a, b), dtype = meet(name, a, b)
    if dtype.kind == "b":  # or, and
        return compare(_arithmetic(f, *floats(name, a, b), np.dtype(np.float32)), 0.0, "!=")
    return _arithmetic(f, a, b, dtype)


def add(a, b):
    return _add_or_multiply("add", sum_of, a, b)


def multiply(a, b):
    return _add_or_multiply("multiply", product_of, a, b)


def subtract(a, b):
    (a, b), dtype = meet("subtract", a, b)
    if dtype.kind == "b":
        refuse("subtract", dtype)
    return _arithmetic(difference_of, a, b, dtype)


def divide(a, b):
    return _arithmetic(quotient_of, *floats("divide", a, b), np.dtype(np.float32))


# --- of one array -----------------------------------------------------------------------------------------------


@device_function
def opposite_of(x):
    return -x


@device_function
def size_of(x):
    return abs(x)


@device_function
def sign_of(x):
    """-1, 0, 1, or NaN."""
    if x > 0:
        return np.float32(1)
    if x < 0:
        return np.float32(-1)
    return x


@device_function
def exp_of(x):
    return math.exp(x)


@device_function
def log_of(x):
    """The card's quick logarithm is off by up to 2e-7; near 1, where that is much, log1p is right to the last digit."""
    if np.float32(0.5) < x < np.float32(2):
        return math.log1p(x - np.float32(1))
    return math.log(x)


@device_function
def root_of(x):
    return math.sqrt(x)


negative_kernel, absolute_kernel = map_one(opposite_of, "negative"), map_one(size_of, "absolute")
sign_kernel, exp_kernel = map_one(sign_of, "sign"), map_one(exp_of, "exp")
log_kernel, sqrt_kernel = map_one(log_of, "log"), map_one(root_of, "sqrt")


def negative(x):
    return multiply(x, -1) if x.dtype == np.int64 else _keeping_type("negative", negative_kernel, x)


def absolute(x):
    return _keeping_type("absolute", absolute_kernel, x)


def sign(x):
    return _keeping_type("sign", sign_kernel, x)


def _keeping_type(name, mapped, x):
    """For functions whose result has the type of x, which therefore must be float32."""
    if x.dtype != np.float32:
        refuse(name, x.dtype)
    return run_fours(mapped, [x])


def exp(x):
    return run_fours(exp_kernel, floats("exp", x))


def log(x):
    return run_fours(log_kernel, floats("log", x))


def sqrt(x):
    return run_fours(sqrt_kernel, floats("sqrt", x))


# --- comparing and choosing -------------------------------------------------------------------------------------

RELATIONS = ("<", "<=", ">", ">=", "==", "!=")


@device_function
def related(relation, a, b):
    if relation == 0:
        return a < b
    if relation == 1:
        return a <= b
    if relation == 2:
        return a > b
    if relation == 3:
        return a >= b
    if relation == 4:
        return a == b
    return a != b


def _comparisons(Array, Number, name):
    """The kernels for two arrays and for an array and a number."""

    @kernel(threads=THREADS)
    def of_arrays(
        a: Array, a_inside: Count, a_length: Count, b: Array, b_inside: Count, b_length: Count,
        relation: Count, y: Bytes, n: Count,
    ):  # fmt: skip
        i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
        while i < n:
            y[i] = related(relation, a[(i // a_inside) % a_length], b[(i // b_inside) % b_length])
            i += step

    @kernel(threads=THREADS)
    def of_number(
        a: Array, a_inside: Count, a_length: Count, number: Number, relation: Count, y: Bytes, n: Count
    ):  # fmt: skip
        i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
        while i < n:
            y[i] = related(relation, a[(i // a_inside) % a_length], number)
            i += step

    of_arrays.name, of_number.name = f"compare_{name}", f"compare_{name}_number"
    return of_arrays, of_number


_COMPARE = {"float32": _comparisons(Floats, Float, "floats"), "int64": _comparisons(Ids, Int, "whole")}


def compare(a, b, relation):
    (a, b), dtype = meet(f"comparison {relation}", a, b)
    if dtype.kind == "b":
        (a, b), dtype = floats(relation, a, b), np.dtype(np.float32)
    return _with_number(*_COMPARE[dtype.name], a, b, dtype, RELATIONS.index(relation), out=bool)


def _choice(Array, name):
    @kernel(threads=THREADS)
    def choose(
        condition: Bytes, c_inside: Count, c_length: Count, a: Array, a_inside: Count, a_length: Count,
        b: Array, b_inside: Count, b_length: Count, y: Array, n: Count,
    ):  # fmt: skip
        i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
        while i < n:
            if condition[(i // c_inside) % c_length]:
                y[i] = a[(i // a_inside) % a_length]
            else:
                y[i] = b[(i // b_inside) % b_length]
            i += step

    choose.name = f"where_{name}"
    return choose


_WHERE = {"float32": _choice(Floats, "floats"), "int64": _choice(Ids, "whole"), "bool": _choice(Bytes, "bytes")}


def where(condition, a, b):
    (a, b), dtype = meet("where", a, b)
    if condition.dtype.kind != "b":
        condition = compare(condition, 0, "!=")
    return run_repeated(_WHERE[dtype.name], [condition, on_card(a, dtype), on_card(b, dtype)], dtype=dtype)
