"""Kernels that apply one function to every element, made from that function.

    map_one(f)       y[i] = f(x[i])                128 bits an access
    map_two(f)       y[i] = f(a[i], b[i])          128 bits an access
    map_number(f)    y[i] = f(x[i], number)        128 bits an access
    map_repeated(f)  y[i] = f(a[…], b[…])          arrays that broadcast

They read and write each element once and compute little, so they run at the speed of the memory. What counts is that
enough bytes are under way: four elements an access, and a few accesses a thread.

An array that broadcasts is read at (i // inside) % length, where i is the number of the output's element: `inside`
elements in a row share one element of the array, and after `length` of them it starts again. So no copy is made.

    output (2, 3, 4)    array (3, 4): inside 1, length 12    (3, 1): inside 4, length 3    (): inside 1, length 1
"""

from math import prod

import numpy as np

from .device import DeviceArray, broadcast_view, contiguous, copy, empty
from .fours import FOUR, in_fours
from .machine import Count, Float, Floats, blocks, cuda, kernel, load4, store4

THREADS = 256


def map_one(f, name):
    @kernel(threads=THREADS, registers=64)
    def mapped(x: Floats, y: Floats, n: Count):
        i, step = FOUR * np.uint32(cuda.grid(1)), FOUR * np.uint32(cuda.gridsize(1))
        while i + np.uint32(3) < n:
            x0, x1, x2, x3 = load4(x, i)
            store4(y, i, f(x0), f(x1), f(x2), f(x3))
            i += step
        i = n - n % FOUR + np.uint32(cuda.grid(1))  # the last one to three
        if i < n:
            y[i] = f(x[i])

    mapped.name = name
    return mapped


def map_two(f, name):
    @kernel(threads=THREADS, registers=64)
    def mapped(a: Floats, b: Floats, y: Floats, n: Count):
        i, step = FOUR * np.uint32(cuda.grid(1)), FOUR * np.uint32(cuda.gridsize(1))
        while i + np.uint32(3) < n:
            a0, a1, a2, a3 = load4(a, i)
            b0, b1, b2, b3 = load4(b, i)
            store4(y, i, f(a0, b0), f(a1, b1), f(a2, b2), f(a3, b3))
            i += step
        i = n - n % FOUR + np.uint32(cuda.grid(1))  # the last one to three
        if i < n:
            y[i] = f(a[i], b[i])

    mapped.name = name
    return mapped


def map_number(f, name):
    @kernel(threads=THREADS, registers=64)
    def mapped(x: Floats, number: Float, y: Floats, n: Count):
        i, step = FOUR * np.uint32(cuda.grid(1)), FOUR * np.uint32(cuda.gridsize(1))
        while i + np.uint32(3) < n:
            x0, x1, x2, x3 = load4(x, i)
            store4(y, i, f(x0, number), f(x1, number), f(x2, number), f(x3, number))
            i += step
        i = n - n % FOUR + np.uint32(cuda.grid(1))  # the last one to three
        if i < n:
            y[i] = f(x[i], number)

    mapped.name = name
    return mapped


def map_repeated(f, name):
    @kernel(threads=THREADS, registers=64)
    def mapped(a: Floats, a_inside: Count, a_length: Count, b: Floats, b_inside: Count, b_length: Count,
               y: Floats, n: Count):  # fmt: skip
        i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
        while i < n:
            y[i] = f(a[(i // a_inside) % a_length], b[(i // b_inside) % b_length])
            i += step

    mapped.name = name
    return mapped


# --- launching them ---------------------------------------------------------------------------------------------


def for_fours(x):
    """x in one piece that begins where an access of 128 bits may begin; a copy if it does not."""
    x = contiguous(x)
    return x if in_fours(0, x) else copy(x)


def run_fours(mapped, inputs, *numbers):
    """Launch a kernel of map_one, map_two or map_number on arrays of one shape; returns the new array."""
    inputs = [for_fours(x) for x in inputs]
    y = empty(inputs[0].shape)
    mapped(blocks(-(-y.size // 4), THREADS), THREADS, *(x.flat for x in inputs), *numbers, y.flat, y.size)
    return y


def run_repeated(mapped, inputs, *numbers, dtype=np.float32):
    """Launch a kernel that takes (array, inside, length) for each input, then numbers, y and n; inputs broadcast."""
    shape = np.broadcast_shapes(*(x.shape for x in inputs))
    y = empty(shape, dtype)
    operands = [part for x in inputs for part in repeated(x, shape)]
    mapped(blocks(y.size, THREADS), THREADS, *operands, *numbers, y.flat, y.size)
    return y


def repeated(x: DeviceArray, shape):
    """(flat array, inside, length), from which a kernel reads x repeated to `shape`; copied if no such two exist."""
    lengths = (1,) * (len(shape) - x.ndim) + x.shape
    kept = [axis for axis, n in enumerate(lengths) if n > 1]
    if not kept:
        return contiguous(x).flat, 1, 1
    inner = range(kept[0], kept[-1] + 1)  # between the first and the last axis that x has, none may be repeated
    if any(lengths[axis] != shape[axis] for axis in inner):
        x = copy(broadcast_view(x, shape))
        return x.flat, 1, max(x.size, 1)
    return contiguous(x).flat, prod(shape[kept[-1] + 1 :]) or 1, x.size or 1
