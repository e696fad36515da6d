"""A warp's 32 threads add up, or find the largest of, a number each, by exchanging registers.

lanes 0 … 31 hold one number each; in five rounds each adds that of the lane whose number differs in one bit:
16, 8, 4, 2, 1 apart. Then all hold the sum of all.
"""

import numpy as np

from .machine import cuda, device_function

LANES = 32
ALL = 0xFFFFFFFF  # every lane takes part


@device_function
def warp_sum(value):
    value += cuda.shfl_xor_sync(ALL, value, 16)
    value += cuda.shfl_xor_sync(ALL, value, 8)
    value += cuda.shfl_xor_sync(ALL, value, 4)
    value += cuda.shfl_xor_sync(ALL, value, 2)
    value += cuda.shfl_xor_sync(ALL, value, 1)
    return value


@device_function
def warp_max(value):
    value = max(value, cuda.shfl_xor_sync(ALL, value, 16))
    value = max(value, cuda.shfl_xor_sync(ALL, value, 8))
    value = max(value, cuda.shfl_xor_sync(ALL, value, 4))
    value = max(value, cuda.shfl_xor_sync(ALL, value, 2))
    value = max(value, cuda.shfl_xor_sync(ALL, value, 1))
    return value


@device_function
def block_sum(value, each):
    """The sum over the block, for its thread 0. each: shared, float32, a place for every warp."""
    value = warp_sum(value)
    if cuda.threadIdx.x % LANES == 0:
        each[cuda.threadIdx.x // LANES] = value
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        value = np.float32(0)
        for warp in range(cuda.blockDim.x // LANES):
            value += each[warp]
    cuda.syncthreads()  # `each` may be written again
    return value
