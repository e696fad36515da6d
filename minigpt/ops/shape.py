"""The same elements in another arrangement, pieces of arrays, and arrays joined."""

from __future__ import annotations

from math import prod
from typing import NoReturn

import numpy as np

from ..errors import ArgumentError, ShapeError
from .axes import BY_RANK, named
from .broadcast import broadcast_shape, normalize_axis, unbroadcast
from .op import Op


class Reshape(Op):
    """y = the elements of x, in the same order, in another shape;  dx = dy in x's shape"""

    view = True

    @staticmethod
    def forward(ctx, x, shape):
        ctx.shape = x.shape
        known = prod(n for n in shape if n != -1)
        fits = list(shape).count(-1) <= 1 and min(shape, default=1) >= -1
        if -1 in shape:
            fits = fits and known > 0 and prod(x.shape) % known == 0
        else:
            fits = fits and prod(x.shape) == known
        if not fits:
            raise ShapeError(
                f"reshape: {prod(x.shape)} elements of shape {named(x.shape)} do not fit into shape {shape}"
                + (f", which holds {known}" if -1 not in shape else "; one axis may be -1, the others must divide")
                + _one_axis(prod(x.shape), shape)
            )
        return ctx.row.reshape(x, shape)

    @staticmethod
    def backward(ctx, dy):
        return ctx.row.reshape(dy, ctx.shape)


