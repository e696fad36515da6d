"""Powers of floats. Formulas: kernels/reference/elementwise.py.

The card's own power function takes 2^(e log2 x), which has no value for a negative x. Here a whole exponent up to 64 is
done by repeated squaring, x^13 = x^8 x^4 x, and any other as e^(exponent * ln |x|), with the sign of x where the
exponent is whole and odd. Relative error below 2e-5, and below 5e-6 for whole exponents up to 64.
"""

import math

import numpy as np

from .device import DeviceArray
from .elementwise import log_of, multiply
from .machine import device_function
from .maps import map_number, map_one, map_repeated, run_fours, run_repeated
from .operands import floats, refuse

ONE, NAN = np.float32(1), np.float32(np.nan)


@device_function
def power_of(x, exponent):
    if abs(exponent) <= np.float32(64):
        n = np.int32(exponent)
        if np.float32(n) == exponent:
            left, square, y = abs(n), x, ONE
            while left > 0:
                if left % 2 == 1:
                    y *= square
                square *= square
                left //= 2
            return y if n >= 0 else ONE / y
    size = math.exp(exponent * log_of(abs(x)))
    if x < 0 and abs(exponent) < np.float32(2**24):  # all floats from 2^24 on are even numbers
        n = np.int32(exponent)
        if np.float32(n) != exponent:
            return NAN
        if n % 2 != 0:
            return -size
    return size


@device_function
def slope_of(x, exponent):
    """d x^e / d x = e * x^(e-1), and 0 where e is 0."""
    if exponent == 0:
        return np.float32(0)
    return exponent * power_of(x, exponent - ONE)


@device_function
def log_or_0(x):
    """ln x, and 0 where x is 0."""
    return np.float32(0) if x == 0 else log_of(x)


power_number, power_repeated = map_number(power_of, "power_number"), map_repeated(power_of, "power_repeated")
slope_number, slope_repeated = map_number(slope_of, "slope_number"), map_repeated(slope_of, "slope_repeated")
log_or_zero = map_one(log_or_0, "log_or_zero")


def power(x, exponent):
    if x.dtype != np.float32:
        refuse("power", x.dtype)
    return _of_number_or_array(power_number, power_repeated, x, exponent)


def power_backward(dy, x, exponent):
    return multiply(dy, _of_number_or_array(slope_number, slope_repeated, x, exponent))


def power_backward_exponent(dy, x, y):
    return multiply(multiply(dy, y), run_fours(log_or_zero, floats("power", x)))


def _of_number_or_array(of_number, of_arrays, x, exponent):
    x, exponent = floats("power", x, exponent)
    if isinstance(exponent, DeviceArray):
        return run_repeated(of_arrays, [x, exponent])
    return run_fours(of_number, [x], exponent)
