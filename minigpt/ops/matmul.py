"""Matrix products, and the linear layer alone and fused with what follows it.

Every array with more than two axes is a stack of matrices; a stack times one matrix is one tall matrix times it.
"""

from __future__ import annotations

from math import prod

from ..errors import ShapeError
from .axes import broadcast_or_none, named, refuse_matmul, rows
from .broadcast import unbroadcast
from .op import Op


class MatMul(Op):
    """y = a @ b;  da = dy @ b^T, db = a^T @ dy

    Shapes:   a (..., n, k), b (..., k, m) -> y (..., n, m); leading axes broadcast. A 1-D a is a row, a 1-D b a
              column, and that axis is missing from y, as in NumPy.
    Raises:   ShapeError if the inner axes differ or an operand is a single number
    """

    gives_fresh_gradients = True

    @staticmethod
    def forward(ctx, a, b):
        if a.ndim == 0 or b.ndim == 0:
            raise ShapeError(f"matmul needs arrays with axes, got shapes {a.shape} @ {b.shape}; for numbers use *")
        row = ctx.row
        ctx.shapes = (a.shape, b.shape)
        if a.ndim == 1:
            a = row.reshape(a, (1, a.shape[0]))  # (1, k)
        if b.ndim == 1:
            b = row.reshape(b, (b.shape[0], 1))  # (k, 1)
        stack = broadcast_or_none(a.shape[:-2], b.shape[:-2])
        if stack is None or a.shape[-1] != b.shape[-2]:
            refuse_matmul(*ctx.shapes)
        if b.ndim == 2:  # one matrix for the whole stack: no need to repeat it
            a = row.reshape(a, (prod(a.shape[:-1]), a.shape[-1]))  # (rows, k)
        ctx.save(a, b)
        y = row.matmul(a, b)
        ctx.y_shape = y.shape
        a_shape, b_shape = ctx.shapes
        return row.reshape(y, stack + a_shape[-2:-1] + (b_shape[-1:] if len(b_shape) > 1 else ()))  # (..., n, m)

    @staticmethod
    def backward(ctx, dy):
        a, b = ctx.saved
        row = ctx.row
        a_shape, b_shape = ctx.shapes
        dy = row.reshape(dy, ctx.y_shape)
        da = db = None
        if ctx.needs[0]:
            da = unbroadcast(row, row.matmul(dy, _transposed(row, b)), a.shape)  # (..., n, k)
            da = row.reshape(da, a_shape)
        if ctx.needs[1]:
            db = unbroadcast(row, row.matmul(_transposed(row, a), dy), b.shape)  # (..., k, m)
            db = row.reshape(db, b_shape)
        return da, db


def _transposed(row, x):  # (..., n, m) -> (..., m, n)
    axes = list(range(x.ndim))
    axes[-1], axes[-2] = axes[-2], axes[-1]
    return row.permute(x, tuple(axes))


def _flatten_rows(ctx, name, x, weight, bias, order="in out"):
    """x (..., in) -> (N, in), with shapes checked; notes the leading shape on ctx. order: of the weight as given."""
    if weight.ndim != 2:
        raise ShapeError(f"{name}: weight has shape {weight.shape}, needs two axes ({', '.join(order.split())})")
    n_in, n_out = weight.shape
    if x.ndim == 0 or x.shape[-1] != n_in:
        given = weight.shape if order == "in out" else weight.shape[::-1]
        raise ShapeError(
            f"{name}: x {rows(x.shape)} and weight {named(given, order)}: the last axis of x must have length "
            f"in = {n_in}, "
            + (f"C is {x.shape[-1]}" if x.ndim else "a single number has no axis")
            + _hint(x.shape, weight.shape, order)
        )
    if bias is not None and bias.shape != (n_out,):
        raise ShapeError(
            f"{name}: bias has shape {bias.shape}, weight (in={n_in}, out={n_out}) needs (out,) = ({n_out},)"
        )
    ctx.x_shape = x.shape
    return ctx.row.reshape(x, (prod(x.shape[:-1]), x.shape[-1]))  # (N, in)


def _hint(x, weight, order) -> str:
    """What would fit, if turning one of them round does."""
    if x and x[-1] == weight[1]:
        return f"; weight is ({', '.join(order.split())}), was it given transposed? weight.T fits"
    if len(x) > 1 and x[-2] == weight[0]:
        return "; did you mean x.swapaxes(-1, -2)?"
    return ""


def _needs(ctx, bias):
    return (ctx.needs[0], ctx.needs[1], bias is not None and ctx.needs[2])


