"""Layer normalisation: gradients with and without weight and bias, and what it must not see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import minigpt as mg
from minigpt import functional as F


@pytest.mark.parametrize("given", ["both", "weight", "bias", "neither"])
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 1, 4), (3, 1), (0, 4), (2, 0, 4)], ids=str)
def test_gradient(shape, given, rng):
    x, weight, bias = rng.normal(size=shape), rng.normal(size=shape[-1]), rng.normal(size=shape[-1])
    if given == "both":
        assert mg.gradcheck(lambda *a: F.layer_norm(*a, eps=1e-3), [x, weight, bias])
    elif given == "neither":
        assert mg.gradcheck(lambda x: F.layer_norm(x, eps=1e-3), [x])
    else:
        assert mg.gradcheck(lambda x, p: F.layer_norm(x, **{given: p}, eps=1e-3), [x, weight])


def test_gradient_through_a_view(rng):
    assert mg.gradcheck(lambda x: F.layer_norm(x.T[::-2], eps=1e-3), [rng.normal(size=(4, 5))])


def test_equals_its_definition_in_separate_ops(rng):
    x, weight, bias = rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=5)

    def separate(x, weight, bias):
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred / (x.var(axis=-1, keepdims=True) + 1e-5).sqrt() * weight + bias

    results = []
    for function in (F.layer_norm, separate):
        leaves = [mg.Tensor(a, requires_grad=True) for a in (x, weight, bias)]
        y = function(*leaves)
        y.backward(np.cos(np.arange(15.0)).reshape(3, 5))
        results.append([y.numpy(), *(leaf.grad for leaf in leaves)])
    for fused, parts in zip(*results, strict=True):
        np.testing.assert_allclose(fused, parts, rtol=1e-10, atol=1e-12)


@given(
    arrays(np.float64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6), elements=st.integers(-50, 50)),
    st.floats(0.5, 20),
    st.floats(-100, 100),
)
def test_neither_shift_nor_scale_of_a_row_is_seen(x, scale, shift):
    """Rows have mean 0; variance 1 where they vary at all; and x -> scale * x + shift changes nothing."""
    y = F.layer_norm(x, eps=1e-12).numpy()
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-9)
    varies = x.var(axis=-1) > 0
    np.testing.assert_allclose(y.var(axis=-1)[varies], 1, rtol=1e-6)
    np.testing.assert_allclose(F.layer_norm(scale * x + shift, eps=1e-12).numpy()[varies], y[varies], atol=1e-6)


def test_a_constant_row_gives_the_bias():
    x = mg.Tensor(np.full((2, 3), 7.0, np.float32), requires_grad=True)
    y = F.layer_norm(x, np.full(3, 2, np.float32), np.array([1, 2, 3], np.float32))
    y.backward(np.array([[1, 0, 0], [0, 5, 0]], np.float32))
    np.testing.assert_array_equal(y.numpy(), [[1, 2, 3], [1, 2, 3]])
    assert np.isfinite(x.grad).all()


def test_a_far_off_mean_costs_no_digits():
    """Variance as mean(x^2) - mean(x)^2 would lose everything here in float32."""
    small = np.array([[-1.0, 0.0, 1.0, 2.0]], np.float32)
    np.testing.assert_allclose(F.layer_norm(small + 4096).numpy(), F.layer_norm(small).numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.layer_norm(np.float64(1)), r"at least one element, got shape \(\)"),
        (lambda: F.layer_norm(np.ones((2, 0))), "at least one element"),
        (
            lambda: F.layer_norm(np.ones((2, 3)), np.ones(2)),
            r"weight has shape \(2,\), x \(N=2, C=3\) needs \(C,\) = \(3,\)",
        ),
        (lambda: F.layer_norm(np.ones((2, 3)), np.ones(3), np.ones((1, 3))), r"bias has shape \(1, 3\)"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(mg.ShapeError, match=message):
        call()
