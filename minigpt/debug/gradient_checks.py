"""Is the gradient of a whole model right, and that of a batch which was read in parts?

mg.debug.check_gradients(model, ids, targets)           # backward against finite differences, in every parameter
mg.debug.check_accumulation(accumulate, model, ids, targets)   # your loop against one large batch
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from ..backend import use
from ..errors import ArgumentError
from ..finite_differences import central_difference
from ..tensor import Tensor, no_grad
from .computation import tensors_of
from .difference import RunDifference
from .gradients import on_host
from .point_differences import gradient_difference
from .report import Report

STEP, RTOL, ATOL = 1e-5, 1e-4, 1e-7


def check_gradients(
    model, *inputs, loss: Callable | None = None, elements: int = 6, seed: int = 0, absolute: float = ATOL
) -> Report:
    """(f(p + h) - f(p - h)) / 2h against backward, at some elements of every parameter, in float64.

    Finds what `gradcheck` of a single op cannot: a path that was cut (`.detach()`, `.data`, `.numpy()`), a table that
    is used twice and gets the gradient of one use.
    model:     a Module; a copy is run, on the numpy row in float64, in evaluation mode
    loss:      what model(*inputs) returns -> the Tensor (one number); None: the last of them that is one number
    elements:  of each parameter: half of them those with the largest gradients, half drawn with `seed`
    absolute:  |backward - difference| <= absolute + 1e-4 max of the two is right
    A kink (ReLU at 0, ties of max) may look wrong. Raises ArgumentError if there is no loss.
    """
    model = copy.deepcopy(model).to("numpy").astype(np.float64).eval()
    inputs = tuple(
        np.asarray(x, np.float64) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in inputs
    )

    def value() -> Tensor:
        returned = model(*inputs)
        numbers = [t for t in tensors_of(returned if loss is None else loss(returned)) if t.size == 1]
        if not numbers:
            raise ArgumentError("check_gradients: the model returned no single number; pass loss=")
        return numbers[-1]

    rng, report = np.random.default_rng(seed), Report("check_gradients")
    with use("numpy"):
        model.zero_grad()
        value().backward()
    with use("numpy"), no_grad():
        for name, p in model.named_parameters():
            gradient = np.zeros(p.shape) if p.grad is None else on_host(p.grad)
            worst: tuple[float, str] = (1.0, "")
            for index in _chosen(gradient, elements, rng):
                step = STEP * max(1.0, abs(float(p.data[index])))
                slope = central_difference(value, p.data, index, step)
                given = float(gradient[index])
                excess = abs(given - slope) / (absolute + RTOL * max(abs(given), abs(slope)))
                if not excess <= worst[0]:
                    what = "no gradient at all" if p.grad is None else f"{given:.5g}"
                    worst = (excess, f"at {index} backward gives {what}, a finite difference {slope:.5g}")
            report.note(name, worst[1])
    return report


def _chosen(gradient, elements, rng) -> list[tuple]:
    flat = np.abs(gradient).ravel()
    largest = np.argsort(-flat, kind="stable")[: (elements + 1) // 2]
    drawn = rng.choice(flat.size, min(flat.size, elements // 2), replace=False)
    return [tuple(int(i) for i in np.unravel_index(k, gradient.shape)) for k in dict.fromkeys([*largest, *drawn])]


def check_accumulation(
    accumulate: Callable, model, ids, targets, rounds: int = 4, loss: Callable | None = None, tolerance: float = 1e-4
) -> Report:
    """Whether gradients that are added up over parts of a batch are those of the whole batch.

    accumulate: accumulate(model, parts): your loop without the optimizer's step. parts: list of (ids, targets); it has
                to leave in `.grad` the gradient of the mean loss over all tokens that count
    model:      a Module; copies are used
    ids:        (B, T), and targets alike, B a multiple of `rounds`. Give targets in which unlike numbers of tokens are
                ignored (-100) to see whether a mean of means passes for a mean
    loss:       loss(model, ids, targets) -> Tensor, the mean; None: model(ids, targets)[1]
    Raises:     ArgumentError
    """
    ids, targets = np.asarray(ids), np.asarray(targets)
    if rounds < 1 or ids.shape[0] % rounds:
        raise ArgumentError(f"check_accumulation: {ids.shape[0]} rows do not make {rounds} equal parts")
    whole, parted = copy.deepcopy(model), copy.deepcopy(model)
    for one in (whole, parted):
        one.zero_grad()
    (whole(ids, targets)[1] if loss is None else loss(whole, ids, targets)).backward()
    accumulate(parted, list(zip(np.split(ids, rounds), np.split(targets, rounds), strict=True)))
    found, theirs = RunDifference(("one batch", "accumulated"), tolerance), dict(parted.named_parameters())
    pairs = [
        (name, *(None if t.grad is None else on_host(t.grad) for t in (p, theirs[name])))
        for name, p in whole.named_parameters()
    ]
    first, report = gradient_difference(pairs, 0, found), Report("check_accumulation")
    problem = ""
    if first is not None:
        problem = str(first)
        if first.hint == f"accumulated is {rounds} times one batch, everywhere":
            problem += (
                f"\n  each of the {rounds} losses is a mean: divide it by {rounds}, or sums by the number of tokens"
            )
    report.note(f"{rounds} parts give the gradient of one batch", problem)
    return report
