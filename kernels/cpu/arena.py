"""Memory that is used again: what one step frees, the next one takes.

Training asks for arrays of the same sizes step after step. Fresh memory costs a page fault for every 4 KiB; memory that
was used a moment ago costs nothing. Inside `with Arena():` (the trainer opens one per worker thread) `empty` hands out
blocks that were given back before; a block goes back when the last array that uses it disappears. Outside an arena,
`empty` is numpy.empty.
"""

import math
import threading

import numpy as np

SMALLEST = 16 * 1024  # bytes; below this numpy.empty is as quick

LINE = 64  # bytes of a cache line, and of the widest vectors

WASTE = 8  # a block may be so many times larger than what is asked for


class _Active(threading.local):
    """The arena that each thread is in."""

    arena: "Arena | None" = None


_ACTIVE = _Active()


class _Block(np.ndarray):
    """Bytes that an arena owns. A type of its own, so that NumPy keeps a lease as the base of the arrays on it."""


class _Lease(np.ndarray):
    """One block on loan. NumPy keeps it alive as the base of every array and view made from it."""

    block: _Block
    home: dict[int, list]

    def __del__(self):
        self.home.setdefault(self.block.nbytes, []).append(self.block)


class Arena:
    """A pool of blocks for one thread; any may give back. `held`: bytes of all its blocks, free or not."""

    def __init__(self):
        self._free: dict[int, list] = {}  # size in bytes -> blocks of that size
        self._before: list = []
        self.held = 0

    def __enter__(self):
        self._before.append(_ACTIVE.arena)
        _ACTIVE.arena = self
        return self

    def __exit__(self, *exc):
        _ACTIVE.arena = self._before.pop()

    def take(self, shape, dtype):
        nbytes = math.prod(shape) * dtype.itemsize
        if nbytes < SMALLEST:
            return np.empty(shape, dtype)
        # A size that had blocks of its own before gets another one; a new one may do with what is there.
        blocks = self._free[nbytes] if nbytes in self._free else self._larger(nbytes)
        if blocks:
            block = blocks.pop()
        else:
            block = _aligned(nbytes).view(_Block)
            self.held += nbytes
        lease = block.view(_Lease)
        lease.block, lease.home = block, self._free
        return np.ndarray(shape, dtype, buffer=lease)

    def _larger(self, nbytes):
        """Free blocks of the next larger size, so that a shorter text does with the memory of a longer one."""
        sizes = [size for size, blocks in list(self._free.items()) if blocks and nbytes < size <= WASTE * nbytes]
        return self._free[min(sizes)] if sizes else None


def _aligned(nbytes):
    """Bytes that begin on a cache line, so that no vector of a contiguous array lies across two."""
    memory = np.empty(nbytes + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + nbytes]


def inside_arena():
    """Whether `empty` hands out memory that was used before."""
    return _ACTIVE.arena is not None


def is_whole_block(x):
    """Whether x came from `empty` inside an arena and is no view of such an array."""
    return isinstance(x.base, _Lease)


def empty(shape, dtype):
    """An array with arbitrary content, from the active arena if there is one."""
    arena = _ACTIVE.arena
    return np.empty(shape, dtype) if arena is None else arena.take(tuple(shape), np.dtype(dtype))


def contiguous(x):
    """x in C order, x itself if it is; a single number keeps its shape (), unlike in numpy.ascontiguousarray."""
    return x if x.flags.c_contiguous else np.array(x, order="C")
