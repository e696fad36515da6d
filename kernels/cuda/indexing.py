"""Indexing by arrays of integers: gather, and its transpose scatter_add. Formulas: kernels/reference/shape.py.

    gather        y[o, j] = x[o, ids[j]]          x (outer, V, inner), ids (M,) -> y (outer, M, inner)
    scatter_add   dx[o, ids[j]] += dy[o, j]

Keys that hold one array of integers, several side by side, or one of booleans, are turned into this form; the other
parts must be `:`. Indices count from the end if negative. One that lies outside is an IndexError if it is on the host;
ids on the card are not looked at, which would stall it: gather then gives NaN (or the integer -1), scatter_add nothing.

Who adds up what is fixed, so that sums are the same bits every time: the warp of the first j that names a place walks
through all that follow, 32 ids at a glance, and adds those that name the same one.
"""

from math import prod
from typing import NamedTuple

import numpy as np

from .device import DeviceArray, astype, contiguous, empty, from_host, full, to_host
from .errors import DeviceError
from .machine import Bytes, Count, Counts, Floats, Ids, blocks, cuda, kernel
from .warp import ALL, LANES, warp_max

WARPS = 8  # in a block
PIECE = 4 * LANES  # elements of a place that one warp adds up


def _gather(Array, name, nothing):
    """The kernel for elements of one size; floats are copied as numbers of 32 bits. nothing: for ids outside."""

    @kernel(threads=256, registers=64)
    def gather_elements(x: Array, ids: Ids, y: Array, V: Count, M: Count, inner: Count, n: Count):
        i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
        while i < n:
            c, rest = i % inner, i // inner
            place, outer = ids[rest % M], rest // M
            if place < 0:
                place += V
            if 0 <= place < V:
                y[i] = x[(outer * V + np.uint32(place)) * inner + c]
            else:
                y[i] = nothing
            i += step

    gather_elements.name = name
    return gather_elements


_GATHER = {
    1: (np.uint8, _gather(Bytes, "gather_1", np.uint8(0))),
    4: (np.uint32, _gather(Counts, "gather_4", np.uint32(0xFFFFFFFF))),  # as float32 NaN
    8: (np.int64, _gather(Ids, "gather_8", np.int64(-1))),
}


# unsigned, as all that they are added to: numba makes floats of sums of signed and unsigned numbers
LANE, TWO, THREE, NEXT = (np.uint32(n) for n in (LANES, 2 * LANES, 3 * LANES, PIECE))


@kernel(threads=WARPS * LANES, registers=64)
def scatter_add_places(dy: Floats, ids: Ids, dx: Floats, V: Count, M: Count, inner: Count, pieces: Count, n: Count):
    """A warp for each (outer, j, piece), n of them; dx begins as zeros."""
    i, lane = np.uint32(cuda.grid(1)) // LANE, np.uint32(cuda.threadIdx.x) % LANE
    if i < n:  # so for all lanes of a warp
        piece, rest = i % pieces, i // pieces
        j, outer = rest % M, rest // M
        place = ids[j]
        if place < 0:
            place += V
        first = 0 <= place < V
        start = np.uint32(0)
        while first and start < j:  # does an earlier one name the same place?
            k = start + lane
            same = np.int32(0)
            if k < j and (ids[k] == place or ids[k] + V == place):
                same = np.int32(1)
            first = warp_max(same) == 0
            start += LANE
        if first:
            c = piece * NEXT + lane
            s0, s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            start = j
            while start < M:
                k = start + lane
                same = np.int32(0)
                if k < M and (ids[k] == place or ids[k] + V == place):
                    same = np.int32(1)
                if warp_max(same) == 1:
                    for other in range(LANES):
                        if cuda.shfl_sync(ALL, same, other) == 1:
                            at = (outer * M + start + np.uint32(other)) * inner + c
                            if c < inner:
                                s0 += dy[at]
                            if c + LANE < inner:
                                s1 += dy[at + LANE]
                            if c + TWO < inner:
                                s2 += dy[at + TWO]
                            if c + THREE < inner:
                                s3 += dy[at + THREE]
                start += LANE
            at = (outer * V + np.uint32(place)) * inner + c
            if c < inner:
                dx[at] = s0
            if c + LANE < inner:
                dx[at + LANE] = s1
            if c + TWO < inner:
                dx[at + TWO] = s2
            if c + THREE < inner:
                dx[at + THREE] = s3


# --- the functions of the row -----------------------------------------------------------------------------------


