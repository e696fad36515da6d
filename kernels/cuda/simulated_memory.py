"""The memory of the simulated card: what a kernel may read and write where, and the accesses noted for a trace."""

from __future__ import annotations

import bisect
import weakref
from typing import NamedTuple

import numpy as np

from .errors import DeviceError
from .simulated_threads import Index, cuda


class Memory:
    """A flat array as kernels see it: checked, and noting who reads and writes what if a trace is wanted."""

    def __init__(self, array: np.ndarray, name: str = "", in_fours: bool = True):
        self.array, self.name = array, name
        self.in_fours = in_fours  # whether it surely begins at a multiple of 16 bytes, or says where it begins
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
            step = alignment or np.dtype(dtype).itemsize
            memory = Memory(poisoned(size, dtype), f"shared {number}", in_fours=step % 16 == 0)
            end = arrays[-1].address + arrays[-1].array.nbytes if arrays else 0
            memory.address = -(-end // step) * step  # one array after the other, as on a card
            arrays.append(memory)
        return arrays[number]


cuda.shared, cuda.local = _Arrays(True), _Arrays(False)


# --- 128-bit access -------------------------------------------------------------------------------------------


def _check_aligned(x, i):
    if not x.in_fours:
        raise DeviceError(
            f"an access of 128 bits in {x.name}, which may begin anywhere: "
            "ask for it with cuda.shared.array(size, dtype, alignment=16)"
        )
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


# --- memory that outlives kernels, and addresses in it --------------------------------------------------------

_STARTS: list[int] = []  # addresses of all pieces of memory, rising
_PIECES: dict[int, weakref.ref] = {}  # address -> the piece, as bytes


def new_piece(nbytes: int) -> np.ndarray:
    """Memory of the card, as bytes."""
    piece = np.full(nbytes, 0xFF, np.uint8)  # as float32 that is NaN
    start = address_of(piece)
    bisect.insort(_STARTS, start)
    _PIECES[start] = weakref.ref(piece, lambda _: _forget(start))
    return piece


def _forget(start: int):
    _STARTS.remove(start)
    del _PIECES[start]


def address_of(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def floats_at(address, n):
    """The n float32 from an address on, as an array that kernels use like any other."""
    start = _STARTS[place] if (place := bisect.bisect_right(_STARTS, int(address)) - 1) >= 0 else 0
    piece, offset = _PIECES[start]() if start in _PIECES else None, int(address) - start
    if piece is None or offset + 4 * int(n) > piece.size:
        raise DeviceError(f"a kernel looks for {n} float32 at address {int(address)}, where no such memory lies")
    return Memory(piece[offset : offset + 4 * int(n)].view(np.float32), "memory found by its address")


# --- page-locked memory of the host ---------------------------------------------------------------------------

_SENT: list[tuple] = []  # (target, page-locked memory) that the card has been told to copy and has not yet


class PageLocked:
    """Memory of the host that the card reads by itself. Here it does so as late as it may."""

    def __init__(self, nbytes: int):
        self.bytes = np.full(nbytes, 0xFF, np.uint8)

    def send(self, target) -> None:
        """Tell the card to copy the first bytes into a flat array of its own, and do not wait."""
        _SENT.append((target, self))

    def busy(self) -> bool:
        """Whether the card may still have to read what was sent last."""
        return any(source is self for _, source in _SENT)

    def wait(self) -> None:
        """Until it has been read."""
        if self.busy():
            catch_up()


def catch_up():
    """The card does what it was told before."""
    for target, source in _SENT:
        target[:] = source.bytes[: target.nbytes].view(target.dtype)
    _SENT.clear()
