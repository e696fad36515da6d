"""Dropout by counter. Formulas: kernels/reference/dropout.py; masks are the same bit for bit."""

import numpy as np

from .arena import contiguous, empty
from .jit import kernel
from .ladder import rung

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
S27, S30, S31, S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


@kernel
def keep(n, key, threshold):
    """Whether element n stays; n and key uint64."""
    z = (n + np.uint64(1)) * GOLDEN + key
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return ((z ^ (z >> S31)) >> S32) >= threshold


@rung("dropout", 1, "mask computed where it is needed, nothing stored")
@kernel
def dropout_v1(x, start, key, threshold, scale, y):
    for i in range(x.size):
        kept = keep(np.uint64(start) + np.uint64(i), key, threshold)
        y[i] = x[i] * (scale if kept else x.dtype.type(0))


@rung("dropout", 2, "the next element's counter is GOLDEN more: one of three multiplications becomes an addition")
@kernel
def dropout_v2(x, start, key, threshold, scale, y):
    zero = x.dtype.type(0)
    counter = (np.uint64(start) + np.uint64(1)) * GOLDEN + key
    for i in range(x.size):
        z = (counter ^ (counter >> S30)) * MIX_1
        z = (z ^ (z >> S27)) * MIX_2
        y[i] = x[i] * (scale if ((z ^ (z >> S31)) >> S32) >= threshold else zero)
        counter += GOLDEN


def dropout_forward(x, p, key=0, first_example=0):
    if p == 0.0:
        return x
    x = contiguous(x)
    y = empty(x.shape, x.dtype)
    per_example = x.size // x.shape[0] if x.ndim and x.shape[0] else 0
    scale = x.dtype.type(0.0 if p == 1.0 else 1.0 / (1.0 - p))
    threshold = np.uint64(round(p * 2**32))
    with np.errstate(over="ignore"):  # without JIT, NumPy warns of the overflow that hashing is made of
        dropout_v2(x.reshape(-1), first_example * per_example, np.uint64(key), threshold, scale, y.reshape(-1))
    return y
