"""ex_gelu: the bent line of GPT-2's feed-forward layers, and its slope."""

import numpy as np

from ... import functional as F
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("gelu", outputs=("y", "slope"))

A = 0.044715
ROOT = (2 / np.pi) ** 0.5


@exercise.reference
def gelu(x):
    x = Tensor(x, requires_grad=True)
    y = F.gelu(x)
    y.backward(np.ones_like(x.data))
    return y.numpy(), x.grad


@exercise.part("values", points=2, of=["y"])
def values(rng):
    yield Case("five numbers", np.array([-2.0, -0.5, 0.0, 0.5, 2.0]))
    yield Case("a matrix", rng.normal(size=(2, 3)))


@exercise.part("slope", points=3, of=["slope"])
def slope(rng):
    yield Case("five numbers", np.array([-2.0, -0.5, 0.0, 0.5, 2.0]))
    yield Case("a matrix", 2 * rng.normal(size=(2, 3)))


@exercise.part("edges")
def edges(rng):
    yield Case("far from zero", np.array([-1000.0, -30.0, 30.0, 1000.0]))
    yield Case("one number", np.array([[0.7]]))
    yield Case("nothing", np.zeros((0, 3)))
    yield Case("not contiguous in memory", rng.normal(size=(3, 4)).T[::2])


@exercise.part("float32 stays float32")
def single(rng):
    yield Case("float32", rng.normal(size=(2, 3)).astype(np.float32))


def _u(x, a=A, root=ROOT):
    return root * (x + a * x**3)


def _slope(x, u=None, du=None):
    """The right slope, with the argument of tanh or its derivative replaced."""
    t = np.tanh(_u(x) if u is None else u)
    du = ROOT * (1 + 3 * A * x * x) if du is None else du
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du


def _value(x, u=None):
    return 0.5 * x * (1 + np.tanh(_u(x) if u is None else u))


def _sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


@exercise.mistake("This is ReLU, max(x, 0), with a corner at 0. GELU is bent: it goes a little below 0 on the left.")
def relu(x):
    return np.maximum(x, 0), (x > 0).astype(x.dtype)


@exercise.mistake(
    "You used the quick formula x * sigmoid(1.702 x). It is another curve, up to 0.02 away; GPT-2 was trained with the "
    "one with tanh."
)
def quick(x):
    s = _sigmoid(1.702 * x)
    return x * s, s + 1.702 * x * s * (1 - s)


@exercise.mistake("This is SiLU, x * sigmoid(x): a similar curve, but not GELU, which is steeper around 0.")
def silu(x):
    s = _sigmoid(x)
    return x * s, s + x * s * (1 - s)


@exercise.mistake("The factor 0.5 is missing: 1 + tanh goes up to 2, and far to the right GELU must be x, not 2x.")
def without_half(x):
    return 2 * _value(x), 2 * _slope(x)


@exercise.mistake("The factor x in front is missing; what you have is the share 0.5 * (1 + tanh(u)), from 0 to 1.")
def share_only(x):
    return 0.5 * (1 + np.tanh(_u(x))), _slope(x)


@exercise.mistake("Under tanh stands 2/pi; the factor is its square root, sqrt(2/pi), about 0.798.")
def without_root(x):
    u = _u(x, root=2 / np.pi)
    return _value(x, u), _slope(x, u, 2 / np.pi * (1 + 3 * A * x * x))


@exercise.mistake(
    "You squared x under tanh; the formula has its cube. x² has no sign, and the curve loses its symmetry."
)
def square_for_cube(x):
    u = ROOT * (x + A * x * x)
    return _value(x, u), _slope(x, u, ROOT * (1 + 2 * A * x))


@exercise.mistake(
    "Your slope is the share 0.5 * (1 + tanh(u)) alone. x stands in y twice, in front and inside u: the product rule "
    "adds a second term, 0.5 * x * (slope of tanh) * du."
)
def slope_without_product_rule(x):
    return _value(x), 0.5 * (1 + np.tanh(_u(x)))


@exercise.mistake(
    "Your slope lacks du, the derivative of what stands inside tanh. The chain rule multiplies the slope of tanh, 1 - "
    "t², by it: du = sqrt(2/pi) * (1 + 3 * 0.044715 * x²)."
)
def slope_without_inner(x):
    return _value(x), _slope(x, du=np.ones_like(x))


@exercise.mistake("The derivative of x³ is 3x²; the 3 is missing in your du.")
def slope_without_three(x):
    return _value(x), _slope(x, du=ROOT * (1 + A * x * x))


@exercise.mistake(
    "Your du lacks the factor sqrt(2/pi): u = sqrt(2/pi) * (x + 0.044715 x³), and a constant factor stays in front of "
    "the derivative."
)
def slope_without_root(x):
    return _value(x), _slope(x, du=1 + 3 * A * x * x)


@exercise.mistake("The slope of tanh is 1 - t², the square of t = tanh(u); you took 1 - t.")
def tanh_without_square(x):
    t = np.tanh(_u(x))
    return _value(x), 0.5 * (1 + t) + 0.5 * x * (1 - t) * ROOT * (1 + 3 * A * x * x)


@exercise.mistake("The second term of your slope lacks the factor x, which stands in front of tanh in y.")
def slope_without_x(x):
    t = np.tanh(_u(x))
    return _value(x), 0.5 * (1 + t) + 0.5 * (1 - t * t) * ROOT * (1 + 3 * A * x * x)


@exercise.mistake(
    "You wrote tanh with exponentials, (exp(u) - exp(-u)) / (exp(u) + exp(-u)). Far from zero exp overflows, and "
    "inf/inf is nan. np.tanh stays finite."
)
def tanh_by_exponentials(x):
    u = _u(x)
    t = (np.exp(u) - np.exp(-u)) / (np.exp(u) + np.exp(-u))
    return 0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * ROOT * (1 + 3 * A * x * x)


@exercise.mistake("The factor of x³ is 0.044715; yours is ten times as large, a nought is missing after the point.")
def nought_missing(x):
    u = _u(x, a=10 * A)
    return _value(x, u), _slope(x, u, ROOT * (1 + 30 * A * x * x))
