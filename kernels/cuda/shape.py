"""The same elements in another arrangement, and pieces of arrays. Formulas: kernels/reference/shape.py.

Most of these only look at the same memory with other strides; what must be copied is copied by device.copy_into.
"""

from math import prod

import numpy as np

from .device import DeviceArray, assign, astype, broadcast_view, contiguous, copy_into, empty, full, view_of
from .errors import DeviceError


def reshape(x, shape):
    """A view if x lies in one piece, else a copy; one length may be -1."""
    shape = shape if isinstance(shape, tuple | list) else (shape,)
    known = prod(n for n in shape if n != -1)
    lengths = tuple(x.size // max(known, 1) if n == -1 else n for n in shape)
    if list(shape).count(-1) > 1 or prod(lengths) != x.size:
        raise ValueError(f"cannot reshape an array of shape {x.shape} into shape {tuple(shape)}")
    x = contiguous(x)
    return DeviceArray(x.lease, x.dtype, lengths, None, x.offset)


def permute(x, axes):
    return DeviceArray(x.lease, x.dtype, [x.shape[i] for i in axes], [x.strides[i] for i in axes], x.offset)


def broadcast_to(x, shape):
    """Repeat along axes of length 1; a view."""
    shape = tuple(shape)
    if np.broadcast_shapes(x.shape, shape) != shape:
        raise ValueError(f"shape {x.shape} cannot be repeated to the smaller shape {shape}")
    return broadcast_view(x, shape)


def concatenate(arrays, axis):
    dtype = np.result_type(*(x.dtype for x in arrays))
    dtype = np.dtype(np.float32) if dtype == np.float64 else dtype  # what NumPy makes of int64 beside float32
    shape = list(arrays[0].shape)
    shape[axis] = sum(x.shape[axis] for x in arrays)
    out, start = empty(shape, dtype), 0
    for x in arrays:
        piece = view_of(out, (*(slice(None),) * axis, slice(start, start + x.shape[axis])))
        if piece.shape != x.shape:
            raise ValueError(f"all axes but {axis} must agree, got shapes {', '.join(str(a.shape) for a in arrays)}")
        copy_into(piece, astype(x, dtype))
        start += x.shape[axis]
    return out


def slice_forward(x, key):
    """x[key] for integers, slices, None and Ellipsis; a view."""
    _check_slices(key, x.shape)
    return view_of(x, key)


def slice_backward(dy, key, shape):
    dx = full(tuple(shape), 0, dy.dtype)
    _check_slices(key, dx.shape)
    assign(dx, key, dy)
    return dx


def _check_slices(key, shape):
    """Raise IndexError where NumPy does: on the card, an index outside would read other arrays."""
    parts = key if isinstance(key, tuple) else (key,)
    for part in parts:
        if not (part is None or part is Ellipsis or isinstance(part, slice | int | np.integer)):
            raise DeviceError(f"a slice is made of integers, slices, None and ...; got {type(part).__name__}")
    if parts.count(Ellipsis) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    taken = [part for part in parts if part is not None]
    if len(taken) - parts.count(Ellipsis) > len(shape):
        raise IndexError(f"too many indices: the array has {len(shape)} axes, {len(taken)} were indexed")
    before = taken[: taken.index(Ellipsis)] if Ellipsis in taken else taken
    after = taken[len(before) + 1 :]
    ends = shape[len(shape) - len(after) :]
    for part, n in [*zip(before, shape, strict=False), *zip(after, ends, strict=True)]:
        if not isinstance(part, slice) and not -n <= part < n:
            raise IndexError(f"index {part} is out of bounds for an axis of length {n}")
