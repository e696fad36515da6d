"""What an array on the card is: a piece of memory and how to walk through it; views, and copies between layouts."""

from math import prod

import numpy as np

from .errors import DeviceError
from .machine import POOL, Bytes, Count, Counts, Ids, Int, Kernel, blocks, cuda, kernel

AXES = 6  # most axes that an array may have
DTYPES = ("float32", "int64", "int32", "bool", "uint8")


class DeviceArray:
    """An array on the card: a piece of memory, and how to walk through it. Strides count elements, not bytes.

    It has no arithmetic and no NumPy conversion: ops go through the row of kernels, Tensor.numpy() copies to the host.
    """

    __slots__ = ("__weakref__", "dtype", "lease", "offset", "shape", "strides")
    __array_ufunc__ = None

    def __init__(self, lease, dtype, shape, strides=None, offset=0):
        self.lease, self.dtype, self.offset = lease, np.dtype(dtype), offset
        self.shape = tuple(shape)
        self.strides = _contiguous_strides(self.shape) if strides is None else tuple(strides)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def address(self) -> int:
        """Where its first element lies in the card's memory, for kernels that find arrays in a table."""
        return self.lease.block.address + self.offset * self.dtype.itemsize

    @property
    def whole(self):
        """All of the memory that it lies in, flat, as kernels take it: what the offset and the strides count in."""
        return self.lease.block.view(np.dtype(np.uint8) if self.dtype == bool else self.dtype)

    @property
    def flat(self):
        """Its elements as a flat array, which may be longer; it must be contiguous. Kernels are told how many count."""
        if not is_contiguous(self):
            raise DeviceError(f"an array of shape {self.shape} and strides {self.strides} is not in one piece")
        return self.whole if self.offset == 0 else self.whole[self.offset : self.offset + self.size]

    def __array__(self, *args, **kwargs):
        raise TypeError("this array lies on the card: use tensor.numpy(), or the row's to_host(x), to copy it")

    def __repr__(self):
        return f"<DeviceArray {self.dtype} {self.shape} on the card>"


def _contiguous_strides(shape):
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def is_contiguous(x: DeviceArray) -> bool:
    """Whether x's elements lie one after the other; an axis of length 1 may have any stride."""
    wanted = _contiguous_strides(x.shape)
    return x.size == 0 or all(n == 1 or a == b for n, a, b in zip(x.shape, x.strides, wanted, strict=True))


def empty(shape, dtype=np.float32) -> DeviceArray:
    """An array with arbitrary content."""
    dtype = np.dtype(dtype)
    if dtype.name not in DTYPES:
        raise DeviceError(f"the cuda row has arrays of {', '.join(DTYPES)}, not {dtype}; float64 is on numpy and cpu")
    return DeviceArray(POOL.take(prod(shape) * dtype.itemsize), dtype, shape)


# --- views ------------------------------------------------------------------------------------------------------


def broadcast_view(x, shape):
    """x repeated along axes of length 1, without a copy: those get the stride 0."""
    extra = len(shape) - x.ndim
    steps = [0 if n == 1 else stride for n, stride in zip(x.shape, x.strides, strict=True)]
    return DeviceArray(x.lease, x.dtype, shape, (*(0,) * extra, *steps), x.offset)


def view_of(x, key):
    """x[key] for slices, integers, None and ..., as a view."""
    parts = list(key) if isinstance(key, tuple) else [key]
    given = sum(part is not None and part is not Ellipsis for part in parts)
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    at = parts.index(Ellipsis)
    parts[at : at + 1] = [slice(None)] * (x.ndim - given)
    offset, shape, strides, axis = x.offset, [], [], 0
    for part in parts:
        if part is None:
            shape.append(1)
            strides.append(0)
            continue
        n, stride = x.shape[axis], x.strides[axis]
        axis += 1
        if isinstance(part, slice):
            start, stop, step = part.indices(n)
            count = len(range(start, stop, step))
            offset += start * stride if count else 0
            shape.append(count)
            strides.append(step * stride)
        else:
            if not -n <= part < n:
                raise IndexError(f"index {part} is out of bounds for axis {axis - 1} with size {n}")
            offset += (int(part) + n if part < 0 else int(part)) * stride
    return DeviceArray(x.lease, x.dtype, shape, strides, offset)


# --- copying between any two layouts ----------------------------------------------------------------------------


def _strided_copy(Array, name):
    """The kernel for elements of one size; floats are copied as numbers of 32 bits."""

    @kernel(threads=256)
    def strided_copy(
        x: Array, x0: Int, xs0: Int, xs1: Int, xs2: Int, xs3: Int, xs4: Int, xs5: Int,
        y: Array, y0: Int, ys0: Int, ys1: Int, ys2: Int, ys3: Int, ys4: Int, ys5: Int,
        n1: Count, n2: Count, n3: Count, n4: Count, n5: Count, n: Count,
    ):  # fmt: skip
        i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
        while i < n:
            rest = i  # number of the element, taken apart from the last axis on
            i5 = np.int32(rest % n5)
            rest = rest // n5
            i4 = np.int32(rest % n4)
            rest = rest // n4
            i3 = np.int32(rest % n3)
            rest = rest // n3
            i2 = np.int32(rest % n2)
            rest = rest // n2
            i1 = np.int32(rest % n1)
            i0 = np.int32(rest // n1)
            source = x0 + i0 * xs0 + i1 * xs1 + i2 * xs2 + i3 * xs3 + i4 * xs4 + i5 * xs5
            target = y0 + i0 * ys0 + i1 * ys1 + i2 * ys2 + i3 * ys3 + i4 * ys4 + i5 * ys5
            y[target] = x[source]
            i += step

    strided_copy.name = name
    return strided_copy


_COPY: dict[int, tuple[type, Kernel]] = {
    1: (np.uint8, _strided_copy(Bytes, "strided_copy_1")),
    4: (np.uint32, _strided_copy(Counts, "strided_copy_4")),
    8: (np.int64, _strided_copy(Ids, "strided_copy_8")),
}


def copy_into(out, x):
    """out[...] = x, element by element, for views of any layout; shapes and types must be equal."""
    if out.ndim > AXES:
        raise DeviceError(f"arrays of more than {AXES} axes are not copied on the card; got shape {out.shape}")
    word, copier = _COPY[x.dtype.itemsize]
    missing = AXES - out.ndim
    lengths = (1,) * missing + out.shape
    ends = [(a.lease.block.view(np.dtype(word)), a.offset, *(0,) * missing, *a.strides) for a in (x, out)]
    copier(blocks(out.size, 256), 256, *ends[0], *ends[1], *lengths[1:], out.size)


def contiguous(x):
    """x itself if it lies in one piece, else a copy."""
    return x if is_contiguous(x) else copied(x)


def copied(x):
    """x in memory of its own, in one piece."""
    out = empty(x.shape, x.dtype)
    copy_into(out, x)
    return out
