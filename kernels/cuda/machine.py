"""The card that kernels run on: a real one through numba-cuda, or the simulator; both offer the same few functions.

A kernel is written once, for one thread, on flat arrays:

    @kernel(threads=256)
    def scale(x: Floats, factor: Float, y: Floats, n: Count):
        i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
        while i < n:
            y[i] = x[i] * factor
            i += step

    scale(blocks(n, 256), 256, x, 2.0, y, n)

A loop counts in unsigned numbers of 32 bits, since `range` over the grid counts in 64 and divides to find out how often
it goes round: 308 instructions to fill an array, where this form takes 25. Mixed with signed numbers unsigned ones may
become float64, at which a card is slow; the tests that compile the kernels find it.

The annotations are what it is compiled for, and what it is compiled for in the tests without a card. Kernels are
compiled when they are first launched. A kernel with tile sizes is made by a function that takes them (see matmul.py).

Settings in the environment:
    MINIGPT_CUDA_SIMULATOR=1   run on the simulator (simulator.py)
    MINIGPT_CUDA_DEBUG=1       wait after every launch, so that a fault is reported with the kernel that made it
"""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .errors import DeviceError

SIMULATED = os.environ.get("MINIGPT_CUDA_SIMULATOR") == "1"
DEBUG = os.environ.get("MINIGPT_CUDA_DEBUG") == "1"

if SIMULATED:
    from . import simulated_time as clock
    from . import simulator as card
else:
    from . import numba_cuda as card  # type: ignore[no-redef]

    clock = card

cuda = card.cuda
load4, store4, floats_at = card.load4, card.store4, card.floats_at
device_function = card.device_function
copy_out, synchronize, free_bytes, card_name = card.copy_out, card.synchronize, card.free_bytes, card.card_name
Stopwatch, copy_within, l2_bytes = clock.Stopwatch, clock.copy_within, clock.l2_bytes


class Kind(NamedTuple):
    """What a kernel takes at one place: a number, or a flat array of them."""

    dtype: str
    array: bool


if TYPE_CHECKING:  # for people and editors: numbers, and things with an index
    from typing import Any as Bytes
    from typing import Any as Count
    from typing import Any as Counts
    from typing import Any as Flag
    from typing import Any as Float
    from typing import Any as Floats
    from typing import Any as Ids
    from typing import Any as Int
    from typing import Any as Ints
    from typing import Any as Key
else:
    Count, Int, Key, Float, Flag = (Kind(name, False) for name in ("uint32", "int32", "uint64", "float32", "boolean"))
    Floats, Ids, Ints, Bytes, Counts = (Kind(name, True) for name in ("float32", "int64", "int32", "uint8", "uint32"))

_NUMBERS: dict[str, Any] = {
    "uint32": np.uint32, "int32": np.int32, "uint64": np.uint64, "float32": np.float32, "boolean": bool,
}  # fmt: skip

KERNELS: list[Kernel] = []  # all that were made, for the tests that compile them


class Kernel:
    """A function for one thread, with the most threads a block may have; called with grid, block and arguments."""

    def __init__(self, function, threads: int, registers: int, resident: int | None, exact: bool):
        self.function, self.threads, self.registers, self.resident = function, threads, registers, resident
        self.exact = exact
        self.name = function.__name__
        self.kinds: dict[str, Kind] = {name: p.annotation for name, p in inspect.signature(function).parameters.items()}
        self._built: Any = None
        KERNELS.append(self)

    def __call__(self, grid, block, *arguments):
        grid, block = _three(grid), _three(block)
        if 0 in grid:
            return  # nothing to do; a card refuses such a launch
        if len(arguments) != len(self.kinds):
            raise TypeError(f"kernel {self.name} takes {', '.join(self.kinds)}; got {len(arguments)} arguments")
        if self._built is None:
            self._built = card.build(self)
        kinds = self.kinds.values()
        given = [a if kind.array else _NUMBERS[kind.dtype](a) for a, kind in zip(arguments, kinds, strict=True)]
        if SIMULATED:
            self._check(block, given)
        card.launch(self._built, grid, block, given, self.kinds)
        if DEBUG:
            try:
                synchronize()
            except DeviceError as error:
                raise DeviceError(
                    f"kernel {self.name}, grid {grid}, block {block}: {error.__cause__ or error}"
                ) from error

    def _check(self, block, arguments):
        """What a compiled kernel would refuse, or worse, would not."""
        if block[0] * block[1] * block[2] > self.threads:
            raise DeviceError(f"kernel {self.name} is made for {self.threads} threads a block, got {block}")
        for (name, kind), a in zip(self.kinds.items(), arguments, strict=True):
            if kind.array and (not isinstance(a, np.ndarray) or a.ndim != 1 or a.dtype != kind.dtype):
                raise TypeError(f"kernel {self.name}: {name} must be a flat array of {kind.dtype}, got {a!r}")


