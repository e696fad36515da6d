"""The tensor core's instruction on the simulated card; what each lane brings is told in matmul_tensor_cores.py."""

import numpy as np

from .simulator import WARP, cuda


def to_tf32(x):
    """x rounded to 11 bits, halves away from zero."""
    bits = int(np.float32(x).view(np.uint32))
    return np.uint32((bits + 0x1000) & 0xFFFFE000).view(np.float32)


def mma_tf32(c, a, b):
    """c + a @ b for a warp: a (16, 8), b (8, 8)."""
    g, m = divmod(cuda.thread.number % WARP, 4)

    def ask(lane):
        return cuda.thread.wait(("warp", (a, b), lambda _: lane))

    rows = [ask(4 * g + k)[0] for k in range(4)]  # of lanes that have k and k + 4 of the rows g and g + 8
    columns = [[ask(4 * (2 * m + n) + k)[1] for k in range(4)] for n in range(2)]  # … of the columns 2m and 2m + 1

    def dot(low, n):
        return sum(rows[k][low] * columns[n][k][0] + rows[k][low + 2] * columns[n][k][1] for k in range(4))

    return c[0] + dot(0, 0), c[1] + dot(0, 1), c[2] + dot(1, 0), c[3] + dot(1, 1)
