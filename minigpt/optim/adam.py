"""Adam and AdamW: steps scaled by running averages of the gradient and of its square."""

from __future__ import annotations

from ..backend import current_row
from ..errors import ArgumentError
from .optimizer import Optimizer


class Adam(Optimizer):
    """m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
    p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps),  g = grad + weight_decay * p

    Source:  Kingma & Ba 2015, algorithm 1
    """

    decoupled = False
    state_names = frozenset({"t", "m", "v"})

    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _check(self, settings):
        super()._check(settings)
        if "betas" not in settings:
            return
        betas = settings["betas"]
        pair = isinstance(betas, tuple | list) and len(betas) == 2
        if not pair or not all(isinstance(beta, int | float) and 0 <= beta < 1 for beta in betas):
            raise ArgumentError(f"{type(self).__name__}: betas are two numbers in [0, 1), got {betas!r}")

    def _update(self, moves, scale):
        row = current_row()
        arguments = []
        for p, state, group in moves:
            if not state:
                state.update(t=0, m=row.zeros(p.shape, p.dtype), v=row.zeros(p.shape, p.dtype))
            state["t"] += 1  # counted per parameter: one that was frozen at first is corrected from its own start
            arguments.append(
                (p.data, p.grad, state["m"], state["v"], state["t"], group["lr"], *group["betas"], group["eps"],
                 group["weight_decay"], self.decoupled)
            )  # fmt: skip
        row.adam_steps(arguments, scale)

    def undo(self, moves):
        super().undo(moves)
        for _, state, _ in moves:
            state["t"] -= 1
            if state["t"] == 0:
                state.clear()


class AdamW(Adam):
    """Adam, but weight decay shrinks the parameter directly: p = p - lr * weight_decay * p before the step

    Source:  Loshchilov & Hutter 2019, algorithm 2
    """

    decoupled = True

    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)