def gather(x, key):
    plan = plan_of(key, x.shape)
    x, ids = contiguous(x), contiguous(plan.ids)
    y = empty(plan.result, x.dtype)
    word, kernel_for_size = _GATHER[x.dtype.itemsize]
    source, target = x.lease.block.view(np.dtype(word)), y.lease.block.view(np.dtype(word))
    source = source[x.offset :] if x.offset else source
    kernel_for_size(blocks(y.size, 256), 256, source, ids.flat, target, plan.V, plan.M, plan.inner, y.size)
    return y


def scatter_add(dy, key, shape):
    if dy.dtype != np.float32:
        raise DeviceError(f"the cuda row has scatter_add of float32 arrays only, not of {dy.dtype}")
    plan = plan_of(key, tuple(shape))
    dx, dy, ids = full(tuple(shape), 0, np.float32), contiguous(dy), contiguous(plan.ids)
    pieces = -(-plan.inner // PIECE)
    n = plan.outer * plan.M * pieces
    scatter_add_places(-(-n // WARPS), WARPS * LANES, dy.flat, ids.flat, dx.flat, plan.V, plan.M, plan.inner, pieces, n)
    return dx


class Plan(NamedTuple):
    """x seen as (outer, V, inner), M ids (on the card), and the shape of x[key]."""

    ids: DeviceArray
    outer: int
    V: int
    inner: int
    result: tuple[int, ...]

    @property
    def M(self):
        return self.ids.size


def plan_of(key, shape) -> Plan:
    """How x[key] is done for an x of this shape. Raises DeviceError for keys that the kernels have no form for."""
    parts = _whole_key(key, len(shape))
    places = [i for i, part in enumerate(parts) if not _is_all(part)]
    arrays = [parts[i] for i in places]
    masks = [part for part in arrays if getattr(part, "dtype", None) == np.bool_]
    integers = all(isinstance(part, int) or getattr(part, "dtype", np.dtype(object)).kind in "iub" for part in arrays)
    side_by_side = places == list(range(min(places, default=0), max(places, default=-1) + 1))
    if not arrays or not integers or not side_by_side or (masks and (len(arrays) > 1 or not masks[0].ndim)):
        raise DeviceError(
            "the cuda row indexes by one array of integers or of booleans, or by several of integers side by side, "
            f"the other parts being `:`; got {key!r}. Take the slices in a step of their own, or compute on another row"
        )
    first, taken = places[0], masks[0].ndim if masks else len(arrays)
    lengths = shape[first : first + taken]
    if len(parts) - len(arrays) + taken > len(shape):
        raise IndexError(f"too many indices: the array has {len(shape)} axes")
    ids = _from_mask(masks[0], lengths) if masks else _from_integers(arrays, lengths)
    before, after = shape[:first], shape[first + taken :]
    return Plan(ids, prod(before), prod(lengths), prod(after), (*before, *ids.shape, *after))


def _whole_key(key, ndim) -> list:
    """The parts of a key, lists as arrays and ... as so many `:`."""
    parts = list(key) if isinstance(key, tuple) else [key]
    parts = [np.asarray(part) if isinstance(part, list | bool | np.bool_) else part for part in parts]
    at = [i for i, part in enumerate(parts) if part is Ellipsis]
    if at:
        axes = sum(part.ndim if getattr(part, "dtype", None) == np.bool_ else 1 for part in parts) - 1
        parts[at[0] : at[0] + 1] = [slice(None)] * (ndim - axes)
    return parts


def _is_all(part) -> bool:
    return isinstance(part, slice) and part == slice(None)


def _from_mask(mask, lengths) -> DeviceArray:
    """Numbers of the places where the mask is True. How many there are must be known: a mask on the card is fetched."""
    if tuple(mask.shape) != lengths:
        raise IndexError(f"a mask of shape {tuple(mask.shape)} does not fit axes of lengths {lengths}")
    host = to_host(mask) if isinstance(mask, DeviceArray) else mask
    return from_host(np.flatnonzero(host).astype(np.int64))


def _from_integers(arrays, lengths) -> DeviceArray:
    """Numbers of the places that index arrays name; several arrays are joined on the host."""
    if len(arrays) == 1 and isinstance(arrays[0], DeviceArray):
        return astype(arrays[0], np.int64)
    hosts = [to_host(part) if isinstance(part, DeviceArray) else np.asarray(part) for part in arrays]
    for part, n in zip(hosts, lengths, strict=True):
        wrong = part[(part < -n) | (part >= n)]
        if wrong.size:
            raise IndexError(f"index {wrong.flat[0]} is out of bounds for an axis of length {n}")
    joined = np.ravel_multi_index(
        tuple(np.where(part < 0, part + n, part) for part, n in zip(hosts, lengths, strict=True)), lengths
    )
    return from_host(np.asarray(joined, np.int64))
