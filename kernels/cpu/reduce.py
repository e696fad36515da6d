"""Sum of squares, for the gradient norm."""

import numpy as np

from .arena import contiguous
from .jit import kernel
from .ladder import rung

BLOCK = 256  # elements; a loop of 64 is unrolled completely by LLVM and ten times slower
SMALLEST = 1e-20  # a block's sum below it may have lost squares to underflow, each of them less than 1e-37


@rung("squared_norm", 1, "one sum in float64")
@kernel
def squared_norm_v1(x):
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


@rung("squared_norm", 2, "blocks summed in the array's own type, their sums in float64; twice as many lanes a vector")
@kernel
def squared_norm_v2(x):
    """Relative error below 1e-6. A block that over- or underflows, or holds a NaN, is summed again in float64."""
    total = 0.0
    whole = x.size // BLOCK * BLOCK
    for start in range(0, whole, BLOCK):
        part = x.dtype.type(0)
        for i in range(BLOCK):
            part += x[start + i] * x[start + i]
        if SMALLEST < part < np.inf:
            total += np.float64(part)
        else:
            for i in range(start, start + BLOCK):
                total += np.float64(x[i]) * np.float64(x[i])
    for i in range(whole, x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


def squared_norm(x):
    with np.errstate(over="ignore"):  # without JIT, NumPy warns of the overflow that the second sum is there for
        return float(squared_norm_v2(contiguous(x).reshape(-1)))


def squared_norms(arrays):
    """squared_norm of each, as clip_scale takes them."""
    return [squared_norm(x) for x in arrays]
