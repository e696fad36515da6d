"""ex_adam: one step of Adam, called again and again with the averages of the step before."""

import numpy as np

from ... import optim
from ...nn import Parameter
from ..exercise import Case, Exercise

exercise = Exercise("adam", outputs=("p", "m", "v"))


@exercise.runner
def run(adam, p, grads, lr=0.1, betas=(0.9, 0.999), eps=1e-8):
    """As many steps as there are rows of grads, the first with t=1 and averages of zeros; what the last one returns."""
    m, v, result = np.zeros_like(p), np.zeros_like(p), None
    for t, g in enumerate(grads, 1):
        result = adam(p, g, m, v, t, lr, betas, eps)
        if not isinstance(result, tuple | list) or len(result) != 3:
            break  # the checker says what is wanted
        p, m, v = result
    return result


@exercise.reference
def adam(p, g, m, v, t, lr=0.1, betas=(0.9, 0.999), eps=1e-8):
    parameter = Parameter(p.copy())
    parameter.grad = g.copy()
    optimizer = optim.Adam([parameter], lr, betas, eps)
    optimizer.state[0] = {"t": t - 1, "m": m.copy(), "v": v.copy()}
    optimizer.step()
    return parameter.data, optimizer.state[0]["m"], optimizer.state[0]["v"]


def _case(label, rng, steps, n=2, dtype=np.float64, **settings):
    return Case(label, rng.normal(size=n).astype(dtype), rng.normal(size=(steps, n)).astype(dtype), **settings)


@exercise.part("averages", points=2, of=["m", "v"])
def averages(rng):
    yield _case("one step", rng, 1)
    yield _case("three steps", rng, 3)
    yield _case("other betas", rng, 3, betas=(0.5, 0.8))


@exercise.part("the first step", points=2, of=["p"])
def first_step(rng):
    yield Case("a large and a small gradient", np.array([1.0, 1.0]), np.array([[100.0, -0.01]]))
    yield _case("random numbers", rng, 1)


@exercise.part("many steps", points=3, of=["p"])
def many_steps(rng):
    yield _case("two steps", rng, 2)
    yield _case("six steps", rng, 6)
    yield _case("other betas and learning rate", rng, 4, lr=0.01, betas=(0.5, 0.8))


@exercise.part("tiny gradients, and eps", points=2)
def tiny(rng):
    yield Case("a gradient as small as eps", np.array([1.0, 2.0]), np.array([[1e-8, 3e-8], [2e-8, 0.0]]))
    yield Case("no gradient at all", np.array([1.0, 2.0]), np.zeros((2, 2)))
    yield _case("a large eps", rng, 2, eps=0.1)


@exercise.part("float32 stays float32")
def single(rng):
    yield _case("float32", rng, 3, dtype=np.float32)


def _averages(g, m, v, betas):
    b1, b2 = betas
    return b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g


def _hats(m, v, t, betas):
    return m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)


