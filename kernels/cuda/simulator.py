"""A graphics card in plain Python, for machines without one: the same kernels, one thread after the other.

Each thread of a block is a greenlet. It runs until it meets a barrier or exchanges values with its warp; then the next
one runs. So every thread can be stepped through with a debugger, and what goes wrong on a card is found:

- memory that nobody wrote is NaN (or a wrong number), shared and local memory of every block anew
- an index outside of an array raises IndexError, also a negative one
- a barrier that some threads of a block do not reach raises DeviceError, where a card would hang
- threads run in an order that changes from barrier to barrier, so that a missing barrier shows

`MINIGPT_CUDA_SIMULATOR=1` makes the `cuda` row run on it. It is thousands of times slower than a card.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from .errors import DeviceError

WARP = 32
NAME = "simulator"


class Index(NamedTuple):
    """threadIdx, blockIdx, blockDim, gridDim"""

    x: int
    y: int
    z: int


class Memory:
    """A flat array as kernels see it: checked, and noting who reads and writes what if a trace is wanted."""

    def __init__(self, array: np.ndarray, name: str = ""):
        self.array, self.name = array, name
        self.address = array.__array_interface__["data"][0]  # in bytes

    def _use(self, kind, i):
        if not 0 <= i < len(self.array):
            raise IndexError(f"{kind} of element {i} of {self.name or 'an array'}, which has {len(self.array)}")
        if cuda.trace is not None:
            place = (cuda.blockIdx, cuda.threadIdx, cuda.phase, cuda.part)
            cuda.trace.append(Access(kind, self.name, int(i), self.array.itemsize, *place))

    def __getitem__(self, i):
        self._use("read", i)
        return self.array[i]

    def __setitem__(self, i, value):
        self._use("write", i)
        self.array[i] = value

    def __len__(self):
        return len(self.array)


class Access(NamedTuple):
    """One load or store. phase: how many barriers the thread has passed; part: 0 to 3 of an access of 128 bits."""

    kind: str
    array: str
    index: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int  # of the element
    block: Index
    thread: Index
    phase: int
    part: int


def poisoned(size: int, dtype) -> np.ndarray:
    """Memory as a careless program finds it: NaN, or numbers that are surely wrong."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return np.full(size, np.nan, dtype)
    return np.full(size, True if dtype.kind == "b" else np.iinfo(dtype).max, dtype)


class _Arrays:
    """cuda.shared and cuda.local: `array(size, dtype, alignment)`; accesses of 128 bits need an alignment of 16."""

    def __init__(self, shared: bool):
        self.shared = shared

    def array(self, size, dtype, alignment=None):
        if not self.shared:
            return Memory(poisoned(size, dtype), "local")
        thread = cuda.thread
        number = thread.shared_arrays  # the n-th array of one thread is the n-th of all
        thread.shared_arrays += 1
        arrays = thread.block.shared
        if number == len(arrays):
            memory, step = Memory(poisoned(size, dtype), f"shared {number}"), alignment or np.dtype(dtype).itemsize
            end = arrays[-1].address + arrays[-1].array.nbytes if arrays else 0
            memory.address = -(-end // step) * step  # one array after the other, as on a card
            arrays.append(memory)
        return arrays[number]


class Cuda:
    """What kernels call `cuda`, as numba.cuda has it. The attributes are those of the thread that runs now."""

    def __init__(self):
        self.shared, self.local = _Arrays(True), _Arrays(False)
        self.thread: Any = None
        self.trace: list[Access] | None = None
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
        self.shared: list[Memory] = []
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


# --- what numba_cuda.py has too -------------------------------------------------------------------------------


def build(kernel):
    """Nothing to compile."""
    return device_function(kernel.function)


def launch(function, grid, block, arguments, names=()):
    """Run all blocks, one after the other."""
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


def _check_aligned(x, i):
    if (x.address + int(i) * x.array.itemsize) % 16:
        raise DeviceError(
            f"an access of 128 bits at element {i} of {x.name or 'an array'}, which is not at a multiple of 16 bytes"
        )


def _parts():
    """0, 1, 2, 3; a trace shows that they belong together."""
    try:
        for cuda.part in range(4):
            yield cuda.part
    finally:
        cuda.part = 0


def load4(x, i):
    """x[i], …, x[i + 3]: on a card one access of 128 bits; i divisible by 4."""
    _check_aligned(x, i)
    return tuple([x[i + k] for k in _parts()])


def store4(x, i, a, b, c, d):
    """x[i], …, x[i + 3] = a, b, c, d: on a card one access of 128 bits; i divisible by 4."""
    _check_aligned(x, i)
    for k, value in zip(_parts(), (a, b, c, d), strict=True):
        x[i + k] = value


def allocate(nbytes: int):
    """Memory of the card, as bytes."""
    return np.full(nbytes, 0xFF, np.uint8)  # as float32 that is NaN


def copy_in(target, host: np.ndarray) -> None:
    """Host array -> memory of the card, both flat and of one type."""
    target[:] = host


def copy_out(source) -> np.ndarray:
    """Memory of the card -> a new flat host array; waits for the card."""
    return source.copy()


def synchronize() -> None:
    """Wait until the card has done all it was told."""


def free_bytes() -> int:
    """Memory of the card that is free."""
    return 1 << 40


def card_name() -> str:
    return "simulated card"
