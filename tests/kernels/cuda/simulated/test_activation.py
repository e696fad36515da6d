"""Activation functions on the simulated card, every rung of GELU, far from zero and close to it."""

import numpy as np
import pytest

from kernels.cuda import activation, device
from kernels.cuda.errors import DeviceError
from kernels.cuda.ladder import LADDERS
from kernels.reference import activation as reference

SHAPES = [(1,), (3, 5), (2, 3, 4), (1030,), (0, 4), ()]


def inputs(rng, shape):
    return [np.asarray(3 * rng.standard_normal(shape).astype(np.float32)) for _ in range(2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "gelu"])
def test_forward_and_backward(name, shape, agrees, rng):
    x, dy = inputs(rng, shape)
    y = agrees("activation", f"{name}_forward", x)
    saved = np.asarray(y) if name in ("tanh", "sigmoid") else x
    agrees("activation", f"{name}_backward", dy, saved)


@pytest.mark.parametrize("shape", [(1,), (70,)], ids=str)
def test_exact_gelu(shape, agrees, rng):
    x, dy = inputs(rng, shape)
    agrees("activation", "gelu_forward", x, approximate="none")
    agrees("activation", "gelu_backward", dy, x, approximate="none")


def test_every_digit_of_tanh():
    """Relative to each result, not to the largest: 1 - 2 / (e^2x + 1) alone would lose all digits close to 0."""
    x = np.concatenate([np.geomspace(1e-30, 20, 300), [0, 0.6, 0.59999]]).astype(np.float32)
    x = np.concatenate([x, -x])
    y = device.to_host(activation.tanh_forward(device.from_host(x)))
    np.testing.assert_allclose(y, np.tanh(x.astype(np.float64)), rtol=3e-7)


@pytest.mark.parametrize("approximate", ["tanh", "none"])
def test_far_from_zero(approximate):
    """x^3 and e^x overflow; the results have simple limits. NaN stays NaN."""
    x = np.array([-1e30, -1e13, -1000, -20.5, 20.5, 1000, 1e13, 1e30, np.nan], np.float32)
    on_card, dy = device.from_host(x), device.from_host(np.full_like(x, 2))
    y = device.to_host(activation.gelu_forward(on_card, approximate))
    np.testing.assert_allclose(y, np.where(x < 0, 0, x), atol=1e-30)
    dx = device.to_host(activation.gelu_backward(dy, on_card, approximate))
    np.testing.assert_allclose(dx, [0, 0, 0, 0, 2, 2, 2, 2, np.nan], atol=1e-30)
    for name, limits in (("tanh", (-1, 1)), ("sigmoid", (0, 1)), ("relu", (0, x))):
        y = device.to_host(getattr(activation, f"{name}_forward")(on_card))
        np.testing.assert_allclose(y[:-1], np.where(x < 0, *limits)[:-1], atol=2e-9)
        assert np.isnan(y[-1])


@pytest.mark.parametrize("n", [1, 3, 4, 5, 63, 300])
@pytest.mark.parametrize("rung", LADDERS["gelu_forward"], ids=lambda rung: f"v{rung.number}")
def test_every_rung_forward(rung, n, rng):
    x, _ = inputs(rng, (n,))
    y = np.full(n + 4, 7, np.float32)
    rung.function(1, 32, x, y, n)
    np.testing.assert_allclose(y[:n], reference.gelu_forward(x.astype(np.float64)), atol=1e-5)
    assert (y[n:] == 7).all()  # nothing behind the last element was written


@pytest.mark.parametrize("n", [1, 3, 4, 5, 63, 300])
@pytest.mark.parametrize("rung", LADDERS["gelu_backward"], ids=lambda rung: f"v{rung.number}")
def test_every_rung_backward(rung, n, rng):
    x, dy = inputs(rng, (n,))
    dx = np.full(n + 4, 7, np.float32)
    rung.function(2, 32, dy, x, dx, n)
    np.testing.assert_allclose(dx[:n], reference.gelu_backward(dy, x.astype(np.float64)), atol=1e-5)
    assert (dx[n:] == 7).all()


def test_views_and_repeated_gradients(rng):
    """A transposed x, and the dy of a sum, which is one number repeated."""
    x = inputs(rng, (6, 5))[0]
    on_card = device.from_host(x)
    turned = device.DeviceArray(on_card.lease, np.float32, (5, 6), on_card.strides[::-1])
    dy = device.broadcast_view(device.from_host(np.ones((1, 1), np.float32)), (5, 6))
    wanted = reference.gelu_backward(np.ones((5, 6), np.float32), x.T)
    np.testing.assert_allclose(device.to_host(activation.gelu_backward(dy, turned)), wanted, atol=1e-5)


def test_relu_of_integers_is_not_there():
    with pytest.raises(DeviceError, match="no relu for int64"):
        activation.relu_forward(device.from_host(np.array([1, -1])))
