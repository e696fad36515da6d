"""Sum of squares, for the gradient norm."""

import numpy as np

from .arena import contiguous
from .jit import kernel
from .ladder import rung


@rung("squared_norm", 1, "one sum in float64")
@kernel
def squared_norm_v1(x):
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


def squared_norm(x):
    return float(squared_norm_v1(contiguous(x).reshape(-1)))
