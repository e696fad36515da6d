"""ex_broadcasting_backward: back from the shape that NumPy stretched an array to, by summing."""

import numpy as np

from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("broadcasting_backward", outputs=("dx",))


@exercise.reference
def broadcasting_backward(dy, shape):
    x = Tensor(np.zeros(shape, dy.dtype), requires_grad=True)
    (x + np.zeros(dy.shape, dy.dtype)).backward(dy)
    return x.grad


@exercise.part("an axis that was added in front")
def added(rng):
    yield Case("a bias of three", rng.normal(size=(2, 3)), (3,))
    yield Case("a bias on (B, T, C)", rng.normal(size=(2, 2, 3)), (3,))
    yield Case("a matrix on (B, T, C)", rng.normal(size=(2, 3, 2)), (3, 2))


@exercise.part("an axis of length 1 that was stretched", points=2)
def stretched(rng):
    yield Case("a column", rng.normal(size=(2, 3)), (2, 1))
    yield Case("a row", rng.normal(size=(2, 3)), (1, 3))
    yield Case("the middle one", rng.normal(size=(2, 3, 2)), (2, 1, 2))
    yield Case("square", rng.normal(size=(3, 3)), (3, 1))


@exercise.part("both at once", points=2)
def both(rng):
    yield Case("a column, on (B, T, C)", rng.normal(size=(2, 3, 2)), (3, 1))
    yield Case("two new axes and a stretched one", rng.normal(size=(2, 2, 2, 2)), (1, 2))
    yield Case("a single number", rng.normal(size=(2, 3)), ())


@exercise.part("nothing was stretched")
def untouched(rng):
    yield Case("the same shape", rng.normal(size=(2, 3)), (2, 3))
    yield Case("an axis of length 1 that stayed so", rng.normal(size=(2, 1)), (2, 1))
    yield Case("a batch of one", rng.normal(size=(1, 2, 3)), (2, 3))


@exercise.part("float32 stays float32")
def single(rng):
    yield Case("float32", rng.normal(size=(4, 3)).astype(np.float32), (1, 3))


def _added(dy, shape):
    return tuple(range(dy.ndim - len(shape)))


def _stretched(dy, shape):
    """Axes of dy, counted from behind, that have length 1 in `shape` and more in dy."""
    return tuple(-i for i in range(1, len(shape) + 1) if shape[-i] == 1 and dy.shape[-i] != 1)


def _by(reduce):
    """A right answer in all but the function that brings an axis down."""

    def answer(dy, shape):
        dy = reduce(dy, _added(dy, shape), False)
        return np.asarray(reduce(dy, _stretched(dy, shape), True))

    return answer


@exercise.mistake(
    "You took the mean over the stretched axis. Each copy of x went into the loss, so their gradients add up; nobody "
    "divided by the number of copies in forward."
)
def mean(dy, shape):
    return _by(lambda d, axes, keep: d.mean(axes, keepdims=keep) if axes else d)(dy, shape)


@exercise.mistake(
    "You kept the gradient of the first copy. All copies of x went into the loss; their gradients add up."
)
def first_copy(dy, shape):
    def first(d, axes, keep):
        for axis in axes:
            d = d.take([0], axis)
        return d if keep else d.reshape(d.shape[len(axes) :])

    return _by(first)(dy, shape)


@exercise.mistake("You returned dy as it is. The gradient of x must have the shape of x; sum over the stretched axes.")
def unchanged(dy, shape):
    return dy.copy()


@exercise.mistake(
    "You summed over the axes that NumPy added in front, but not over those of length 1 that it stretched; or you "
    "forced the shape with a reshape. A 1 in `shape` where dy has more means: sum, and keep the axis."
)
def added_axes_only(dy, shape):
    return dy.sum(_added(dy, shape))


@exercise.mistake(
    "You summed over the stretched axes, but the axes that NumPy added in front are still there. Their number is "
    "dy.ndim - len(shape)."
)
def stretched_axes_only(dy, shape):
    return dy.sum(_stretched(dy, shape), keepdims=True)


@exercise.mistake("The sum over a stretched axis must leave an axis of length 1, as x has it: keepdims=True.")
def axis_lost(dy, shape):
    return np.asarray(dy.sum(_added(dy, shape)).sum(_stretched(dy, shape)))


@exercise.mistake(
    "You always sum over axis 0. Which axes were stretched depends on `shape`: compare it with dy.shape from behind."
)
def axis_0(dy, shape):
    return np.asarray(dy.sum(axis=0))


@exercise.mistake(
    "You compared the shapes from the front. NumPy lines shapes up at their last axes: (3, 1) against (2, 3, 2) means"
    " 3 against 3 and 1 against 2."
)
def aligned_in_front(dy, shape):
    behind = tuple(range(len(shape), dy.ndim))
    dx = dy.sum(behind)
    return np.asarray(dx.sum(tuple(i for i, n in enumerate(shape) if n == 1 and dx.shape[i] != 1), keepdims=True))


@exercise.mistake("You summed over everything. Elements of x that were not copied keep gradients of their own.")
def everything(dy, shape):
    return np.full(shape, dy.sum())
