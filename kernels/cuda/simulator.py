"""A graphics card in plain Python, for machines without one: the same kernels, one thread after the other.

Each thread of a block is a greenlet. It runs until it meets a barrier or exchanges values with its warp; then the next
one runs. So every thread can be stepped through with a debugger, and what goes wrong on a card is found:

- memory that nobody wrote is NaN (or a wrong number), shared and local memory of every block anew
- an index outside of an array raises IndexError, also a negative one
- an access of 128 bits at no multiple of 16 bytes, or in a shared array that may begin anywhere, raises DeviceError
- a barrier that some threads of a block do not reach raises DeviceError, where a card would hang
- threads run in an order that changes from barrier to barrier, so that a missing barrier shows
- what the host copies from page-locked memory is read late, so that overwriting it too early shows

`MINIGPT_CUDA_SIMULATOR=1` makes the `cuda` row run on it. It is thousands of times slower than a card.

    simulated_threads.py   threads, barriers, warps
    simulated_memory.py    arrays, addresses, accesses
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from .simulated_memory import Memory, PageLocked, address_of, catch_up, floats_at, load4, new_piece, store4
from .simulated_threads import WARP, Block, Index, cuda

__all__ = ["WARP", "PageLocked", "address_of", "cuda", "floats_at", "load4", "store4"]  # and what follows

NAME = "simulator"


# --- what numba_cuda.py has too -------------------------------------------------------------------------------


def build(kernel):
    """Nothing to compile."""
    return device_function(kernel.function)


def launch(function, grid, block, arguments, names=()):
    """Run all blocks, one after the other."""
    catch_up()
    names = list(names) or [""] * len(arguments)
    seen = [Memory(a, name) if isinstance(a, np.ndarray) else a for a, name in zip(arguments, names, strict=True)]
    cuda.gridDim, cuda.blockDim = Index(*grid), Index(*block)
    order = np.random.default_rng(0)
    for z, y, x in itertools.product(*(range(n) for n in reversed(grid))):
        cuda.blockIdx = Index(x, y, z)
        Block(function, seen, block, order).run()


def device_function(function):
    """A function that kernels call; `math` in its file becomes that of a card."""
    if function.__globals__.get("math") is math:
        function.__globals__["math"] = CARD_MATH
    return function


class CardMath:
    """`math` as kernels see it: float32 gives float32, and log 0 is -inf, where Python raises ValueError."""

    def __getattr__(self, name):
        exact = getattr(math, name)
        ufunc = getattr(np, name, None)

        def rounded(*x):
            if not all(isinstance(a, np.float32) for a in x):
                return exact(*x)
            return np.float32(ufunc(*x) if isinstance(ufunc, np.ufunc) else exact(*x))

        value = rounded if callable(exact) else exact
        setattr(self, name, value)  # found at once the next time
        return value


CARD_MATH = CardMath()


def allocate(nbytes: int):
    """Memory of the card, as bytes."""
    return new_piece(nbytes)


def copy_in(target, host: np.ndarray) -> None:
    """Host array -> memory of the card, both flat and of one type."""
    catch_up()
    target[:] = host


def copy_out(source) -> np.ndarray:
    """Memory of the card -> a new flat host array; waits for the card."""
    catch_up()
    return source.copy()


def synchronize() -> None:
    """Wait until the card has done all it was told."""
    catch_up()


def free_bytes() -> int:
    """Memory of the card that is free."""
    return 1 << 40


def card_name() -> str:
    return "simulated card"
