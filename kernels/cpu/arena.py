"""Memory that is used again: what one step frees, the next one takes.

Training asks for arrays of the same sizes step after step. Fresh memory costs a page fault for every 4 KiB; memory that
was used a moment ago costs nothing. Inside `with Arena():` (the trainer opens one per worker thread) `empty` hands out
blocks that were given back before; a block goes back when the last array that uses it disappears. Outside an arena,
`empty` is numpy.empty.
"""

import threading

import numpy as np

SMALLEST = 16 * 1024  # bytes; below this numpy.empty is as quick

_ACTIVE = threading.local()


class _Lease:
    """One block on loan. NumPy keeps it alive as the base of every array and view made from it."""

    __slots__ = ("__array_interface__", "arena", "block")

    def __init__(self, arena, block, shape, dtype):
        self.arena, self.block = arena, block
        self.__array_interface__ = {
            "version": 3, "shape": shape, "typestr": dtype.str, "data": (block.ctypes.data, False)
        }  # fmt: skip

    def __del__(self):
        self.arena._free.setdefault(self.block.nbytes, []).append(self.block)


class Arena:
    """A pool of blocks for one thread; any may give back. `held`: bytes of all its blocks, free or not."""

    def __init__(self):
        self._free: dict[int, list] = {}
        self.held = 0

    def __enter__(self):
        self._before = getattr(_ACTIVE, "arena", None)
        _ACTIVE.arena = self
        return self

    def __exit__(self, *exc):
        _ACTIVE.arena = self._before

    def take(self, shape, dtype):
        nbytes = dtype.itemsize
        for n in shape:
            nbytes *= n
        if nbytes < SMALLEST:
            return np.empty(shape, dtype)
        blocks = self._free.get(nbytes)
        if blocks:
            block = blocks.pop()
        else:
            block = np.empty(nbytes, np.uint8)
            self.held += nbytes
        return np.asarray(_Lease(self, block, shape, dtype))


def is_whole_block(x):
    """Whether x came from `empty` inside an arena and is no view of such an array."""
    return isinstance(x.base, _Lease)


def empty(shape, dtype):
    """An array with arbitrary content, from the active arena if there is one."""
    arena = getattr(_ACTIVE, "arena", None)
    return np.empty(shape, dtype) if arena is None else arena.take(tuple(shape), np.dtype(dtype))
