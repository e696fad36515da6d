"""The threads of the simulated card: who runs where, barriers, and how the lanes of a warp exchange values."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from .errors import DeviceError

WARP = 32


class Index(NamedTuple):
    """threadIdx, blockIdx, blockDim, gridDim"""

    x: int
    y: int
    z: int


class Cuda:
    """What kernels call `cuda`, as numba.cuda has it. The attributes are those of the thread that runs now."""

    def __init__(self):
        self.shared: Any = None  # simulated_memory.py
        self.local: Any = None
        self.thread: Any = None
        self.trace: list | None = None  # of accesses, if somebody wants to know
        self.threadIdx = self.blockIdx = self.blockDim = self.gridDim = Index(0, 0, 0)
        self.phase = self.part = 0

    def grid(self, axes):
        place = tuple(b * d + t for b, d, t in zip(self.blockIdx, self.blockDim, self.threadIdx, strict=True))
        return place[0] if axes == 1 else place[:axes]

    def gridsize(self, axes):
        size = tuple(g * d for g, d in zip(self.gridDim, self.blockDim, strict=True))
        return size[0] if axes == 1 else size[:axes]

    def syncthreads(self):
        self.thread.wait(("barrier",))

    def syncwarp(self, mask=0xFFFFFFFF):
        self.thread.wait(("warp", None, lambda lane: lane))

    def shfl_xor_sync(self, mask, value, lanes):
        return self.thread.wait(("warp", value, lambda lane: lane ^ lanes))

    def shfl_down_sync(self, mask, value, lanes):
        return self.thread.wait(("warp", value, lambda lane: lane + lanes if lane + lanes < WARP else lane))

    def shfl_sync(self, mask, value, source):
        return self.thread.wait(("warp", value, lambda lane: source))


cuda = Cuda()


class Thread:
    """One thread of a block."""

    def __init__(self, block: Block, index: Index, number: int, function, arguments):
        from greenlet import greenlet

        self.block, self.index, self.number = block, index, number
        self.shared_arrays = 0
        self.phase = 0
        self.waits_for: tuple | None = None
        self.answer: Any = None
        self.greenlet = greenlet(lambda: self.run(function, arguments))

    def run(self, function, arguments):
        with np.errstate(all="ignore"):  # as on a card: 1e30 * 1e30 is inf, and nobody is told
            function(*arguments)

    def resume(self):
        """Run until the next barrier or exchange, or to the end."""
        cuda.thread, cuda.threadIdx, cuda.phase = self, self.index, self.phase
        self.waits_for = None
        self.greenlet.switch()

    def wait(self, what):
        self.waits_for = what
        self.greenlet.parent.switch()
        return self.answer


class Block:
    """All threads of one block, from start to end."""

    def __init__(self, function, arguments, shape, order: np.random.Generator):
        self.shared: list = []  # arrays
        self.order = order
        places = [Index(x, y, z) for z, y, x in itertools.product(*(range(n) for n in reversed(shape)))]
        self.threads = [Thread(self, place, n, function, arguments) for n, place in enumerate(places)]

    def run(self):
        ready = list(self.threads)
        while ready:
            self.order.shuffle(ready)
            for thread in ready:
                thread.resume()
            alive = [thread for thread in self.threads if not thread.greenlet.dead]
            ready = self._exchange(alive) or self._barrier(alive)

    def _exchange(self, alive) -> list[Thread]:
        """The threads of all warps whose living threads have met in an exchange, which is carried out."""
        met = []
        for _, group in itertools.groupby(alive, lambda thread: thread.number // WARP):
            warp = list(group)
            if all(thread.waits_for and thread.waits_for[0] == "warp" for thread in warp):
                given = {thread.number % WARP: thread.waits_for[1] for thread in warp}
                for thread in warp:
                    lane = thread.waits_for[2](thread.number % WARP)
                    if lane not in given:
                        raise DeviceError(f"thread {thread.index} asks lane {lane}, which has left its warp")
                    thread.answer = given[lane]
                met += warp
        return met

    def _barrier(self, alive) -> list[Thread]:
        """All threads, if all wait at a barrier."""
        if not alive:
            return []
        waiting = [thread for thread in alive if thread.waits_for and thread.waits_for[0] == "barrier"]
        if len(waiting) < len(self.threads):
            ended = len(self.threads) - len(alive)
            raise DeviceError(
                f"{len(waiting)} of {len(self.threads)} threads wait at a barrier, {ended} have ended and "
                f"{len(alive) - len(waiting)} wait for their warp: on a card this block would hang or go wrong"
            )
        for thread in waiting:
            thread.phase += 1
        return waiting
