"""Activation functions: tanh, sigmoid, ReLU, GELU. Shapes: y and dx have x's shape."""

from __future__ import annotations

from ..errors import ArgumentError
from .op import Op


class Tanh(Op):
    """y = tanh x;  dx = dy * (1 - y^2)"""

    float_inputs = 1

    @staticmethod
    def forward(ctx, x):
        y = ctx.row.tanh_forward(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved
        return ctx.row.tanh_backward(dy, y)


class Sigmoid(Op):
    """y = 1 / (1 + e^-x);  dx = dy * y * (1 - y)"""

    float_inputs = 1

    @staticmethod
    def forward(ctx, x):
        y = ctx.row.sigmoid_forward(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved
        return ctx.row.sigmoid_backward(dy, y)


class ReLU(Op):
    """y = max(x, 0);  dx = dy where x > 0, else 0"""

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return ctx.row.relu_forward(x)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved
        return ctx.row.relu_backward(dy, x)


class GELU(Op):
    """y = x * Phi(x), Phi the normal distribution function;  dx = dy * (Phi(x) + x * Phi'(x))

    Settings: approximate, "tanh" (GPT-2's form) or "none" (exact, by erf).
    Source:   Hendrycks & Gimpel 2016, section 2
    """

    float_inputs = 1

    @staticmethod
    def forward(ctx, x, approximate="tanh"):
        if approximate not in ("tanh", "none"):
            raise ArgumentError(f"gelu: approximate is 'tanh' or 'none', got {approximate!r}")
        ctx.approximate = approximate
        ctx.save(x)
        return ctx.row.gelu_forward(x, approximate)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved
        return ctx.row.gelu_backward(dy, x, ctx.approximate)
