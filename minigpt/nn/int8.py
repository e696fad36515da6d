"""Linear and Embedding with weights of one byte: a quarter of the memory, and decoding up to four times as fast.

A token reads every weight once, so the bytes of the weights set the pace of decoding. One step down:
`ops/int8.py` -> `kernels/reference/int8.py`, where the formula stands.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import numpy as np

from .. import ops
from ..backend import current_row
from ..errors import ArgumentError, NumericsError
from ..tensor import Tensor
from .embedding import Embedding
from .linear import Linear
from .module import Module, Parameter

M = TypeVar("M", bound=Module)


class Int8Linear(Module):
    """y = (x @ q^T) * scale + bias, made from a trained Linear

    Shapes:  x (..., in) -> (..., out); q (out, in) int8, scale (out,) float32, bias (out,) or None
    Raises:  GraphError if a gradient should pass through it
    """

    def __init__(self, linear: Linear):
        self.q, self.scale = _quantized(linear.weight.numpy().T)  # (out, in), (out,)
        self.bias = linear.bias

    def forward(self, x, residual=None):
        return ops.Int8Linear.apply(x, self.q, self.scale, self.bias, residual)  # (..., out)

    def extra_repr(self):
        return f"{self.q.shape[1]} -> {self.q.shape[0]}, int8{', bias' if self.bias is not None else ''}"


class Int8Embedding(Module):
    """y = scale[ids] * q[ids], made from a trained Embedding

    Shapes:  ids (...) integers in 0 … n - 1 -> (..., d); q (n, d) int8, scale (n,) float32
    """

    def __init__(self, embedding: Embedding):
        self.q, self.scale = _quantized(embedding.weight.numpy())  # (n, d), (n,)

    def forward(self, ids):
        return ops.Int8Embedding.apply(ids, self.q, self.scale)  # (..., d)

    def scores(self, x):
        """x (..., d) -> (..., n): the product of x with each row, as Embedding.scores"""
        return ops.Int8Linear.apply(x, self.q, self.scale, None)  # (..., n)

    def extra_repr(self):
        return f"{self.q.shape[0]} rows of {self.q.shape[1]}, int8"


def _quantized(weight):
    if not np.isfinite(weight).all():
        raise NumericsError("a weight is NaN or infinite, which no int8 number can stand for: has training diverged?")
    q, scale = current_row().int8_quantize(weight)
    return Tensor(q), Tensor(scale)


def quantized(module: M, keep: tuple[Module, ...] = ()) -> M:
    """A copy of the module whose Linear and Embedding layers have int8 weights; `keep` are left as they are.

    Everything else is shared with the original, which stays as it was.
    Raises ArgumentError if there is nothing to quantise.
    """
    copies: dict[type, Any] = {Linear: Int8Linear, Embedding: Int8Embedding}
    found = False

    def copy_of(module: Any) -> Any:
        nonlocal found
        if module in keep:
            return module
        if type(module) in copies:
            found = True
            return copies[type(module)](module)
        twin = copy.copy(module)
        for name, child in module.children():
            setattr(twin, name, copy_of(child))
        return twin

    twin = copy_of(module)
    if not found:
        raise ArgumentError(f"{type(module).__name__} has no Linear and no Embedding whose weights could become int8")
    return twin


def weight_bytes(module: Module) -> int:
    """Bytes of all parameters and int8 weights; shared ones count once."""
    arrays = {
        id(value.data): value.data
        for _, part in module.named_modules()
        for value in vars(part).values()
        if isinstance(value, Tensor | Parameter)
    }
    return sum(a.nbytes for a in arrays.values())
