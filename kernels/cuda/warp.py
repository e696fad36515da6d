"""A warp's 32 threads add up, or find the largest of, a number each, by exchanging registers.

lanes 0 … 31 hold one number each; in five rounds each adds that of the lane whose number differs in one bit:
16, 8, 4, 2, 1 apart. Then all hold the sum of all.
"""

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
