"""Shapes and dtypes of operations on two arrays, and how a gradient finds its way back through broadcasting."""

from __future__ import annotations

import operator

import numpy as np

from ..errors import ArgumentError, ShapeError


def broadcast_shape(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that NumPy's rule gives, or a ShapeError that names the axis.

    Shapes are laid right-aligned over each other; on each axis the lengths must be equal, or 1.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        pass
    rank = max(len(shape) for shape in shapes)
    for axis in range(1, rank + 1):
        lengths = [shape[-axis] for shape in shapes if len(shape) >= axis]
        if len({n for n in lengths if n != 1}) > 1:
            break
    raise ShapeError(
        f"{name}: shapes {' and '.join(str(s) for s in shapes)} do not broadcast: counted from the right, axis {-axis} "
        f"has lengths {' and '.join(str(n) for n in lengths)}, which must be equal or 1. "
        "A new axis of length 1 is made with x[:, None]."
    )


def unbroadcast(row, dy, shape: tuple[int, ...]):
    """Sum dy over the axes along which an input of `shape` was repeated; the transpose of broadcasting."""
    if dy.shape == shape:
        return dy
    extra = dy.ndim - len(shape)
    repeated = tuple(range(extra)) + tuple(
        i + extra for i, n in enumerate(shape) if n == 1 and dy.shape[i + extra] != 1
    )
    return row.reshape(row.sum(dy, repeated, keepdims=True), shape)


def result_dtype(*arrays) -> np.dtype:
    """The dtype in which arrays of several dtypes meet.

    Axes decide before dtypes: a 0-d array adopts the float type of the arrays that have axes, and integers adopt any
    float type, so float32 stays float32 beside Python numbers, 0-d arrays and ids.
    """
    strong = [a.dtype for a in arrays if a.ndim] or [a.dtype for a in arrays]
    floats = [d for d in strong if d.kind == "f"]
    if floats:
        return np.result_type(*floats)
    weak_floats = [a.dtype for a in arrays if a.dtype.kind == "f"]
    if weak_floats:
        return np.result_type(*weak_floats)
    whole = np.result_type(*strong)
    for a in arrays:
        if a.dtype.kind in "iu" and not a.ndim and isinstance(a, np.ndarray):
            if whole.kind == "b":
                whole = np.result_type(whole, a.dtype)  # True + 1 counts
            elif not np.iinfo(whole).min <= a <= np.iinfo(whole).max:
                whole = np.result_type(whole, a.dtype)  # 300 does not fit into uint8
    return whole


def normalize_axis(name: str, axis: int, ndim: int) -> int:
    """axis counted from the front, or an error that says which axes there are."""
    try:
        axis = operator.index(axis)
    except TypeError:
        raise ArgumentError(f"{name}: an axis is an integer, got {axis!r}") from None
    if not -ndim <= axis < ndim:
        raise ShapeError(
            f"{name}: axis {axis} does not exist, the array has {ndim} axes (numbered {-ndim} to {ndim - 1})"
        )
    return axis % ndim


def normalize_axes(name: str, axis, ndim: int) -> tuple[int, ...]:
    """None, an integer or a tuple -> sorted tuple of axes counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    axes = sorted(normalize_axis(name, a, ndim) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{name}: axis {axis} names an axis twice")
    return tuple(axes)
