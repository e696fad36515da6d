"""The simulated graphics card for exercises on CUDA kernels: plain Python, which a debugger can step through.

cuda, launch = mg.classroom.simulated_card()

def double(x, y, n):                  # for one thread
    i = cuda.grid(1)
    if i < n:
        y[i] = 2 * x[i]

launch(double, 2, 4, x, y, 7)         # 2 blocks of 4 threads; {"x": 7, "y": 0} elements were read
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter

import numpy as np

from .. import backend
from ..errors import ArgumentError


@functools.cache
def simulated_card() -> tuple:
    """(cuda, launch): what kernels call `cuda`, and `run_kernel` below. Raises BackendError without greenlet."""
    cuda, start = backend.simulated_card()

    def launch(kernel, grid, block, *arguments) -> dict[str, int]:
        return run_kernel(cuda, start, kernel, grid, block, arguments)

    return cuda, launch


def run_kernel(cuda, start, kernel, grid, block, arguments) -> dict[str, int]:
    """Run a kernel, a plain function of one thread, for all threads. Returns how many elements of each array it read.

    grid, block:  number of blocks and of threads in a block: n, (x, y) or (x, y, z)
    arguments:    numbers, and flat arrays, which the kernel may write into
    Raises ArgumentError for arguments that do not fit; what the card finds: BackendError for a barrier that not all
    threads of a block reach, IndexError outside of an array.
    """
    names = list(inspect.signature(kernel).parameters)
    if len(names) != len(arguments):
        raise ArgumentError(f"the kernel takes ({', '.join(names)}); it is launched with {len(arguments)} arguments")
    for name, a in zip(names, arguments, strict=True):
        if isinstance(a, np.ndarray) and (a.ndim != 1 or not a.flags.c_contiguous):
            raise ArgumentError(
                f"{name} has shape {a.shape}: a kernel gets flat arrays in one piece, np.ascontiguousarray({name})."
                "reshape(-1)"
            )
    noted: list = []
    cuda.trace = noted
    try:
        start(kernel, _three(grid), _three(block), arguments, names)
    finally:
        cuda.trace = None
    reads = Counter(access.array for access in noted if access.kind == "read")
    return {name: reads[name] for name, a in zip(names, arguments, strict=True) if isinstance(a, np.ndarray)}


def _three(size) -> tuple[int, int, int]:
    size = size if isinstance(size, tuple) else (size,)
    return (*size, 1, 1)[:3]
