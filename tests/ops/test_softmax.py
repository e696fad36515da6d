"""Softmax and its logarithm: gradients, invariance, rows with nothing in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import minigpt as mg
from minigpt import functional as F

BOTH = {"softmax": F.softmax, "log_softmax": F.log_softmax}
LOGITS = arrays(np.float64, array_shapes(max_dims=3, max_side=5), elements=st.floats(-30, 30))


@pytest.mark.parametrize(
    ("shape", "axis"), [((5,), 0), ((1,), -1), ((3, 1, 4), 0), ((3, 1, 4), 1), ((3, 1, 4), -1), ((0, 3), 1)]
)
@pytest.mark.parametrize("name", BOTH)
def test_gradient(name, shape, axis, rng):
    assert mg.gradcheck(lambda x: BOTH[name](x, axis=axis), [rng.normal(size=shape)])


@pytest.mark.parametrize("name", BOTH)
def test_gradient_through_a_view(name, rng):
    assert mg.gradcheck(lambda x: BOTH[name](x.T[::-2], axis=0), [rng.normal(size=(3, 7))])


@given(LOGITS, st.floats(-1e3, 1e3), st.data())
def test_adding_a_constant_changes_nothing_and_rows_sum_to_one(x, shift, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    y = F.softmax(mg.Tensor(x), axis=axis).numpy()
    np.testing.assert_allclose(F.softmax(mg.Tensor(x + shift), axis=axis).numpy(), y, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(y.sum(axis=axis), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.exp(F.log_softmax(mg.Tensor(x), axis=axis).numpy()), y, rtol=1e-9, atol=1e-300)


@given(LOGITS)
def test_the_gradient_along_a_row_sums_to_zero(x):
    """A common shift has no effect, so it has no derivative either."""
    for function in BOTH.values():
        leaf = mg.Tensor(x, requires_grad=True)
        function(leaf).backward(np.random.default_rng(0).normal(size=x.shape))
        np.testing.assert_allclose(leaf.grad.sum(axis=-1), 0, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_logits_do_not_overflow(dtype):
    x = mg.Tensor(np.array([[1e4, 0, -1e4], [1e30, 1e30, -1e30]], dtype), requires_grad=True)
    y = F.softmax(x)
    np.testing.assert_array_equal(y.numpy(), [[1, 0, 0], [0.5, 0.5, 0]])
    np.testing.assert_allclose(F.log_softmax(x).numpy()[0], [0, -1e4, -2e4])
    y.sum().backward()
    assert np.isfinite(x.grad).all()
    assert y.dtype == x.grad.dtype == dtype


def test_a_row_of_only_minus_infinity_gives_zeros_and_no_gradient():
    x = mg.Tensor([[-np.inf, -np.inf], [0.0, -np.inf]], requires_grad=True)
    y = F.softmax(x)
    y.backward(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
    np.testing.assert_array_equal(y.numpy(), [[0, 0], [1, 0]])
    np.testing.assert_array_equal(x.grad, 0)


def test_log_softmax_of_a_row_of_only_minus_infinity():
    """log 0 = -inf is the answer, as softmax gives zeros there; no NaN, no warning, no gradient."""
    x = mg.Tensor([[-np.inf, -np.inf], [0.0, -np.inf]], requires_grad=True)
    y = F.log_softmax(x)
    np.testing.assert_array_equal(y.numpy(), [[-np.inf, -np.inf], [0, -np.inf]])
    y[1, :1].sum().backward()
    np.testing.assert_array_equal(x.grad, 0)


@pytest.mark.parametrize("name", BOTH)
def test_refusals(name):
    with pytest.raises(mg.ShapeError, match=f"{name} needs at least one axis"):
        BOTH[name](mg.Tensor(1.0))
    with pytest.raises(mg.ShapeError, match=f"{name}: axis 2 does not exist, the array has 2 axes"):
        BOTH[name](mg.Tensor(np.ones((2, 3))), axis=2)
    with pytest.raises(mg.ShapeError, match="nothing to normalise"):
        BOTH[name](mg.Tensor(np.ones((2, 0))))


def test_integers_become_float32():
    assert F.softmax(mg.Tensor([1, 2, 3])).dtype == np.float32
    np.testing.assert_allclose(F.softmax([0, 0]).numpy(), [0.5, 0.5])
