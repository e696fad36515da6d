"""ex_softmax: y_i = exp(x_i) / sum_j exp(x_j) over one axis."""

import numpy as np

from ... import functional as F
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("softmax")


@exercise.reference
def softmax(x, axis=-1):
    return F.softmax(Tensor(x), axis).numpy()


@exercise.part("numbers", points=2)
def numbers(rng):
    yield Case("two rows", rng.normal(size=(2, 3)))
    yield Case("as many rows as columns", rng.normal(size=(3, 3)))
    yield Case("a vector", rng.normal(size=4))
    yield Case("three axes", rng.normal(size=(2, 3, 2)))
    yield Case("not contiguous in memory", rng.normal(size=(3, 8)).T[::2])


@exercise.part("any axis")
def any_axis(rng):
    yield Case("down the columns", rng.normal(size=(2, 3)), axis=0)
    yield Case("the middle one of three axes", rng.normal(size=(2, 3, 2)), axis=1)


@exercise.part("large numbers")
def large_numbers(rng):
    yield Case("about 1000", 1000 + rng.normal(size=(2, 3)))
    yield Case("about -1000", -1000 + rng.normal(size=(2, 3)))
    yield Case("a row about 1000, one about -1000", np.array([[1000.0], [-1000.0]]) + rng.normal(size=(2, 3)))


@exercise.part("masked and other edges")
def edges(rng):
    yield Case("one element a row", rng.normal(size=(3, 1)))
    yield Case("some masked with -inf", np.where([[True, True, False], [False, True, False]], rng.normal(size=(2, 3)),
                                                 -np.inf))  # fmt: skip
    yield Case("no rows at all", np.zeros((0, 3)))
    yield Case("a row of nothing but -inf", np.array([[0.0, 1.0], [-np.inf, -np.inf]]))


@exercise.part("float32 stays float32")
def single(rng):
    yield Case("float32", rng.normal(size=(2, 3)).astype(np.float32))


def _exp(x, axis):
    return np.exp(x - x.max(axis, keepdims=True))


@exercise.mistake(
    "You took the softmax over axis 0, down the columns. The default is axis=-1: each row is a distribution of its own."
)
def over_axis_0(x, axis=0):
    axis = 0 if axis == -1 else axis
    return _exp(x, axis) / _exp(x, axis).sum(axis, keepdims=True)


@exercise.mistake("You always take the last axis; the argument `axis` says which one.")
def ignores_axis(x, axis=-1):
    return _exp(x, -1) / _exp(x, -1).sum(-1, keepdims=True)


@exercise.mistake(
    "You divided by the sum of all elements, so that the whole array adds up to 1. Each row has a sum of its own."
)
def one_sum(x, axis=-1):
    return np.exp(x) / np.exp(x).sum()


@exercise.mistake(
    "The sum lost its axis: sum(axis) of shape (n,) is set against the last axis in the division, so each element is "
    "divided by another row's sum, or the shapes do not fit. keepdims=True keeps the axis, with length 1."
)
def without_keepdims(x, axis=-1):
    e = np.exp(x)
    return e / e.sum(axis)


@exercise.mistake(
    "exp overflows: exp(1000) is inf and inf/inf is nan; exp(-1000) is 0 and 0/0 is nan. The quotient does not change"
    " if you take the row's maximum from every x first, and then no exponent is above 0."
)
def without_shift(x, axis=-1):
    e = np.exp(x)
    return e / e.sum(axis, keepdims=True)


@exercise.mistake(
    "You took away the maximum of the whole array. A row far below it becomes exp(-2000) = 0 throughout, and 0/0 is "
    "nan. Each row needs its own maximum."
)
def one_maximum(x, axis=-1):
    if x.size == 0:
        return x.copy()
    e = np.exp(x - x.max())
    return e / e.sum(axis, keepdims=True)


@exercise.mistake(
    "You took the maximum from x above the fraction line only. It cancels only if it is taken away in the sum as well."
)
def shifted_above_only(x, axis=-1):
    return _exp(x, axis) / np.exp(x).sum(axis, keepdims=True)


@exercise.mistake(
    "You divided x itself by its sum. Without the exponential, negative numbers stay negative: no probabilities."
)
def without_exp(x, axis=-1):
    return x / x.sum(axis, keepdims=True)


@exercise.mistake("These are the logarithms of the probabilities: log-softmax. Take exp, or leave out the log.")
def log_softmax(x, axis=-1):
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


@exercise.mistake(
    "A row of nothing but -inf has the maximum -inf, and -inf - -inf is nan. Such a row means that there is nothing "
    "to attend to; here it gives zeros. Use 0 where the maximum is -inf, and 1 where the sum is 0."
)
def nan_in_a_masked_row(x, axis=-1):
    return _exp(x, axis) / _exp(x, axis).sum(axis, keepdims=True)