def kernel(threads: int, registers: int = 128, resident: int | None = None, exact: bool = False):
    """Make a Kernel. threads: the most a block may have; registers: the most a thread may use, which tests check.

    resident: how many blocks shall find registers in a multiprocessor at once; the compiler chooses if it is not told.
    exact: the compiler may not take for granted that there is no NaN and no Inf, nor reckon in another order.
    """
    return lambda function: Kernel(function, threads, registers, resident, exact)


def _three(size) -> tuple[int, int, int]:
    size = size if isinstance(size, tuple) else (size,)
    return (*size, 1, 1)[:3]


def blocks(n: int, threads: int, most: int = 1024) -> int:
    """Blocks for n elements in a loop over the grid; more than `most` would only cost."""
    return min(-(-n // threads), most)


# --- memory -----------------------------------------------------------------------------------------------------


class Pool:
    """Memory of the card that is used again: what is given back is handed out anew, in the order of one stream.

    held: bytes of all blocks, free or not
    """

    def __init__(self):
        self._free: dict[int, list[Block]] = {}
        self.held = 0

    def take(self, nbytes: int) -> Lease:
        nbytes = max(256, -(-nbytes // 256) * 256)
        waiting = self._free.get(nbytes)
        if waiting:
            return Lease(waiting.pop(), self._free)
        try:
            block = Block(nbytes)
        except DeviceError:
            self.give_back()
            block = Block(nbytes)  # again, now that what lay here unused is free
        self.held += nbytes
        return Lease(block, self._free)

    def give_back(self):
        """Return all blocks that nobody uses to the card."""
        for nbytes, waiting in self._free.items():
            self.held -= nbytes * len(waiting)
            waiting.clear()


class Block:
    """A piece of the card's memory, and flat arrays of each type that look at it."""

    def __init__(self, nbytes: int):
        self.nbytes = nbytes
        self.bytes = card.allocate(nbytes)
        self.address = card.address_of(self.bytes)
        self._views: dict[np.dtype, Any] = {}

    def view(self, dtype):
        """All of it as a flat array of a type."""
        if dtype not in self._views:
            self._views[dtype] = self.bytes.view(dtype)
        return self._views[dtype]


class Lease:
    """A block on loan; it goes back when the last array on it disappears."""

    __slots__ = ("__weakref__", "block", "home")

    def __init__(self, block: Block, home: dict):
        self.block, self.home = block, home

    def __del__(self):
        if hasattr(self, "block"):
            self.home.setdefault(self.block.nbytes, []).append(self.block)


POOL = Pool()


class Staging:
    """The way to the card for what a step brings along: ids, and tables of addresses.

    From ordinary memory, the driver has the host wait until the card has done all before it and the copy. Page-locked
    memory the card reads by itself. So an array is first copied into a piece of that, and the piece is not written
    again before the card has read it.
    """

    LARGEST = 1 << 22  # bytes; more, such as weights, comes once and may wait
    PIECES = 8  # of a size; so many copies may be under way

    def __init__(self):
        self._pieces: dict[int, list] = {}  # size -> pieces, the one that was sent longest ago first

    def copy_in(self, target, host: np.ndarray) -> None:
        """Host array -> memory of the card, both flat and of one type. The host array may change at once."""
        if host.nbytes > self.LARGEST:
            return card.copy_in(target, host)
        size = max(4096, 1 << (host.nbytes - 1).bit_length())
        pieces = self._pieces.setdefault(size, [])
        if len(pieces) < self.PIECES and (not pieces or pieces[0].busy()):
            pieces.insert(0, card.PageLocked(size))
        piece = pieces.pop(0)
        piece.wait()
        pieces.append(piece)
        piece.bytes[: host.nbytes] = host.view(np.uint8)
        piece.send(target)


copy_in = Staging().copy_in
