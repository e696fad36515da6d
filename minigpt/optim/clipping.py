"""Gradient clipping by global norm."""

from __future__ import annotations

import math

from ..backend import current_row
from ..errors import ArgumentError, NumericsError
from .optimizer import parameter_list


def clip_grad_norm_(params, max_norm) -> float:
    """Scale all gradients down together so that their common norm is at most max_norm; returns the norm before.

        norm = sqrt(sum over all elements of all gradients g^2);  g = g * min(1, max_norm / (norm + 1e-6))

    Raises:  NumericsError if the norm is NaN or Inf (the gradients are left as they are), ArgumentError
    Source:  Pascanu, Mikolov & Bengio 2013, section 3.2
    """
    if not isinstance(max_norm, int | float) or not max_norm > 0:
        raise ArgumentError(f"clip_grad_norm_: max_norm must be positive, got {max_norm}")
    row = current_row()
    grads = [p.grad for p in parameter_list(params) if p.grad is not None]
    scale, norm = row.fetch(row.clip_scale([row.squared_norms(grads)], [], 1.0, max_norm))
    check_norm(norm)
    if scale < 1:
        row.scale_all(grads, scale)
    return norm


def check_norm(norm: float):
    """Raise NumericsError if a gradient norm is NaN or Inf."""
    if not math.isfinite(norm):
        raise NumericsError(
            f"the gradient norm is {norm}: some gradient is NaN or Inf. Usual causes: too high a learning rate, "
            "log of 0, division by 0"
        )
