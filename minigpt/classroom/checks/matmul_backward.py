"""ex_matmul_backward: the two gradients of y = a @ b, batches and a shared weight included."""

import numpy as np

from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("matmul_backward", outputs=("da", "db"))


@exercise.reference
def matmul_backward(dy, a, b):
    a, b = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
    (a @ b).backward(dy)
    return a.grad, b.grad


def _case(label, rng, a, b, dtype=np.float64):
    a, b = rng.normal(size=a).astype(dtype), rng.normal(size=b).astype(dtype)
    return Case(label, rng.normal(size=(a @ b).shape).astype(dtype), a, b)


@exercise.part("da of two matrices", of=["da"])
def left(rng):
    yield _case("three different lengths", rng, (2, 3), (3, 4))
    yield _case("square: every product has a fitting shape", rng, (3, 3), (3, 3))


@exercise.part("db of two matrices", of=["db"])
def right(rng):
    yield _case("three different lengths", rng, (2, 3), (3, 4))
    yield _case("square: every product has a fitting shape", rng, (3, 3), (3, 3))


@exercise.part("batches of matrices")
def batches(rng):
    yield _case("two pairs of matrices", rng, (2, 2, 3), (2, 3, 2))
    yield _case("heads", rng, (2, 2, 2, 3), (2, 2, 3, 1))


@exercise.part("one weight for the whole batch", points=2)
def shared(rng):
    yield _case("tokens (B, T, C) times a weight (C, N)", rng, (2, 3, 2), (2, 4))
    yield _case("as many sequences as tokens", rng, (2, 2, 2), (2, 2))


@exercise.part("edges")
def edges(rng):
    yield _case("all lengths 1", rng, (1, 1), (1, 1))
    a, b = rng.normal(size=(3, 2)).T, rng.normal(size=(4, 3)).T
    yield Case("not contiguous in memory", rng.normal(size=(4, 2)).T, a, b)
    yield _case("no rows at all", rng, (0, 3), (3, 2))


@exercise.part("float32 stays float32")
def single(rng):
    yield _case("float32", rng, (2, 3), (3, 2), np.float32)


def _t(x):
    return x.swapaxes(-1, -2)


def _fit(d, like):
    """Sum over the leading axes that `like` does not have."""
    return d.sum(axis=tuple(range(d.ndim - like.ndim)))


@exercise.mistake(
    "The factors of da stand the wrong way round. In y = a @ b the matrix b is on the right, so it is on the right in"
    " da = dy @ (b transposed) as well; the order of a matrix product matters."
)
def order_of_da(dy, a, b):
    return _t(b) @ dy, _fit(_t(a) @ dy, b)


@exercise.mistake(
    "The factors of db stand the wrong way round. In y = a @ b the matrix a is on the left, so it is on the left in "
    "db = (a transposed) @ dy as well; the order of a matrix product matters."
)
def order_of_db(dy, a, b):
    return dy @ _t(b), dy @ _t(a)


@exercise.mistake(
    "You did not transpose. Element y[i, j] took a[i, k] * b[k, j]; so da[i, k] collects dy[i, j] * b[k, j] over j, "
    "which is the product with b transposed. Likewise a in db."
)
def without_transpose(dy, a, b):
    return dy @ b, _fit(a @ dy, b)


@exercise.mistake("You returned the two gradients in the wrong order; wanted is `return da, db`.")
def swapped(dy, a, b):
    da, db = matmul_backward(dy, a, b)
    return db, da


@exercise.mistake(
    "The incoming gradient dy is missing: with ones in its place these are the gradients of y.sum(). Every backward "
    "step multiplies by what comes in."
)
def without_dy(dy, a, b):
    return matmul_backward(np.ones_like(dy), a, b)


@exercise.mistake(
    "For more than two axes `.T` turns all axes round, the batch included. Swap only the last two: swapaxes(-1, -2)."
)
def all_axes_reversed(dy, a, b):
    return dy @ b.T, _fit(a.T @ dy, b)


@exercise.mistake(
    "Every sequence of the batch used the same weight b, so its gradient is the sum of what all of them send back. "
    "Yours still has the batch axis; db has the shape of b."
)
def batch_axis_left(dy, a, b):
    return dy @ _t(b), _t(a) @ dy


@exercise.mistake(
    "You averaged the weight's gradient over the batch. A value that is used several times gets the sum of the "
    "gradients; a mean is only right where the loss itself took one."
)
def mean_over_batch(dy, a, b):
    d = _t(a) @ dy
    return dy @ _t(b), d.mean(axis=tuple(range(d.ndim - b.ndim))) if d.ndim > b.ndim else d


@exercise.mistake("You took the gradient of the first sequence only; all sequences of the batch used the weight.")
def first_of_batch(dy, a, b):
    d = _t(a) @ dy
    return dy @ _t(b), d[0] if d.ndim > b.ndim else d
