"""Operators and methods of Tensor: each is one line that applies an op from `ops/`.

This half of Tensor holds no state and knows nothing of the tape; `tensor.py` is the other half.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from . import ops
from .backend import as_array, current_row, row_of
from .errors import ArgumentError, GraphError, ShapeError
from .ops.broadcast import normalize_axis, result_dtype
from .ops.shape import check_index, is_advanced


class Operators:
    """What one can do with a Tensor. Binary operators broadcast as in NumPy."""

    __slots__ = ()
    __array_ufunc__ = None  # so that `array * tensor` asks the Tensor, instead of looping over its elements

    data: Any
    requires_grad: bool
    _version: Any
    __hash__ = object.__hash__  # a Tensor is itself, though == compares elements

    # --- what it is -------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.data.shape)

    def __len__(self):
        if not self.ndim:
            raise ArgumentError("a single number has no length")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array: the array itself on the host, a copy from a device."""
        return (
            self.data if isinstance(self.data, np.ndarray) else (row_of(self.data) or current_row()).to_host(self.data)
        )

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise GraphError("NumPy cannot follow gradients: use t.numpy() or t.detach() to step out of the graph")
        return np.array(self.numpy(), dtype=dtype) if copy else np.asarray(self.numpy(), dtype=dtype)

    def item(self):
        """The value of a one-element Tensor as a Python number."""
        if self.size != 1:
            raise ArgumentError(f"item() and truth values need exactly one element, this tensor has shape {self.shape}")
        return self.numpy().reshape(-1)[0].item()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    # --- arithmetic -------------------------------------------------------------------------------------

    def __add__(self, other):
        return _binary(ops.Add, self, other)

    def __radd__(self, other):
        return _binary(ops.Add, other, self)

    def __sub__(self, other):
        return _binary(ops.Sub, self, other)

    def __rsub__(self, other):
        return _binary(ops.Sub, other, self)

    def __mul__(self, other):
        return _binary(ops.Mul, self, other)

    def __rmul__(self, other):
        return _binary(ops.Mul, other, self)

    def __truediv__(self, other):
        return _binary(ops.Div, self, other)

    def __rtruediv__(self, other):
        return _binary(ops.Div, other, self)

    def __pow__(self, other):
        if isinstance(other, int | float):
            return ops.PowNumber.apply(self, exponent=other)
        return _binary(ops.Pow, self, other)

    def __rpow__(self, other):
        return _binary(ops.Pow, other, self)

    def __matmul__(self, other):
        return _binary(ops.MatMul, self, other)

    def __rmatmul__(self, other):
        return _binary(ops.MatMul, other, self)

    def __neg__(self):
        return ops.Neg.apply(self)

    def __abs__(self):
        return ops.Abs.apply(self)

    def abs(self):
        return ops.Abs.apply(self)

    def exp(self):
        return ops.Exp.apply(self)

    def log(self):
        """Natural logarithm."""
        return ops.Log.apply(self)

    def sqrt(self):
        return ops.Sqrt.apply(self)

    def tanh(self):
        return ops.Tanh.apply(self)

    def astype(self, dtype):
        """In another dtype; the gradient is cast back."""
        try:
            dtype = np.dtype(dtype)
        except TypeError:
            raise ArgumentError(f"there is no dtype {dtype!r}; a Tensor holds floats, integers or booleans") from None
        if dtype.kind not in "fiub":
            raise ArgumentError(f"a Tensor holds floats, integers or booleans, not {dtype}")
        return self if dtype == self.dtype else ops.Cast.apply(self, dtype=dtype)

    # --- comparison: boolean Tensors without gradient ------------------------------------------------------

    def __lt__(self, other):
        return _binary(ops.Compare, self, other, relation="<")

    def __le__(self, other):
        return _binary(ops.Compare, self, other, relation="<=")

    def __gt__(self, other):
        return _binary(ops.Compare, self, other, relation=">")

    def __ge__(self, other):
        return _binary(ops.Compare, self, other, relation=">=")

    def __eq__(self, other):
        return _binary(ops.Compare, self, other, relation="==")

    def __ne__(self, other):
        return _binary(ops.Compare, self, other, relation="!=")

    # --- reductions -------------------------------------------------------------------------------------

    def sum(self, axis=None, keepdims=False):
        return ops.Sum.apply(self, axis=axis, keepdims=keepdims)

    def mean(self, axis=None, keepdims=False):
        return ops.Mean.apply(self, axis=axis, keepdims=keepdims)

    def max(self, axis=None, keepdims=False):
        """Largest element; where several are equal, they share the gradient."""
        return ops.Max.apply(self, axis=axis, keepdims=keepdims)

    def min(self, axis=None, keepdims=False):
        """Smallest element, -max(-x)."""
        return -((-self).max(axis, keepdims))

    def var(self, axis=None, keepdims=False):
        """Mean squared distance from the mean, divided by n (ddof 0)."""
        return ops.Var.apply(self, axis=axis, keepdims=keepdims)

    # --- shape ------------------------------------------------------------------------------------------

    def reshape(self, *shape):
        """The same elements in another shape; one length may be -1. A view where possible."""
        return ops.Reshape.apply(self, shape=_ints(shape))

    def transpose(self, *axes):
        """Axes in another order; without arguments reversed. `x.transpose(0, 2, 1)` or `x.transpose((0, 2, 1))`."""
        return ops.Transpose.apply(self, axes=_ints(axes) or tuple(reversed(range(self.ndim))))

    def swapaxes(self, a: int, b: int):
        axes = list(range(self.ndim))
        a, b = (normalize_axis("swapaxes", axis, self.ndim) for axis in (a, b))
        axes[a], axes[b] = axes[b], axes[a]
        return ops.Transpose.apply(self, axes=tuple(axes))

    @property
    def T(self):
        """All axes in reversed order."""
        return self.transpose()

    def broadcast_to(self, *shape):
        """Repeated along axes of length 1 to the given shape."""
        return ops.BroadcastTo.apply(self, shape=_ints(shape))

    def __getitem__(self, key):
        key = index_key(key)
        check_index("index", key, self.shape)
        return (ops.Gather if is_advanced(key) else ops.Slice).apply(self, key=key)


