"""Who reads and writes what: a kernel run on the simulator, with every load and store noted.

    trace(layernorm_v1, 1, 8, x, weight, bias, 1e-5, y, mean, rstd, 8, 32)

Arrays are given as NumPy arrays of any shape; the kernel gets them flat, and the trace keeps the shape. They are in C
order, and what the kernel writes is in them afterwards. minigpt/viz/threads.py draws what comes out.
"""

import inspect

import numpy as np

from .machine import KERNELS, SIMULATED, Kernel, cuda


def trace(kernel, grid, block, *arguments) -> dict:
    """Run a kernel, or a function that launches some, and say which thread touched what.

    kernel  a Kernel, its name, or a function (grid, block, *arguments)

    Returns plain data:
        kernel    its name
        block     (x, y, z), threads in a block
        arrays    name -> {"shape": tuple, "bytes": of an element}, arguments first, then "shared 0", "shared 1", …
        accesses  list of (array, element, store, block, thread, phase, part), in the order in which the simulator ran:
                  name; number in the flat array; bool; (x, y, z); number of the thread in its block; how many barriers
                  the thread had passed; 0 to 3 in an access of 128 bits, else 0

    Raises LookupError for an unknown name, TypeError or ValueError for arguments that do not fit, RuntimeError if the
    kernels were loaded for a real card.
    """
    if not SIMULATED:
        raise RuntimeError(
            "only the simulator notes accesses: set MINIGPT_CUDA_SIMULATOR=1 before kernels.cuda is loaded"
        )
    if isinstance(kernel, str):
        kernel = _named(kernel)
    names = list(kernel.kinds) if isinstance(kernel, Kernel) else list(inspect.signature(kernel).parameters)[2:]
    if len(arguments) != len(names):
        raise TypeError(f"the kernel takes {len(names)} arguments, {', '.join(names)}; got {len(arguments)}")
    given = dict(zip(names, arguments, strict=True))
    arrays = {name: {"shape": a.shape, "bytes": a.itemsize} for name, a in given.items() if isinstance(a, np.ndarray)}
    flat = [_flat(name, a) if isinstance(a, np.ndarray) else a for name, a in given.items()]
    block = (*block, 1, 1)[:3] if isinstance(block, tuple) else (block, 1, 1)
    noted: list = []
    cuda.trace = noted
    try:
        kernel(grid, block, *flat)
    finally:
        cuda.trace = None
    accesses = []
    for a in noted:
        if a.array == "local":  # registers
            continue
        number = a.thread.x + block[0] * (a.thread.y + block[1] * a.thread.z)
        accesses.append((a.array, a.index, a.kind == "write", tuple(a.block), number, a.phase, a.part))
    for name in sorted({a[0] for a in accesses} - set(arrays)):  # shared memory, as far as it was used
        touched = [a for a in noted if a.array == name]
        arrays[name] = {"shape": (1 + max(a.index for a in touched),), "bytes": touched[0].bytes}
    name = kernel.name if isinstance(kernel, Kernel) else kernel.__name__
    return {"kernel": name, "block": block, "arrays": arrays, "accesses": accesses}


def _flat(name, array):
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be in C order: give the kernel np.ascontiguousarray({name})")
    return array.reshape(-1)


def _named(name):
    found = [kernel for kernel in KERNELS if kernel.name == name]
    if not found:
        near = sorted({kernel.name for kernel in KERNELS if name.split("_v")[0] in kernel.name})
        raise LookupError(f"no kernel is called {name!r}{'; there are ' + ', '.join(near) if near else ''}")
    return found[0]
