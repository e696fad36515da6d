"""Activation functions: gradients of every element, other layouts, numbers of any size."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F

ACTIVATIONS = {
    "tanh": F.tanh,
    "sigmoid": F.sigmoid,
    "relu": F.relu,
    "gelu_tanh": F.gelu,
    "gelu_exact": lambda x: F.gelu(x, approximate="none"),
}


def off_zero(rng, shape):
    """Of either sign, away from the kink of relu."""
    return rng.uniform(0.1, 3.0, shape) * rng.choice([-1.0, 1.0], shape)


@pytest.mark.parametrize("shape", [(), (1,), (2, 0, 3), (3, 1, 5)], ids=str)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradient(name, shape, rng):
    assert mg.gradcheck(ACTIVATIONS[name], [off_zero(rng, shape)])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradient_through_non_contiguous_views(name, rng):
    assert mg.gradcheck(lambda x: ACTIVATIONS[name](x[:, ::-2].T), [off_zero(rng, (2, 7))])
    assert mg.gradcheck(ACTIVATIONS[name], [np.asfortranarray(off_zero(rng, (3, 4)))])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_float32_stays_float32_and_agrees_with_float64(name, rng):
    x, results = off_zero(rng, (4, 5)), {}
    for dtype in (np.float32, np.float64):
        leaf = mg.Tensor(x.astype(dtype), requires_grad=True)
        y = ACTIVATIONS[name](leaf)
        y.sum().backward()
        assert y.dtype == leaf.grad.dtype == dtype
        results[dtype] = y.numpy(), leaf.grad
    for single, double in zip(results[np.float32], results[np.float64], strict=True):
        np.testing.assert_allclose(single, double, rtol=2e-5, atol=1e-6)


def test_no_number_is_too_large():
    """Warnings are errors here, so an overflow inside would show."""
    x = mg.Tensor(np.array([-1e4, -100.0, -0.0, 0.0, 100.0, 1e4], np.float32), requires_grad=True)
    for name, expected in {
        "sigmoid": [0, 0, 0.5, 0.5, 1, 1],
        "tanh": [-1, -1, 0, 0, 1, 1],
        "relu": [0, 0, 0, 0, 100, 1e4],
        "gelu_tanh": [0, 0, 0, 0, 100, 1e4],
        "gelu_exact": [0, 0, 0, 0, 100, 1e4],
    }.items():
        x.grad = None
        y = ACTIVATIONS[name](x)
        y.sum().backward()
        np.testing.assert_array_equal(y.numpy(), expected)
        assert np.isfinite(x.grad).all()


def test_the_kink_of_relu_takes_the_gradient_zero():
    x = mg.Tensor([-1.0, 0.0, 2.0], requires_grad=True)
    F.relu(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 0, 1])


def test_method_and_function_are_the_same_op():
    x = mg.Tensor([0.5], requires_grad=True)
    assert x.tanh().op is F.tanh(x).op


def test_gelu_knows_two_forms_only():
    with pytest.raises(mg.ArgumentError, match=r"'tanh' or 'none', got 'erf'"):
        F.gelu(mg.Tensor([1.0]), approximate="erf")
