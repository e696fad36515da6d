"""Softmax and its logarithm over one axis."""

from __future__ import annotations

from ..errors import ShapeError
from .broadcast import normalize_axis
from .op import Op


def _to_last(ctx, name, x, axis):
    """Bring `axis` to the end, where the kernels work; ctx.swap undoes it (a swap is its own inverse)."""
    if x.ndim == 0:
        raise ShapeError(f"{name} needs at least one axis, got a single number (shape ())")
    axis = normalize_axis(name, axis, x.ndim)
    if x.shape[axis] == 0:
        raise ShapeError(f"{name} over axis {axis} of shape {x.shape}: there is nothing to normalise")
    ctx.swap = list(range(x.ndim))
    ctx.swap[axis], ctx.swap[-1] = ctx.swap[-1], ctx.swap[axis]
    return _swapped(ctx, x)


def _swapped(ctx, x):
    return x if ctx.swap == sorted(ctx.swap) else ctx.row.permute(x, tuple(ctx.swap))


class Softmax(Op):
    """y_i = exp(x_i - m) / sum_j exp(x_j - m),  m = max_j x_j, over one axis

    Backward: dx = y * (dy - sum_j dy_j y_j)
    Shapes:   x (..., C) -> y (..., C); any axis may be chosen
    Units:    nats -> probabilities that sum to 1; a row of only -inf gives zeros
    Raises:   ShapeError if x has no such axis
    Source:   Goodfellow, Bengio & Courville 2016, section 4.1
    """

    float_inputs = 1

    @staticmethod
    def forward(ctx, x, axis=-1):
        x = _to_last(ctx, "softmax", x, axis)
        y = ctx.row.softmax_forward(x)
        ctx.save(y)
        return _swapped(ctx, y)

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved
        return _swapped(ctx, ctx.row.softmax_backward(_swapped(ctx, dy), y))


class LogSoftmax(Op):
    """y_i = x_i - log sum_j exp(x_j), over one axis, computed from x - max x

    Backward: dx = dy - exp(y) * sum_j dy_j
    Shapes:   x (..., C) -> y (..., C); any axis may be chosen
    Units:    nats -> log-probabilities in nats
    Raises:   ShapeError if x has no such axis
    """

    float_inputs = 1

    @staticmethod
    def forward(ctx, x, axis=-1):
        x = _to_last(ctx, "log_softmax", x, axis)
        y = ctx.row.log_softmax_forward(x)
        ctx.save(y)
        return _swapped(ctx, y)

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved
        return _swapped(ctx, ctx.row.log_softmax_backward(_swapped(ctx, dy), y))
