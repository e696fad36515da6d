"""Does an optimizer move parameters as it should, and only those that it should?

mg.debug.check_optimizer(lambda params: MyAdam(params, lr=0.01), lambda params: optim.Adam(params, lr=0.01))
mg.debug.check_decay(optimizer, model)
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from ..backend import current_row, row_of, use
from ..nn import Parameter
from ..tensor import no_grad
from .report import Report

SHAPES = {"weight": (3, 4), "bias": (4,)}


def check_optimizer(
    make: Callable, reference: Callable, steps: int = 5, tolerance: float = 1e-6, seed: int = 0
) -> Report:
    """Both optimizers on equal parameters and gradients, on numpy in float64: the first step that moves one otherwise.

    make:       params -> the optimizer to check: any object with step(), which reads `p.grad` and writes `p.data`
    reference:  params -> one of minigpt.optim with the same settings
    tolerance:  of the move, relative to the reference's largest
    """
    rng, report = np.random.default_rng(seed), Report("check_optimizer")
    start = {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}
    mine, theirs = ({name: Parameter(x.copy(), name) for name, x in start.items()} for _ in range(2))
    with use("numpy"):
        optimizers = make(list(mine.values())), reference(list(theirs.values()))
    problem, ratios = "", []
    for step in range(1, steps + 1):
        before = [{name: p.data.copy() for name, p in params.items()} for params in (mine, theirs)]
        for name, shape in SHAPES.items():
            gradient = rng.standard_normal(shape)
            mine[name].grad, theirs[name].grad = gradient.copy(), gradient.copy()
        with use("numpy"):
            for optimizer in optimizers:
                optimizer.step()
        moved, wanted = (
            {name: p.data - old[name] for name, p in params.items()}
            for params, old in zip((mine, theirs), before, strict=True)
        )
        ratios.append(np.linalg.norm(moved["weight"]) / (np.linalg.norm(wanted["weight"]) or np.nan))
        for name in SHAPES:
            off, largest = np.abs(moved[name] - wanted[name]), np.abs(wanted[name]).max()
            if not off.max() <= tolerance * largest and not problem:
                index = tuple(int(i) for i in np.unravel_index(int(np.argmax(off)), off.shape))
                problem = (f"step {step}, {name} at {index}: moved by {moved[name][index]:.5g}, the reference by "
                           f"{wanted[name][index]:.5g}")  # fmt: skip
    if problem:
        problem += (
            f"; length of its moves over those of the reference, step by step: {', '.join(f'{r:.3g}' for r in ratios)}"
        )
    report.note(f"{steps} steps move as those of {type(optimizers[1]).__name__}", problem)
    return report


def check_decay(optimizer, model) -> Report:
    """Which parameters move although their gradient is zero: weight decay. Norms, biases and other vectors should not.

    Decay draws weights towards zero. A matrix can make up for that elsewhere; the scale of a norm and a bias cannot, so
    they are left out (Goodfellow, Bengio & Courville 2016, section 7.1): put them into a group with weight_decay 0.
    Copies of both are used.
    model:  whose parameters the optimizer moves; names are taken from it
    """
    optimizer, model = copy.deepcopy((optimizer, model))  # together, so that they still share parameters
    report = Report("check_decay")
    named = dict(model.named_parameters())
    rows = {row.name for p in named.values() if (row := row_of(p.data)) is not None}
    with use(rows.pop() if rows == {"cuda"} else current_row().name) as row:
        for p in named.values():
            with no_grad():
                p[...] = 1.0  # a bias that is still zero would not shrink
            p.grad = row.zeros(p.shape, p.dtype)
        optimizer.step()
    for name, p in named.items():
        moved = float(np.abs(p.numpy() - 1.0).max())
        if p.ndim < 2 and moved:
            report.note(name, f"weight decay acts on it: a step with gradient 0 moves it by {moved:.1e} of itself")
        else:
            report.held.append(f"{name}: {'decayed' if moved else 'not decayed'}")
    return report
