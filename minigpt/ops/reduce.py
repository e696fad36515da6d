"""Operations that turn many elements into one along some axes: sum, mean, max, variance.

Settings: axis None (all), an integer or a tuple; keepdims keeps the reduced axes with length 1.
"""

from __future__ import annotations

from math import prod

from ..errors import ShapeError
from .broadcast import normalize_axes
from .op import Op


def _start(ctx, name, x, axis, keepdims, needs_elements=True):
    """Note axes and shapes on ctx, and refuse reductions over nothing."""
    ctx.axes = normalize_axes(name, axis, x.ndim)
    ctx.shape = x.shape
    ctx.kept_shape = tuple(1 if i in ctx.axes else n for i, n in enumerate(x.shape))
    ctx.count = prod(x.shape[i] for i in ctx.axes)
    if needs_elements and ctx.count == 0:
        raise ShapeError(f"{name} over axes {ctx.axes} of an array of shape {x.shape}: there is nothing to reduce")


def _spread(ctx, dy):
    """dy with the reduced axes back as length 1, repeated to x's shape."""
    return ctx.row.broadcast_to(ctx.row.reshape(dy, ctx.kept_shape), ctx.shape)


class Sum(Op):
    """y = sum_i x_i;  dx_i = dy"""

    @staticmethod
    def forward(ctx, x, axis=None, keepdims=False):
        _start(ctx, "sum", x, axis, keepdims, needs_elements=False)
        return ctx.row.sum(x, ctx.axes, keepdims)

    @staticmethod
    def backward(ctx, dy):
        return _spread(ctx, dy)


class Mean(Op):
    """y = sum_i x_i / n;  dx_i = dy / n"""

    @staticmethod
    def forward(ctx, x, axis=None, keepdims=False):
        _start(ctx, "mean", x, axis, keepdims)
        return ctx.row.multiply(ctx.row.sum(x, ctx.axes, keepdims), 1 / ctx.count)

    @staticmethod
    def backward(ctx, dy):
        return _spread(ctx, ctx.row.multiply(dy, 1 / ctx.count))


class Max(Op):
    """y = max_i x_i;  dx_i = dy / (number of maxima) where x_i = y, else 0: ties share equally"""

    @staticmethod
    def forward(ctx, x, axis=None, keepdims=False):
        _start(ctx, "max", x, axis, keepdims)
        y = ctx.row.max(x, ctx.axes, True)
        ctx.save(x, y)
        kept = tuple(n for i, n in enumerate(x.shape) if i not in ctx.axes)
        return y if keepdims else ctx.row.reshape(y, kept)

    @staticmethod
    def backward(ctx, dy):
        x, y = ctx.saved
        return ctx.row.max_backward(ctx.row.reshape(dy, ctx.kept_shape), x, y, ctx.axes)


class Var(Op):
    """y = sum_i (x_i - mean x)^2 / n;  dx_i = dy * 2 (x_i - mean x) / n

    Divided by n, as NumPy does and layer norm needs; the estimate that divides by n - 1 is y * n / (n - 1).
    """

    @staticmethod
    def forward(ctx, x, axis=None, keepdims=False):
        _start(ctx, "var", x, axis, keepdims)
        ctx.save(x)
        return ctx.row.var(x, ctx.axes, keepdims)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved
        return ctx.row.var_backward(ctx.row.reshape(dy, ctx.kept_shape), x, ctx.axes, ctx.count)
