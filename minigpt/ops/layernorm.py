"""Layer normalisation over the last axis."""

from __future__ import annotations

from math import prod

from ..errors import ShapeError
from .axes import rows
from .op import Op


class LayerNorm(Op):
    """y = (x - mean) * rstd * weight + bias,  rstd = 1 / sqrt(var + eps),  over the last axis

    Backward: with xhat = (x - mean) * rstd and g = dy * weight:
              dx = rstd * (g - mean(g) - xhat * mean(g * xhat)), dweight = sum dy * xhat, dbias = sum dy
    Shapes:   x (..., C), weight (C,) or None, bias (C,) or None -> y (..., C)
    Raises:   ShapeError
    Source:   Ba, Kiros & Hinton 2016, section 3
    """

    float_inputs = 3
    gives_fresh_gradients = True

    @staticmethod
    def forward(ctx, x, weight, bias, eps=1e-5):
        C = x.shape[-1] if x.ndim else 0
        if not C:
            raise ShapeError(f"layer_norm needs a last axis with at least one element, got shape {x.shape}")
        for name, p in (("weight", weight), ("bias", bias)):
            if p is not None and p.shape != (C,):
                raise ShapeError(f"layer_norm: {name} has shape {p.shape}, x {rows(x.shape)} needs (C,) = ({C},)")
        flat = ctx.row.reshape(x, (prod(x.shape[:-1]), C))  # (N, C)
        y, mean, rstd = ctx.row.layernorm_forward(flat, weight, bias, eps)
        ctx.save(flat, weight, mean, rstd)
        ctx.has = (weight is not None, bias is not None)
        return ctx.row.reshape(y, x.shape)

    @staticmethod
    def backward(ctx, dy):
        x, weight, mean, rstd = ctx.saved
        dx, dweight, dbias = ctx.row.layernorm_backward(ctx.row.reshape(dy, x.shape), x, weight, mean, rstd)
        return ctx.row.reshape(dx, dy.shape), dweight if ctx.has[0] else None, dbias if ctx.has[1] else None
