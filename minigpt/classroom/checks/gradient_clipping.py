"""ex_gradient_clipping: all gradients scaled down together, so that their common norm is at most max_norm."""

import numpy as np

from ... import optim
from ...nn import Parameter
from ..exercise import Case, Exercise

# the library adds 1e-6 to the norm; an answer that does not is as good
exercise = Exercise("gradient_clipping", outputs=("clipped", "norm"), tolerance=1e-5)


@exercise.reference
def gradient_clipping(grads, max_norm):
    params = [Parameter(np.zeros(1 if g is None else g.shape)) for g in grads]
    for p, g in zip(params, grads, strict=True):
        p.grad = None if g is None else g.copy()
    norm = optim.clip_grad_norm_(params, max_norm)
    return [p.grad for p in params], float(norm)


@exercise.part("the norm before", points=2, of=["norm"])
def norm(rng):
    yield Case("3, 4", [np.array([3.0, 4.0])], 10.0)
    yield Case("two arrays", [rng.normal(size=(2, 3)), rng.normal(size=4)], 10.0)
    yield Case("far above max_norm", [rng.normal(size=(2, 3)), rng.normal(size=4)], 0.1)


@exercise.part("too large: scaled down together", points=2)
def large(rng):
    yield Case("one array", [rng.normal(size=3)], 0.5)
    yield Case("a large and a small array", [10 * rng.normal(size=(2, 2)), 0.1 * rng.normal(size=3)], 1.0)
    yield Case("max_norm 2", [rng.normal(size=(3, 3)), 4 * rng.normal(size=2)], 2.0)


@exercise.part("small enough: as they were")
def small(rng):
    yield Case("norm below 1", [0.1 * rng.normal(size=3), 0.1 * rng.normal(size=2)], 1.0)
    yield Case("nothing but zeros", [np.zeros(3), np.zeros((2, 1))], 1.0)


@exercise.part("a parameter without a gradient")
def without(rng):
    yield Case("the second of three", [rng.normal(size=3), None, rng.normal(size=2)], 0.5)


@exercise.part("float32 stays float32")
def single(rng):
    yield Case("float32", [rng.normal(size=(2, 2)).astype(np.float32), rng.normal(size=3).astype(np.float32)], 0.5)


def _each(grads, function):
    return [None if g is None else function(g) for g in grads]


def _norm(grads):
    return float(np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in grads if g is not None)))


@exercise.mistake(
    "Each array is clipped by its own norm. That changes the direction of the step: the small gradients keep their "
    "size and the large ones lose theirs. There is one norm, of all numbers together."
)
def each_by_itself(grads, max_norm):
    return _each(grads, lambda g: g * min(1.0, max_norm / (_norm([g]) + 1e-6))), _norm(grads)


@exercise.mistake(
    "You cut off each number at ±max_norm. That is clipping by value, which changes the direction of the step; "
    "clipping by norm multiplies all numbers by the same factor."
)
def by_value(grads, max_norm):
    return _each(grads, lambda g: np.clip(g, -max_norm, max_norm)), _norm(grads)


@exercise.mistake(
    "Small gradients are scaled up to max_norm. Clipping only ever makes smaller: the factor is at most 1."
)
def always_scaled(grads, max_norm):
    return _each(grads, lambda g: g * (max_norm / (_norm(grads) + 1e-6))), _norm(grads)


@exercise.mistake("The gradients are divided by their norm and so have norm 1, whatever max_norm says.")
def to_norm_one(grads, max_norm):
    total = _norm(grads)
    return _each(grads, lambda g: g / total if total > max_norm else g), total


@exercise.mistake("The factor is upside down: norm / max_norm makes large gradients larger.")
def upside_down(grads, max_norm):
    total = _norm(grads)
    return _each(grads, lambda g: g * (total / max_norm) if total > max_norm else g), total


@exercise.mistake("The root is missing: the norm is the square root of the sum of squares.")
def without_root(grads, max_norm):
    total = _norm(grads) ** 2
    return _each(grads, lambda g: g * min(1.0, max_norm / (total + 1e-6))), total


@exercise.mistake(
    "You added up the arrays' norms. Of two arrays with norms 3 and 4 the common norm is sqrt(9 + 16) = 5, not 7: add "
    "the squares, and take the root once."
)
def sum_of_norms(grads, max_norm):
    total = float(sum(_norm([g]) for g in grads if g is not None))
    return _each(grads, lambda g: g * min(1.0, max_norm / (total + 1e-6))), total


@exercise.mistake(
    "This is the largest absolute number, not the root of the sum of squares; a thousand gradients of 0.1 are a step "
    "of 3.2."
)
def largest_number(grads, max_norm):
    total = max(float(np.abs(g).max()) for g in grads if g is not None)
    return _each(grads, lambda g: g * min(1.0, max_norm / (total + 1e-6))), total


@exercise.mistake(
    "The norm returned is the one after clipping, which is max_norm whenever there was something to clip. Return the "
    "norm before: it shows whether training goes astray."
)
def norm_afterwards(grads, max_norm):
    clipped, _ = gradient_clipping(grads, max_norm)
    return clipped, _norm(clipped)


@exercise.mistake(
    "max_norm / 0 where all gradients are 0: the factor becomes inf or nan, and nan stays in the weights for ever. "
    "Scale only if the norm is above max_norm, or add a small number to it."
)
def zero_over_zero(grads, max_norm):
    total = _norm(grads)
    factor = np.minimum(1.0, max_norm / total) if total else np.nan
    return _each(grads, lambda g: g * float(factor)), total


@exercise.mistake(
    "A parameter without a gradient got one. None says that nothing was computed for it, and the optimizer leaves it "
    "as it is; with zeros it would still decay and be moved by its momentum."
)
def zeros_for_none(grads, max_norm):
    clipped, total = gradient_clipping(grads, max_norm)
    return [np.zeros(1) if g is None else g for g in clipped], total


@exercise.mistake("Those without a gradient are left out, so the list no longer fits the parameters; keep None there.")
def none_left_out(grads, max_norm):
    clipped, total = gradient_clipping(grads, max_norm)
    return [g for g in clipped if g is not None], total
