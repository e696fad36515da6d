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

    def _update(self, moves, scale):
        row = current_row()
        arguments = []
        for p, state, group in moves:
            if group["momentum"] and "velocity" not in state:
                state["velocity"] = row.zeros(p.shape, p.dtype)
            velocity = state.get("velocity")
            arguments.append((p.data, p.grad, velocity, group["lr"], group["momentum"], group["weight_decay"]))
        row.sgd_steps(arguments, scale)