def _one_axis(size, shape) -> str:
    """Which axis must have another length, if exactly one can be blamed."""
    if min(shape, default=0) < 1:
        return ""
    others = [prod(shape) // n for n in shape]
    fits = [k for k, rest in enumerate(others) if size and size % rest == 0]
    return f"; axis {fits[0]} would have to be {size // others[fits[0]]}" if len(fits) == 1 else ""


class Transpose(Op):
    """y[i_axes[0], i_axes[1], …] = x[i_0, i_1, …];  dx: the inverse permutation of dy"""

    view = True

    @staticmethod
    def forward(ctx, x, axes):
        axes = tuple(normalize_axis("transpose", a, x.ndim) for a in axes)
        if sorted(axes) != list(range(x.ndim)):
            raise ShapeError(
                f"transpose: axes {axes} must name each of the {x.ndim} axes of shape {x.shape} once; "
                "to swap two axes only, use .swapaxes(a, b)"
            )
        ctx.inverse = tuple(int(i) for i in np.argsort(axes))
        return ctx.row.permute(x, axes)

    @staticmethod
    def backward(ctx, dy):
        return ctx.row.permute(dy, ctx.inverse)


class BroadcastTo(Op):
    """y = x repeated along axes of length 1;  dx = dy summed over those axes"""

    view = True

    @staticmethod
    def forward(ctx, x, shape):
        if broadcast_shape("broadcast_to", x.shape, shape) != tuple(shape):
            raise ShapeError(f"broadcast_to: shape {x.shape} cannot be repeated to the smaller shape {tuple(shape)}")
        ctx.shape = x.shape
        return ctx.row.broadcast_to(x, shape)

    @staticmethod
    def backward(ctx, dy):
        return unbroadcast(ctx.row, dy, ctx.shape)


class Slice(Op):
    """y = x[key] for integers, slices, None and Ellipsis;  dx[key] = dy, else 0"""

    view = True

    @staticmethod
    def forward(ctx, x, key):
        ctx.key, ctx.shape = key, x.shape
        return _indexed(ctx.row.slice_forward, x, key)

    @staticmethod
    def backward(ctx, dy):
        return ctx.row.slice_backward(dy, ctx.key, ctx.shape)


class Gather(Op):
    """y = x[key] where key holds integer or boolean arrays;  dx[key] += dy, repeated places add up"""

    @staticmethod
    def forward(ctx, x, key):
        ctx.key, ctx.shape = key, x.shape
        return _indexed(ctx.row.gather, x, key)

    @staticmethod
    def backward(ctx, dy):
        return ctx.row.scatter_add(dy, ctx.key, ctx.shape)


class Concatenate(Op):
    """y = the inputs one after another along `axis`;  each dx = its piece of dy"""

    @staticmethod
    def forward(ctx, *arrays, axis=0):
        if not arrays:
            raise ArgumentError("concatenate needs at least one array, got none")
        first = arrays[0].shape
        if not first:
            raise ShapeError("concatenate: a single number (shape ()) has no axis to join along; use mg.stack")
        ctx.axis = normalize_axis("concatenate", axis, len(first))
        for i, a in enumerate(arrays):
            others_differ = [n for j, n in enumerate(a.shape) if j != ctx.axis] != [
                n for j, n in enumerate(first) if j != ctx.axis
            ]
            if len(a.shape) != len(first) or others_differ:
                _refuse_concatenate(first, a.shape, i, ctx.axis)
        ctx.lengths = [a.shape[ctx.axis] for a in arrays]
        return ctx.row.concatenate(arrays, ctx.axis)

    @staticmethod
    def backward(ctx, dy):
        pieces, start = [], 0
        for length in ctx.lengths:
            key = (slice(None),) * ctx.axis + (slice(start, start + length),)
            pieces.append(ctx.row.slice_forward(dy, key))
            start += length
        return tuple(pieces)


def _refuse_concatenate(first, other, i, axis) -> NoReturn:
    """The ShapeError for arrays that cannot be joined, with the axis along which they could, if there is one."""
    names = BY_RANK.get(len(first), "").split() or [f"axis {k}" for k in range(len(first))]
    differ = [k for k, (n, m) in enumerate(zip(first, other, strict=False)) if n != m]
    told = f"they have {len(first)} and {len(other)} axes" if len(first) != len(other) else ", ".join(
        f"{names[k]} is {first[k]} and {other[k]}" for k in differ if k != axis
    )  # fmt: skip
    hint = f"; along axis {differ[0]} they fit" if len(first) == len(other) and len(differ) == 1 else ""
    raise ShapeError(
        f"concatenate along axis {axis}: array 0 has shape {named(first)}, array {i} has {named(other)}: {told}; all "
        f"axes but axis {axis} must agree{hint}"
    )


def _indexed(function, x, key):
    try:
        return function(x, key)
    except IndexError as error:
        raise ShapeError(f"index [{_shown(key)}] does not fit an array of shape {named(x.shape)}: {error}") from None


def _shown(key) -> str:
    """An index as one writes it: (slice(None), 9) -> ":, 9"; arrays by their shape."""
    if isinstance(key, tuple):
        return ", ".join(map(_shown, key))
    if isinstance(key, slice):
        ends = [*(("" if end is None else str(end)) for end in (key.start, key.stop))]
        return ":".join(ends if key.step is None else [*ends, str(key.step)])
    return f"{key.dtype} {key.shape}" if hasattr(key, "shape") and key.shape else "..." if key is ... else str(key)


def is_advanced(key) -> bool:
    """Whether an index needs Gather: it holds an array, a list or a boolean, not only integers, slices and None."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(part, np.ndarray | list | bool | np.bool_) or hasattr(part, "__cuda_array_interface__")
               for part in parts)  # fmt: skip


def check_index(name: str, key, shape: tuple[int, ...]):
    """Raise a ShapeError that says what is wrong with x[key], or ArgumentError for a key of the wrong type."""
    parts = key if isinstance(key, tuple) else (key,)
    for part in parts:
        fits = (
            part is None
            or part is Ellipsis
            or isinstance(part, slice | int | np.integer | list | np.ndarray | np.bool_)
        )
        if not (fits or hasattr(part, "__cuda_array_interface__")):
            raise ArgumentError(
                f"{name}: an index is made of integers, slices, None, ... and arrays of integers or booleans; "
                f"got {part!r}"
            )
        if isinstance(part, np.ndarray) and part.dtype.kind not in "iub":
            raise ArgumentError(f"{name}: an index array holds integers or booleans, got dtype {part.dtype}")
