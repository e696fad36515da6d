"""Arrays of this row are NumPy's; what is its own is the memory they lie in."""

import numpy as np

from .arena import Arena, empty, inside_arena, is_whole_block


def arena():
    """A context in which memory is used again from step to step."""
    return Arena()


def owns_memory(x):
    """Whether x is no view of another array: it has memory of its own, or a block of an arena to itself."""
    return x.base is None or is_whole_block(x)


def zeros(shape, dtype):
    if not inside_arena():
        return np.zeros(shape, dtype)  # memory that the system hands out is 0, and costs nothing until it is touched
    out = empty(shape if isinstance(shape, tuple) else (shape,), dtype)
    out.fill(0)
    return out


def copy(x):
    out = empty(x.shape, x.dtype)
    out[...] = x
    return out
