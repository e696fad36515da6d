"""Stochastic gradient descent."""

from __future__ import annotations

from ..backend import current_row
from .optimizer import Optimizer


class SGD(Optimizer):
    """velocity = momentum * velocity + g;  p = p - lr * velocity,  g = grad + weight_decay * p

    Source:  Sutskever et al. 2013, in the form where lr scales the whole velocity
    """

    state_names = frozenset({"velocity"})

    def __init__(self, params, lr, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def _update(self, p, state, group):
        row = current_row()
        if group["momentum"] and "velocity" not in state:
            state["velocity"] = row.zeros(p.shape, p.dtype)
        row.sgd_step(p.data, p.grad, state.get("velocity"), group["lr"], group["momentum"], group["weight_decay"])
