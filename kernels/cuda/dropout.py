"""Dropout by counter. Formulas: kernels/reference/dropout.py; masks are the same bit for bit."""

import numpy as np

from .device import contiguous, empty
from .fours import FOUR, in_fours
from .ladder import rung
from .machine import Count, Float, Floats, Key, cuda, device_function, kernel, load4, store4

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
S27, S30, S31, S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
ONE = np.uint64(1)
THREADS = 256


@device_function
def kept(counter, threshold):
    """Whether the element with this counter, key + (n + 1) * GOLDEN, stays."""
    z = (counter ^ (counter >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return ((z ^ (z >> S31)) >> S32) >= threshold


@rung("dropout", 1, "one thread an element; the mask is computed where it is needed, nothing stored")
@kernel(threads=THREADS)
def dropout_v1(x: Floats, start: Key, key: Key, threshold: Key, scale: Float, y: Floats, n: Count):
    i = np.uint32(cuda.grid(1))
    if i < n:
        counter = key + (start + np.uint64(i) + ONE) * GOLDEN
        y[i] = x[i] * (scale if kept(counter, threshold) else np.float32(0))


@rung(
    "dropout", 2, "four elements a thread, 128 bits an access; the next counter is GOLDEN more, which saves a product"
)
@kernel(threads=THREADS)
def dropout_v2(x: Floats, start: Key, key: Key, threshold: Key, scale: Float, y: Floats, n: Count):
    i, nothing = FOUR * np.uint32(cuda.grid(1)), np.float32(0)
    if i < n:
        a = key + (start + np.uint64(i) + ONE) * GOLDEN
        b = a + GOLDEN
        c = b + GOLDEN
        d = c + GOLDEN
        four = load4(x, i)
        store4(
            y, i,
            four[0] * (scale if kept(a, threshold) else nothing), four[1] * (scale if kept(b, threshold) else nothing),
            four[2] * (scale if kept(c, threshold) else nothing), four[3] * (scale if kept(d, threshold) else nothing),
        )  # fmt: skip


def dropout_forward(x, p, key=0, first_example=0):
    if p == 0.0:
        return x
    x = contiguous(x)
    y = empty(x.shape)
    per_example = x.size // x.shape[0] if x.ndim and x.shape[0] else 0
    scale = 0.0 if p == 1.0 else 1.0 / (1.0 - p)
    fours = in_fours(x.size, x)
    version, each = (dropout_v2, 4 * THREADS) if fours else (dropout_v1, THREADS)
    start, threshold = first_example * per_example, round(p * 2**32)
    version(-(-x.size // each), THREADS, x.flat, start, int(key), threshold, scale, y.flat, x.size)
    return y
