"""ex_layernorm_backward: the gradients of layer norm's input, weight and bias."""

import numpy as np

from ... import functional as F
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("layernorm_backward", outputs=("dx", "dweight", "dbias"))


@exercise.reference
def layernorm_backward(dy, x, weight, eps=1e-5):
    x, weight = Tensor(x, requires_grad=True), Tensor(weight, requires_grad=True)
    bias = Tensor(np.zeros_like(weight.data), requires_grad=True)
    F.layer_norm(x, weight, bias, eps).backward(dy)
    return x.grad, weight.grad, bias.grad


def _case(label, rng, shape, dtype=np.float64, **settings):
    dy, x = rng.normal(size=shape), rng.normal(1, 2, size=shape)
    weight = rng.uniform(0.5, 2, size=shape[-1])
    return Case(label, *(a.astype(dtype) for a in (dy, x, weight)), **settings)


@exercise.part("dbias", of=["dbias"])
def bias(rng):
    yield _case("two rows of four", rng, (2, 4))
    yield _case("(B, T, C)", rng, (2, 2, 3))


@exercise.part("dweight", points=2, of=["dweight"])
def weight(rng):
    yield _case("two rows of four", rng, (2, 4))
    yield _case("(B, T, C)", rng, (2, 2, 3))


@exercise.part("dx", points=4, of=["dx"])
def dx(rng):
    yield _case("one row of three", rng, (1, 3))
    yield _case("as many rows as channels", rng, (3, 3))
    yield _case("(B, T, C)", rng, (2, 2, 3))


@exercise.part("little variance, and eps", points=2)
def little_variance(rng):
    yield _case("a large eps", rng, (2, 3), eps=0.5)
    yield Case("all channels equal", rng.normal(size=(1, 3)), np.full((1, 3), 2.0), np.array([1.0, 2.0, 0.5]))
    yield _case("one channel", rng, (2, 1))


@exercise.part("float32 stays float32")
def single(rng):
    yield _case("float32", rng, (2, 4), np.float32)


def _parts(x, eps, axis=-1):
    rstd = 1 / np.sqrt(x.var(axis, keepdims=True) + eps)
    return (x - x.mean(axis, keepdims=True)) * rstd, rstd


def _rows(d):
    """Sum over all axes but the last."""
    return d.sum(axis=tuple(range(d.ndim - 1)))


def _mean(d):
    return d.mean(-1, keepdims=True)


def _answer(dy, x, weight, eps, of_dx):
    """A right answer but for dx = of_dx(dxhat, xhat, rstd)."""
    xhat, rstd = _parts(x, eps)
    return of_dx(dy * weight, xhat, rstd), _rows(dy * xhat), _rows(dy)


@exercise.mistake(
    "You took mean and standard deviation for constants. Both depend on every channel of the row, so each dx gets two"
    " more terms, one through the mean and one through the variance."
)
def statistics_constant(dy, x, weight, eps=1e-5):
    return _answer(dy, x, weight, eps, lambda d, xhat, rstd: d * rstd)


@exercise.mistake(
    "The way through the variance is missing: the term xhat * mean(dxhat * xhat). A longer row would be divided by "
    "more, so no gradient can be left along xhat."
)
def without_variance_term(dy, x, weight, eps=1e-5):
    return _answer(dy, x, weight, eps, lambda d, xhat, rstd: (d - _mean(d)) * rstd)


@exercise.mistake(
    "The way through the mean is missing: the term mean(dxhat). A constant added to the whole row changes nothing in "
    "y, so the elements of dx must add up to 0."
)
def without_mean_term(dy, x, weight, eps=1e-5):
    return _answer(dy, x, weight, eps, lambda d, xhat, rstd: (d - xhat * _mean(d * xhat)) * rstd)


@exercise.mistake(
    "You took sums where means belong: mean and variance divide by C, and so do the two terms that come back through "
    "them."
)
def sums_for_means(dy, x, weight, eps=1e-5):
    C = x.shape[-1]
    return _answer(dy, x, weight, eps, lambda d, xhat, rstd: (d - C * _mean(d) - C * xhat * _mean(d * xhat)) * rstd)


@exercise.mistake(
    "The weight is missing on the way to dx: y = xhat * weight + bias, so dxhat = dy * weight, and everything else "
    "follows from dxhat."
)
def without_weight(dy, x, weight, eps=1e-5):
    return _answer(
        dy, x, np.ones_like(weight), eps, lambda d, xhat, rstd: (d - _mean(d) - xhat * _mean(d * xhat)) * rstd
    )


@exercise.mistake(
    "The weight multiplies at the end of your dx. It belongs inside: dxhat = dy * weight first, then the means are "
    "taken, which mix the channels and so their weights."
)
def weight_at_the_end(dy, x, weight, eps=1e-5):
    return (
        _answer(
            dy / weight, x, weight, eps, lambda d, xhat, rstd: weight * (d - _mean(d) - xhat * _mean(d * xhat)) * rstd
        )[:1]
        + layernorm_backward(dy, x, weight, eps)[1:]
    )


@exercise.mistake(
    "dx lacks the factor rstd = 1 / sqrt(var + eps): xhat = (x - mean) * rstd, so what comes back is multiplied by it."
)
def without_rstd(dy, x, weight, eps=1e-5):
    return _answer(dy, x, weight, eps, lambda d, xhat, rstd: d - _mean(d) - xhat * _mean(d * xhat))


@exercise.mistake(
    "You multiplied dweight by x; in forward the weight multiplies xhat, the normalised row, so its gradient is dy * "
    "xhat."
)
def weight_times_x(dy, x, weight, eps=1e-5):
    dx, _, dbias = layernorm_backward(dy, x, weight, eps)
    return dx, _rows(dy * x), dbias


@exercise.mistake(
    "dweight and dbias have the shape of the weight, (C,): every token used the same weight, so sum over all axes but"
    " the last. You did not sum over all of them."
)
def not_summed(dy, x, weight, eps=1e-5):
    xhat, _ = _parts(x, eps)
    return layernorm_backward(dy, x, weight, eps)[0], (dy * xhat).sum(axis=0), dy.sum(axis=0)


@exercise.mistake(
    "You averaged dweight and dbias over the tokens. Weight and bias were used by every token, and gradients of "
    "several uses add up."
)
def averaged(dy, x, weight, eps=1e-5):
    dx, dweight, dbias = layernorm_backward(dy, x, weight, eps)
    tokens = dy.size // dy.shape[-1]
    return dx, dweight / tokens, dbias / tokens


@exercise.mistake(
    "eps is missing in your rstd. A row whose channels are all equal has variance 0: without eps its gradient is nan."
)
def without_eps(dy, x, weight, eps=1e-5):
    return layernorm_backward(dy, x, weight, 0.0)


@exercise.mistake("You took mean and variance over the tokens; layer norm takes them over the channels of one token.")
def over_rows(dy, x, weight, eps=1e-5):
    xhat, rstd = _parts(x, eps, axis=0)
    d = dy * weight
    dx = (d - d.mean(0, keepdims=True) - xhat * (d * xhat).mean(0, keepdims=True)) * rstd
    return dx, _rows(dy * xhat), _rows(dy)