class Linear(Op):
    """y = x @ weight + bias + residual;  dx = dy @ weight^T, dweight = x^T @ dy, dbias = sum of dy, dresidual = dy

    Shapes:   x (..., in), weight (in, out), bias (out,) or None, residual (..., out) or None -> y (..., out)
    Settings: transposed: weight is (out, in), y = x @ weight^T + bias, dweight = dy^T @ x (GPT's head reuses wte so)
    Raises:   ShapeError
    """

    float_inputs = 4
    gives_fresh_gradients = True

    @staticmethod
    def forward(ctx, x, weight, bias, residual=None, transposed=False):
        w = _transposed(ctx.row, weight) if transposed and weight.ndim == 2 else weight  # (in, out)
        order = "out in" if transposed else "in out"
        flat = _flatten_rows(ctx, "linear", x, w, bias, order)  # (N, in)
        ctx.wanted, ctx.transposed = _needs(ctx, bias), transposed
        ctx.save(flat, w)
        shape = (*x.shape[:-1], w.shape[1])
        if residual is not None:
            if residual.shape != shape:
                raise ShapeError(
                    f"linear: residual is {rows(residual.shape)}, x @ weight {rows(shape)}; they must be equal"
                )
            residual = ctx.row.reshape(residual, (flat.shape[0], w.shape[1]))  # (N, out)
        ctx.residual = residual is not None
        y = ctx.row.linear_forward(flat, w, bias, residual)  # (N, out)
        return ctx.row.reshape(y, shape)  # (..., out)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved
        row, dresidual = ctx.row, dy if ctx.residual else None
        dy = row.reshape(dy, (x.shape[0], w.shape[1]))  # (N, out)
        if ctx.transposed:
            dx, _, dbias = row.linear_backward(dy, x, w, (ctx.wanted[0], False, ctx.wanted[2]))
            dweight = row.matmul(_transposed(row, dy), x) if ctx.wanted[1] else None  # (out, in)
        else:
            dx, dweight, dbias = row.linear_backward(dy, x, w, ctx.wanted)
        return None if dx is None else row.reshape(dx, ctx.x_shape), dweight, dbias, dresidual


class LinearGELU(Op):
    """y = gelu(x @ weight + bias), GPT-2's tanh form;  backward through both

    Shapes:   x (..., in), weight (in, out), bias (out,) or None -> y (..., out)
    Raises:   ShapeError
    """

    float_inputs = 3
    gives_fresh_gradients = True

    @staticmethod
    def forward(ctx, x, weight, bias):
        flat = _flatten_rows(ctx, "linear_gelu", x, weight, bias)  # (N, in)
        ctx.wanted = _needs(ctx, bias)
        y, pre = ctx.row.linear_gelu_forward(flat, weight, bias)  # (N, out) both
        ctx.save(flat, weight, pre)
        return ctx.row.reshape(y, (*x.shape[:-1], weight.shape[1]))  # (..., out)

    @staticmethod
    def backward(ctx, dy):
        x, weight, pre = ctx.saved
        dy = ctx.row.reshape(dy, (x.shape[0], weight.shape[1]))  # (N, out)
        dx, dweight, dbias = ctx.row.linear_gelu_backward(dy, x, weight, pre, ctx.wanted)
        return None if dx is None else ctx.row.reshape(dx, ctx.x_shape), dweight, dbias


class BiasResidual(Op):
    """y = x + bias + residual;  dx = dresidual = dy, dbias = sum of dy's rows

    Shapes:   x (..., C), bias (C,), residual (..., C) -> y (..., C)
    Raises:   ShapeError
    """

    float_inputs = 3
    gives_fresh_gradients = True

    @staticmethod
    def forward(ctx, x, bias, residual):
        if x.ndim == 0 or x.shape != residual.shape or bias.shape != x.shape[-1:]:
            raise ShapeError(
                f"bias_residual: x {rows(x.shape)} and residual {rows(residual.shape)} must have one shape (..., C) "
                f"and bias {bias.shape} must be (C,)"
            )
        flat_shape = (prod(x.shape[:-1]), x.shape[-1])
        flat = [ctx.row.reshape(part, flat_shape) for part in (x, residual)]  # (N, C) each
        return ctx.row.reshape(ctx.row.bias_residual_forward(flat[0], bias, flat[1]), x.shape)

    @staticmethod
    def backward(ctx, dy):
        flat_shape = (prod(dy.shape[:-1]), dy.shape[-1])
        dbias = ctx.row.bias_residual_backward(ctx.row.reshape(dy, flat_shape)) if ctx.needs[1] else None  # (C,)
        return dy, dbias, dy
