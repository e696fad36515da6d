"""ex_layernorm_forward: (x - mean) / sqrt(var + eps) * weight + bias over the last axis."""

import numpy as np

from ... import functional as F
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("layernorm_forward")


@exercise.reference
def layernorm_forward(x, weight, bias, eps=1e-5):
    return F.layer_norm(Tensor(x), Tensor(weight), Tensor(bias), eps).numpy()


def _plain(x):
    """x with a weight of ones and a bias of zeros."""
    return x, np.ones(x.shape[-1], x.dtype), np.zeros(x.shape[-1], x.dtype)


def _full(rng, shape, dtype=np.float64):
    C = shape[-1]
    arrays = rng.normal(1, 2, size=shape), rng.uniform(0.5, 2, size=C), rng.normal(size=C)
    return tuple(a.astype(dtype) for a in arrays)


@exercise.part("mean 0, variance 1", points=2)
def normalised(rng):
    yield Case("two rows of four", *_plain(rng.normal(3, 2, size=(2, 4))))
    yield Case("as many rows as channels", *_plain(rng.normal(size=(3, 3))))
    yield Case("(B, T, C)", *_plain(rng.normal(-1, 1, size=(2, 2, 3))))


@exercise.part("weight and bias")
def affine(rng):
    yield Case("two rows of four", *_full(rng, (2, 4)))
    yield Case("(B, T, C)", *_full(rng, (2, 3, 2)))


@exercise.part("rows of little variance, and eps")
def little_variance(rng):
    yield Case("differences of about 0.001", *_plain(5 + 1e-3 * rng.normal(size=(2, 4))))
    yield Case("all channels equal", *_plain(np.array([[2.0, 2.0, 2.0], [0.0, 1.0, 2.0]])))
    yield Case("a large eps", *_full(rng, (2, 3)), eps=0.5)
    yield Case("one channel", *_full(rng, (2, 1)))


@exercise.part("rows far from zero")
def far_from_zero(rng):
    yield Case("about a million", *_plain(1e6 + rng.normal(size=(2, 4))))


@exercise.part("float32 stays float32")
def single(rng):
    yield Case("float32", *_full(rng, (2, 4), np.float32))
    x, weight, bias = _full(rng, (4, 3), np.float32)
    yield Case("not contiguous in memory", x[::2], weight, bias)


def _answer(x, weight, bias, eps, axis=-1, ddof=0):
    mean, var = x.mean(axis, keepdims=True), x.var(axis, keepdims=True, ddof=ddof)
    return (x - mean) / np.sqrt(var + eps) * weight + bias


@exercise.mistake(
    "You did not subtract the mean. What is left is close to RMS norm, which other models use; layer norm centres "
    "each row first."
)
def without_mean(x, weight, bias, eps=1e-5):
    return x / np.sqrt(x.var(-1, keepdims=True) + eps) * weight + bias


@exercise.mistake(
    "This is RMS norm: each row divided by the root of the mean of its squares. Layer norm takes the mean away first "
    "and divides by the standard deviation."
)
def rms_norm(x, weight, bias, eps=1e-5):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight + bias


@exercise.mistake(
    "You divided the sum of squares by C - 1. Layer norm takes the row as it is, not as a sample of something larger:"
    " divide by C (ddof=0, NumPy's default)."
)
def divided_by_c_minus_1(x, weight, bias, eps=1e-5):
    return _answer(x, weight, bias, eps, ddof=1)


@exercise.mistake("You divided by the variance; divide by its square root.")
def without_root(x, weight, bias, eps=1e-5):
    return (x - x.mean(-1, keepdims=True)) / (x.var(-1, keepdims=True) + eps) * weight + bias


@exercise.mistake(
    "eps belongs under the root: sqrt(var + eps). Added to the standard deviation it does much less: for var = 0 you "
    "divide by 0.00001, not by 0.003."
)
def eps_outside_the_root(x, weight, bias, eps=1e-5):
    return (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + eps) * weight + bias


@exercise.mistake("eps is missing. A row whose channels are all equal has variance 0, and 0/0 is nan.")
def without_eps(x, weight, bias, eps=1e-5):
    return _answer(x, weight, bias, 0.0)


@exercise.mistake("You always use the default eps; the argument says how large it is.")
def own_eps(x, weight, bias, eps=1e-5):
    return _answer(x, weight, bias, 1e-5)


@exercise.mistake(
    "You took mean and variance over the rows: that is batch norm, where tokens depend on one another. Layer norm "
    "looks at the channels of one token, the last axis."
)
def over_rows(x, weight, bias, eps=1e-5):
    return _answer(x, weight, bias, eps, axis=0)


@exercise.mistake(
    "You took one mean and one variance of the whole array. Each token has its own, over the last axis, with keepdims."
)
def of_everything(x, weight, bias, eps=1e-5):
    return _answer(x, weight, bias, eps, axis=None)


@exercise.mistake("The weight and the bias are missing: y = normalised * weight + bias.")
def without_weight_and_bias(x, weight, bias, eps=1e-5):
    return _answer(x, np.ones_like(weight), np.zeros_like(bias), eps)


@exercise.mistake("The bias is added before the weight multiplies; it comes last: normalised * weight + bias.")
def bias_first(x, weight, bias, eps=1e-5):
    return (_answer(x, np.ones_like(weight), np.zeros_like(bias), eps) + bias) * weight


@exercise.mistake(
    "You reckoned the variance as mean(x²) - mean(x)². For x about a million both are about 1e12, and the digits of "
    "their difference are lost; it may even be negative. Take the mean from x first, then square."
)
def difference_of_squares(x, weight, bias, eps=1e-5):
    mean = x.mean(-1, keepdims=True)
    var = (x * x).mean(-1, keepdims=True) - mean * mean
    return (x - mean) / np.sqrt(var + eps) * weight + bias