def _ints(values) -> tuple[int, ...]:
    """(2, 3) from f(2, 3) or f((2, 3))"""
    if len(values) == 1 and isinstance(values[0], tuple | list):
        values = values[0]
    if not all(isinstance(v, int | np.integer) for v in values):
        raise ArgumentError(f"lengths and axes are integers, got {tuple(values)!r}")
    return tuple(int(v) for v in values)


def index_key(key):
    """A key with Tensors replaced by their arrays and lists by arrays."""
    if isinstance(key, tuple):
        return tuple(index_key(part) for part in key)
    if isinstance(key, Operators):
        return index_key(key.data)
    if isinstance(key, np.ndarray):
        return key.copy()  # backward needs it as it is now
    return np.asarray(key, dtype=None if key else np.intp) if isinstance(key, list) else key


def _array_beside(x, other):
    """The array of an operand. A plain number is made directly in the other's float type: 0.1 is not rounded twice."""
    if isinstance(x, Operators):
        return x.data
    if (
        isinstance(x, float | int | np.floating | np.integer)
        and isinstance(other, Operators)
        and other.dtype.kind == "f"
    ):
        return current_row().full((), x, other.dtype)
    return as_array(x)


def match(a, b):
    """Two operands in one dtype: numbers and 0-d arrays adopt the other's float type, never the reverse."""
    arrays = _array_beside(a, b), _array_beside(b, a)
    dtype = result_dtype(*arrays)
    return tuple(
        x.astype(dtype) if isinstance(x, Operators) else current_row().astype(array, dtype)
        for x, array in zip((a, b), arrays, strict=True)
    )


def _binary(op, a, b, **settings):
    try:
        a, b = match(a, b)
    except (ArgumentError, ShapeError):
        if isinstance(a, Operators) and isinstance(b, Operators):
            raise
        return NotImplemented  # Python then says which types do not go together
    return op.apply(a, b, **settings)
