"""The row's functions on arrays as such: making, moving, converting, writing into them. What they are: array.py."""

import numpy as np

from .array import DeviceArray, broadcast_view, contiguous, copied, copy_into, empty, is_contiguous, view_of
from .errors import DeviceError
from .machine import POOL, Bytes, Count, Float, Floats, Ids, blocks, copy_in, copy_out, cuda, floats_at, kernel


def is_array(x):
    return isinstance(x, DeviceArray)


def from_host(x):
    """NumPy array -> array on the card."""
    if isinstance(x, DeviceArray):
        return x
    out = empty(x.shape, x.dtype)
    if x.size:
        flat = np.ascontiguousarray(x).reshape(-1)
        copy_in(out.whole[: x.size], flat.view(np.uint8) if x.dtype == bool else flat)
    return out


def to_host(x):
    """Array on the card -> a new NumPy array; waits until it has been computed."""
    x = contiguous(x)
    host = copy_out(x.flat[: x.size])
    return host.view(x.dtype).reshape(x.shape)


def owns_memory(x):
    """Whether x has its memory to itself, rather than a part of another array's."""
    return x.offset == 0 and is_contiguous(x) and x.lease.block.nbytes < x.nbytes + 256


def shares_memory(a, b):
    """Whether the spans of a and b in memory overlap."""
    if a.lease.block is not b.lease.block or not a.size or not b.size:
        return False
    (a0, a1), (b0, b1) = _span(a), _span(b)
    return a0 < b1 and b0 < a1


def _span(x):
    """First byte, and the one after the last."""
    steps = [stride * (n - 1) for n, stride in zip(x.shape, x.strides, strict=True)]
    low = x.offset + sum(step for step in steps if step < 0)
    high = x.offset + sum(step for step in steps if step > 0) + 1
    return low * x.dtype.itemsize, high * x.dtype.itemsize


class arena:
    """A context, as the trainer opens one; memory is used again inside and outside. `held`: bytes of the pool."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    @property
    def held(self):
        return POOL.held


def copy(x):
    return copied(x)


# --- making, converting, writing --------------------------------------------------------------------------------


@kernel(threads=256)
def fill_floats(y: Floats, value: Float, n: Count):
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        y[i] = value
        i += step


def zeros(shape, dtype):
    shape = shape if isinstance(shape, tuple) else (shape,)
    if np.dtype(dtype) == np.float32:
        return full(shape, 0.0, dtype)
    return from_host(np.zeros(shape, dtype))


def full(shape, value, dtype):
    if np.dtype(dtype) != np.float32:
        return from_host(np.full(shape, value, dtype))
    out = empty(shape, dtype)
    fill_floats(blocks(out.size, 256), 256, out.whole, value, out.size)
    return out


@kernel(threads=256)
def ids_to_floats(x: Ids, y: Floats, n: Count):
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        y[i] = x[i]
        i += step


@kernel(threads=256)
def bytes_to_floats(x: Bytes, y: Floats, n: Count):
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        y[i] = x[i]
        i += step


_TO_FLOATS = {"int64": ids_to_floats, "bool": bytes_to_floats, "uint8": bytes_to_floats}


def astype(x, dtype):
    """x in another type, x itself if it has that type. Between integers it goes through the host, which is rare."""
    dtype = np.dtype(dtype)
    if x.dtype == dtype:
        return x
    if dtype == np.float32 and x.dtype.name in _TO_FLOATS:
        x, out = contiguous(x), empty(x.shape, dtype)
        _TO_FLOATS[x.dtype.name](blocks(x.size, 256), 256, x.flat, out.whole, x.size)
        return out
    return from_host(to_host(x).astype(dtype))


def assign(out, key, value):
    """out[key] = value, in place, for slices and integers."""
    target = view_of(out, key)
    value = value if isinstance(value, DeviceArray) else from_host(np.asarray(value, out.dtype))
    value = astype(value, out.dtype)
    if shares_memory(target, value):
        value = copy(value)
    extra = target.ndim - value.ndim
    fits = extra >= 0 and all(n in (1, m) for n, m in zip(value.shape, target.shape[extra:], strict=True))
    if not fits:
        raise ValueError(f"shapes {value.shape} and {target.shape} do not broadcast")
    copy_into(target, broadcast_view(value, target.shape))


@kernel(threads=256)
def add_floats_into(y: Floats, x: Floats, n: Count):
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        y[i] += x[i]
        i += step


def add_into(out, x):
    """out += x, in place."""
    add_floats_into(blocks(out.size, 256), 256, out.flat, contiguous(x).flat, out.size)


# --- single numbers ---------------------------------------------------------------------------------------------


def addresses(arrays):
    """Where arrays of one float32 each lie, as an array on the card."""
    for x in arrays:
        if not isinstance(x, DeviceArray) or x.dtype != np.float32 or x.size != 1:
            raise DeviceError(f"a single float32 on the card was expected, not {x!r}")
    return from_host(np.array([x.address for x in arrays], np.int64))


@kernel(threads=32)
def collect(places: Ids, y: Floats, n: Count):
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        y[i] = floats_at(places[i], 1)[0]
        i += step


def fetch(numbers):
    """Arrays of one number each -> Python floats, in one copy."""
    numbers = list(numbers)
    if not numbers:
        return []
    out, places = empty((len(numbers),)), addresses(numbers)
    collect(blocks(out.size, 32), 32, places.flat, out.flat, out.size)
    return to_host(out).tolist()
