"""Dropout whose mask is computed from a counter, so that it depends on *which* element it is and on nothing else.

    bits(n) = mix(key + (n + 1) * GOLDEN)         n counts elements through the whole batch
    keep n  if bits(n) >= p * 2^32                (the upper 32 bits)
    y = x / (1 - p) where kept, else 0

mix is SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", figure 14).
Backward applies the same function to dy: nothing has to be stored. `first_example` is the number of the batch's
first example, so that half a batch gets the same masks as it does inside the whole batch.
"""

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)


def random_bits(start, count, key):
    """`count` 32-bit random numbers, those of the elements start, start + 1, … ; uint64 array."""
    n = np.arange(start + 1, start + 1 + count, dtype=np.uint64)
    z = n * GOLDEN + np.uint64(key)  # arrays of uint64 wrap around silently, which is what is wanted
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return (z ^ (z >> np.uint64(31))) >> np.uint64(32)


def keep_mask(shape, p, key, first_example=0):
    """Boolean array, True with probability 1 - p. The first axis counts examples."""
    count = int(np.prod(shape, dtype=np.int64))
    per_example = count // shape[0] if shape and shape[0] else 0
    bits = random_bits(first_example * per_example, count, key)
    return (bits >= np.uint64(round(p * 2**32))).reshape(shape)


def dropout_forward(x, p, key=0, first_example=0):
    if p == 0.0:
        return x
    scale = 0.0 if p == 1.0 else 1.0 / (1.0 - p)
    return x * keep_mask(x.shape, p, key, first_example) * np.array(scale, x.dtype)
