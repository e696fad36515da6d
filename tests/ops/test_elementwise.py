"""Operations on elements at the same place: gradients of every element, broadcasting both ways, extreme values."""

import math

import numpy as np
import pytest

import minigpt as mg
from minigpt import ops

BINARY = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
}
UNARY = {
    "negative": lambda x: -x,
    "abs": lambda x: x.abs(),
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "sqrt": lambda x: x.sqrt(),
    "cube": lambda x: x**3,
    "inverse_root": lambda x: x**-0.5,
    "number_to_the_x": lambda x: 2.5**x,
}
PAIRS = [
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((2, 3), ()),
    ((), ()),
    ((1,), (3,)),
    ((1, 1), (1,)),
    ((2, 1, 3), (4, 1)),
    ((0, 3), (3,)),
    ((0,), (1,)),
    ((1, 1, 1), ()),
    ((4, 3, 1), (1, 1)),
]


def between(rng, shape):
    """Positive numbers away from 0 and 1, where log, division, powers and the kink of abs are harmless."""
    return rng.uniform(1.3, 2.5, shape) * rng.choice([1.0, 0.3], shape)


@pytest.mark.parametrize("shapes", PAIRS, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_gradients_through_broadcasting(name, shapes, rng):
    a, b = (between(rng, shape) for shape in shapes)
    assert mg.gradcheck(BINARY[name], [a, b])
    expected = {"power": np.power, "divide": np.true_divide}.get(name) or getattr(np, name)
    np.testing.assert_allclose(BINARY[name](mg.Tensor(a), mg.Tensor(b)).numpy(), expected(a, b), rtol=1e-14)


@pytest.mark.parametrize("name", BINARY)
def test_both_operands_are_the_same_tensor(name, rng):
    assert mg.gradcheck(lambda x: BINARY[name](x, x), [between(rng, (2, 3))])
    assert mg.gradcheck(lambda x: BINARY[name](x, x.T), [between(rng, (3, 3))])


@pytest.mark.parametrize("shape", [(), (1,), (2, 0, 3), (3, 1, 5)], ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_gradients_of_functions(name, shape, rng):
    assert mg.gradcheck(UNARY[name], [between(rng, shape)])


@pytest.mark.parametrize("name", UNARY)
def test_gradients_through_non_contiguous_views(name, rng):
    """Every second column, backwards, transposed: the op sees strides that are not those of a fresh array."""
    assert mg.gradcheck(lambda x: UNARY[name](x[:, ::-2].T), [between(rng, (2, 7))])
    assert mg.gradcheck(UNARY[name], [np.asfortranarray(between(rng, (3, 4)))])


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_float32_stays_float32_and_agrees_with_float64(name, rng):
    x = between(rng, (4, 5))
    function = UNARY.get(name) or (lambda x: BINARY[name](x, x + 0.5))
    results = {}
    for dtype in (np.float32, np.float64):
        leaf = mg.Tensor(x.astype(dtype), requires_grad=True)
        y = function(leaf)
        y.sum().backward()
        assert y.dtype == leaf.grad.dtype == dtype
        results[dtype] = y.numpy(), leaf.grad
    for single, double in zip(results[np.float32], results[np.float64], strict=True):
        np.testing.assert_allclose(single, double, rtol=2e-5)


def test_the_kink_of_abs_takes_the_gradient_zero():
    x = mg.Tensor([-1.0, 0.0, 2.0], requires_grad=True)
    x.abs().sum().backward()
    np.testing.assert_array_equal(x.grad, [-1, 0, 1])


@pytest.mark.parametrize(
    ("exponent", "gradient"), [(0, [0, 0]), (1, [1, 1]), (2, [0, 4]), (0.0, [0, 0]), (3.0, [0, 12])]
)
def test_powers_at_zero(exponent, gradient):
    """0^(e-1) is infinite for e < 1; the product rule's factor e = 0 must win, without a warning."""
    for how in (lambda x: x**exponent, lambda x: x ** mg.Tensor(np.array([exponent, exponent], x.dtype))):
        x = mg.Tensor([0.0, 2.0], requires_grad=True)
        how(x).sum().backward()
        np.testing.assert_array_equal(x.grad, gradient)


def test_zero_to_the_variable_exponent():
    exponent = mg.Tensor([2.0, 3.0], requires_grad=True)
    (mg.Tensor([0.0, 2.0]) ** exponent).sum().backward()
    np.testing.assert_allclose(exponent.grad, [0, 8 * math.log(2)], rtol=1e-6)


@pytest.mark.parametrize(
    "shapes", [((2, 3), (2, 3), (2, 3)), ((3,), (2, 1), ()), ((2, 3), (3,), (2, 1)), ((), (), (2,))]
)
def test_where(shapes, rng):
    condition = rng.random(shapes[0]) < 0.5
    a, b = (rng.normal(size=shape) for shape in shapes[1:])
    assert mg.gradcheck(mg.where, [condition, a, b])
    np.testing.assert_array_equal(mg.where(condition, mg.Tensor(a), mg.Tensor(b)).numpy(), np.where(condition, a, b))


def test_where_hides_what_is_not_chosen():
    """The branch not taken may be infinite or NaN without reaching value or gradient."""
    x = mg.Tensor([1.0, np.inf, np.nan], requires_grad=True)
    y = mg.where(np.array([True, False, False]), x, 0.0)
    y.sum().backward()
    np.testing.assert_array_equal(y.numpy(), [1, 0, 0])
    np.testing.assert_array_equal(x.grad, [1, 0, 0])


def test_where_wants_a_boolean_condition():
    with pytest.raises(mg.ArgumentError, match=r"boolean, got float32.*x > 0"):
        mg.where(mg.Tensor([1.0]), 1.0, 2.0)


def test_label_passes_value_and_gradient(rng):
    assert mg.gradcheck(lambda x: ops.Label.apply(x * 2.0, name="doubled") ** 2, [rng.normal(size=(2, 3))])


def test_cast_brings_the_gradient_back():
    x = mg.Tensor(np.array([1.5, 2.5]), requires_grad=True)
    y = x.astype(np.float32)
    (y * 3.0).sum().backward()
    assert (y.dtype, x.grad.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(x.grad, [3, 3])
    assert x.astype(np.float64) is x


@pytest.mark.parametrize("name", BINARY)
def test_shapes_that_do_not_fit_name_the_axis(name):
    with pytest.raises(
        mg.ShapeError, match=rf"{name}: shapes \(2, 3\) and \(2, 4\).*axis -1 is 3 \(left\) and 4 \(right\)"
    ):
        BINARY[name](mg.Tensor(np.ones((2, 3))), mg.Tensor(np.ones((2, 4))))
