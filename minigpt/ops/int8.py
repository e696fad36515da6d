"""Layers whose weights are whole numbers of one byte, for decoding; no gradients."""

from __future__ import annotations

from math import prod

from ..errors import GraphError, ShapeError
from .axes import rows as rows_named
from .embedding import check_ids
from .op import Op


class _ReadOnly(Op):
    """What ops on int8 weights have in common: they are for reading a trained model, not for training one."""

    @staticmethod
    def backward(ctx, *grads):
        raise GraphError(
            "int8 weights have no gradient: a step is far smaller than what they can tell apart. Train the float "
            "model, then quantise it"
        )


class Int8Linear(_ReadOnly):
    """y[o] = scale[o] * sum_i q[o, i] x[i] + bias[o] + residual[o]

    Shapes:   x (..., in), q (out, in) int8, scale (out,), bias (out,) or None, residual (..., out) or None
              -> y (..., out)
    Raises:   ShapeError; GraphError in backward
    """

    @staticmethod
    def forward(ctx, x, q, scale, bias=None, residual=None):
        if x.ndim == 0 or x.shape[-1] != q.shape[1]:
            raise ShapeError(f"int8 linear: x {rows_named(x.shape)}: its last axis must have length {q.shape[1]}")
        shape = (*x.shape[:-1], q.shape[0])
        rows = prod(x.shape[:-1])
        if residual is not None:
            if residual.shape != shape:
                raise ShapeError(f"int8 linear: residual has shape {residual.shape}, x @ q^T {shape}; must be equal")
            residual = ctx.row.reshape(residual, (rows, shape[-1]))  # (N, out)
        x = ctx.row.reshape(x, (rows, x.shape[-1]))  # (N, in)
        return ctx.row.reshape(ctx.row.int8_linear_forward(x, q, scale, bias, residual), shape)  # (..., out)


class Int8Embedding(_ReadOnly):
    """y[...] = scale[id] * q[id]

    Shapes:   ids (...) integers, q (V, C) int8, scale (V,) -> y (..., C) float32
    Raises:   ArgumentError if ids are not integers or lie outside 0 … V - 1; GraphError in backward
    """

    @staticmethod
    def forward(ctx, ids, q, scale):
        check_ids("embedding", ids, q.shape[0], of="V = {} rows")
        return ctx.row.int8_embedding_forward(ids, q, scale)  # (..., C)
