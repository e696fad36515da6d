"""Shapes and dtypes of operations on two arrays, and how a gradient finds its way back through broadcasting."""

from __future__ import annotations

import operator

import numpy as np

from ..errors import ArgumentError, ShapeError
from .axes import refuse_broadcast


def broadcast_shape(name: str, *shapes: tuple[int, ...], labels=None, axes: str | None = None) -> tuple[int, ...]:
    """The shape that NumPy's rule gives, or a ShapeError that shows which axes clash.

    Shapes are laid right-aligned over each other; on each axis the lengths must be equal, or 1. labels and axes are
    for the error: what the arrays and their axes are called.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        pass
    return refuse_broadcast(name, shapes, labels, axes)


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
