"""Finite differences against backward, element by element.

    d f / d x_i  ~  (f(x + eps e_i) - f(x - eps e_i)) / (2 eps)

in float64, for *every* element of every input. A function with many outputs is first reduced to one number by
random weights, one weight per output element, so that no error can hide in a sum.
"""

from __future__ import annotations

import numpy as np

from .errors import ArgumentError, GradcheckError
from .tensor import Tensor, no_grad


def gradcheck(fn, inputs, eps=1e-5, rtol=1e-4, atol=1e-6) -> bool:
    """True if every analytic gradient g agrees with its finite difference n: |g - n| <= atol + rtol * |n|.

    fn:      takes as many Tensors as there are inputs, returns a Tensor or a tuple of them
    inputs:  Tensors or arrays (one alone, or a list); float ones are checked in float64, others passed on as they are
    Raises:  GradcheckError naming the input, the index and both values of the worst element; ArgumentError if fn is
             random, or if nothing is there to check
    """
    inputs = inputs if isinstance(inputs, tuple | list) else (inputs,)
    originals = [x if isinstance(x, Tensor) else Tensor(x) for x in inputs]
    tensors = [
        Tensor(x.numpy().astype(np.float64), requires_grad=True, name=x.name) if x.dtype.kind == "f" else x
        for x in originals
    ]
    checked = [(i, t) for i, t in enumerate(tensors) if t.dtype.kind == "f"]
    if not checked:
        raise ArgumentError("gradcheck: no input is a float array, so there is no gradient to check")
    weights: list[np.ndarray] = []

    def weighted_sum() -> Tensor:
        outputs = fn(*tensors)
        outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
        floats = [y for y in outputs if y.dtype.kind == "f"]
        if not floats:
            raise ArgumentError("gradcheck: fn returned no float tensor")
        if not weights:
            rng = np.random.default_rng(0)
            weights.extend(rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) for y in floats)
        parts = [(y * w).sum() for y, w in zip(floats, weights, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    total = weighted_sum()
    with no_grad():
        again = weighted_sum()
    if total.item() != again.item() and not (np.isnan(total.item()) and np.isnan(again.item())):
        raise ArgumentError(
            f"gradcheck: fn gave {total.item()!r} and then {again.item()!r} for the same inputs; it must not be "
            "random. Pass dropout a fixed int seed, not a generator"
        )
    if not total.requires_grad:
        raise GradcheckError("gradcheck: the output of fn does not depend on its inputs through any op")
    total.backward()
    for i, t in checked:
        if t.grad is None:
            raise GradcheckError(
                f"gradcheck: nothing flows back to input {i}; does fn use its arguments, not a model around it? "
                "An input without influence must be left out of the list"
            )
    worst: tuple[float, str] = (0.0, "")
    with no_grad():
        for i, t in checked:
            analytic = t.grad
            for index in np.ndindex(t.shape):
                numeric = central_difference(weighted_sum, t.data, index, eps)
                error = abs(analytic[index] - numeric)
                excess = error / (atol + rtol * abs(numeric)) if np.isfinite(error) else np.inf
                if excess > max(1.0, worst[0]):
                    place = f"input {i}" + (f" ({t.name})" if t.name else "")
                    worst = (excess, f"{place}{f' at index {index}' if index else ''}: backward gave "
                                     f"{analytic[index]:.8g}, finite differences {numeric:.8g}")  # fmt: skip
    if worst[1]:
        raise GradcheckError(f"gradcheck: {worst[1]} (the worst of all elements; rtol {rtol}, atol {atol})")
    return True


def central_difference(function, array, index, eps) -> float:
    """(f(x + eps) - f(x - eps)) / 2 eps at array[index]; function() reads the array; .item() of it is f."""
    kept = array[index]
    array[index] = kept + eps
    above = function().item()
    array[index] = kept - eps
    below = function().item()
    array[index] = kept
    return (above - below) / (2 * eps)