@exercise.mistake(
    "There is no bias correction in your step. The averages begin at 0: after the first step m is only a tenth of the "
    "gradient, and v a thousandth of its square. Divide m by 1 - beta1^t, and v by 1 - beta2^t."
)
def without_correction(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    return p - lr * m / (np.sqrt(v) + eps), m, v


@exercise.mistake(
    "You corrected m but not v. v begins at 0 as well, and is a thousandth of the squared gradient after one step: "
    "your first steps are about 30 times too long."
)
def only_m_corrected(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    return p - lr * _hats(m, v, t, betas)[0] / (np.sqrt(v) + eps), m, v


@exercise.mistake("You corrected v but not m: your first steps are ten times too short. m begins at 0 as well.")
def only_v_corrected(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    return p - lr * m / (np.sqrt(_hats(m, v, t, betas)[1]) + eps), m, v


@exercise.mistake(
    "You returned the corrected averages. The correction is for this step alone; the next one must go on with the "
    "plain m and v, or it is corrected twice."
)
def returns_corrected(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    m, v = _hats(m, v, t, betas)
    return p - lr * m / (np.sqrt(v) + eps), m, v


@exercise.mistake(
    "Your correction is that of the first step, every time: 1 - beta in place of 1 - beta^t. With t the averages fill "
    "up, and the correction must fade to 1."
)
def always_first_step(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    mh, vh = _hats(m, v, 1, betas)
    return p - lr * mh / (np.sqrt(vh) + eps), m, v


@exercise.mistake(
    "Your correction counts from 0: 1 - beta^0 is 0, and the first step divides by it. t is 1 in the first step."
)
def counts_from_zero(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    mh, vh = m / np.float64(1 - betas[0] ** (t - 1)), v / np.float64(1 - betas[1] ** (t - 1))
    return p - lr * mh / (np.sqrt(vh) + eps), m, v


@exercise.mistake(
    "You multiplied beta by t. What is left of the zero at the start after t steps is beta^t (`beta**t`), beta times "
    "itself; beta * t soon exceeds 1, and the root of a negative number is nan."
)
def beta_times_t(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    return p - lr * (m / (1 - betas[0] * t)) / (np.sqrt(v / (1 - betas[1] * t)) + eps), m, v


@exercise.mistake(
    "The square root is missing. v is an average of squares; only its root has the size of a gradient, so that a "
    "gradient ten times larger gives the same step."
)
def without_root(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    mh, vh = _hats(m, v, t, betas)
    return p - lr * mh / (vh + eps), m, v


@exercise.mistake(
    "eps stands under your root. There it counts as sqrt(eps) = 0.0001, ten thousand times more; in Adam it is added "
    "to the root."
)
def eps_under_root(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    mh, vh = _hats(m, v, t, betas)
    return p - lr * mh / np.sqrt(vh + eps), m, v


@exercise.mistake(
    "eps is missing in your step. Where no gradient has ever come, m and v are 0, and 0/0 is nan: one such number and "
    "the whole model is nan."
)
def without_eps(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    mh, vh = _hats(m, v, t, betas)
    return p - lr * mh / np.sqrt(vh), m, v


@exercise.mistake("You went uphill: the gradient points to where the loss grows, so the step is taken away from p.")
def uphill(p, g, m, v, t, lr, betas, eps):
    return 2 * p - adam(p, g, m, v, t, lr, betas, eps)[0], *_averages(g, m, v, betas)


@exercise.mistake(
    "You divided the gradient itself by the root. The step follows m, the average over the last steps, which is "
    "steadier than one gradient."
)
def gradient_for_m(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    return p - lr * g / (np.sqrt(_hats(m, v, t, betas)[1]) + eps), m, v


@exercise.mistake("The two betas are exchanged: the first, 0.9, is for m, the second, 0.999, for v.")
def betas_exchanged(p, g, m, v, t, lr, betas, eps):
    return adam(p, g, m, v, t, lr, betas[::-1], eps)


@exercise.mistake(
    "The gradient comes in with its full weight. An average of old and new needs shares that add up to 1: beta for the "
    "old, 1 - beta for the new."
)
def without_share(p, g, m, v, t, lr, betas, eps):
    m, v = betas[0] * m + g, betas[1] * v + g * g
    mh, vh = _hats(m, v, t, betas)
    return p - lr * mh / (np.sqrt(vh) + eps), m, v


@exercise.mistake("Your v averages the gradient itself; it must be its square, g * g, which has no sign.")
def v_without_square(p, g, m, v, t, lr, betas, eps):
    m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g
    mh, vh = _hats(m, v, t, betas)
    return p - lr * mh / (np.sqrt(vh) + eps), m, v


@exercise.mistake(
    "Old and new have exchanged their shares: the old average keeps beta (0.9 of it), the new gradient comes in with 1 "
    "- beta."
)
def shares_exchanged(p, g, m, v, t, lr, betas, eps):
    b1, b2 = betas
    m, v = (1 - b1) * m + b1 * g, (1 - b2) * v + b2 * g * g
    mh, vh = _hats(m, v, t, betas)
    return p - lr * mh / (np.sqrt(vh) + eps), m, v


@exercise.mistake(
    "Two things: the averages are not corrected for having begun at 0 (divide m by 1 - beta1^t, v by 1 - beta2^t), and "
    "eps stands under the root, where it counts as sqrt(eps) = 0.0001; it is added to the root."
)
def eps_under_root_without_correction(p, g, m, v, t, lr, betas, eps):
    m, v = _averages(g, m, v, betas)
    return p - lr * m / np.sqrt(v + eps), m, v
