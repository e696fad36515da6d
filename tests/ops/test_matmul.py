"""Matrix products of every rank, and the linear layer alone and fused, against its separate parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import minigpt as mg
from minigpt import functional as F

SHAPES = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((3,), (4, 3, 2)),
    ((4, 2, 3), (3,)),
    ((2, 3), (3, 1)),
    ((1, 1), (1, 1)),
    ((4, 2, 3), (3, 2)),
    ((2, 3), (4, 3, 2)),
    ((4, 1, 2, 3), (5, 3, 2)),
    ((1, 2, 3), (4, 3, 1)),
    ((2, 0), (0, 3)),
    ((0, 3), (3, 2)),
    ((0, 2, 3), (3, 2)),
    ((2, 1, 2, 3), (2, 1, 3, 2)),
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_gradient(shapes, rng):
    assert mg.gradcheck(lambda a, b: a @ b, [rng.normal(size=shape) for shape in shapes])


def test_gradient_through_transposed_and_strided_operands(rng):
    assert mg.gradcheck(lambda a, b: a.T @ b[::2], [rng.normal(size=(3, 2)), rng.normal(size=(5, 4))])
    assert mg.gradcheck(lambda a: a @ a.swapaxes(-1, -2), [rng.normal(size=(2, 3, 2))])
    assert mg.gradcheck(lambda a: a @ a, [rng.normal(size=(3, 3))])


@given(
    mutually_broadcastable_shapes(signature="(n?,k),(k,m?)->(n?,m?)", max_dims=2, max_side=3, min_side=0),
    st.integers(0, 9),
)
def test_shapes_values_and_bilinearity(shapes, seed):
    """As NumPy; and since y is linear in each factor, <da, a> = <db, b> = <dy, y>."""
    rng = np.random.default_rng(seed)
    a, b = (mg.Tensor(rng.integers(-5, 5, shape).astype(np.float64), True) for shape in shapes.input_shapes)
    y = a @ b
    expected = np.matmul(a.numpy(), b.numpy())
    assert y.shape == expected.shape
    np.testing.assert_array_equal(y.numpy(), expected)
    dy = rng.integers(-5, 5, y.shape).astype(np.float64)
    y.backward(dy)
    total = np.sum(dy * y.numpy())
    assert np.sum(a.grad * a.numpy()) == np.sum(b.grad * b.numpy()) == total


def test_numpy_arrays_on_either_side():
    a, b = np.arange(6.0).reshape(2, 3), mg.Tensor(np.ones((3, 2)), requires_grad=True)
    y = a @ b
    assert isinstance(y, mg.Tensor)
    y.sum().backward()
    np.testing.assert_array_equal(b.grad, [[3, 3], [5, 5], [7, 7]])
    np.testing.assert_array_equal((b @ a).numpy(), np.ones((3, 2)) @ a)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((2, 3), (2, 3), r"k is 3 on the left, 2 on the right.*did you mean left @ right.T or left.T @ right\?"),
        ((3, 2), (3, 4), r"did you mean left.T @ right\?"),
        ((2, 3), (4,), "4 on the right.* the only one on the right"),
        ((), (3,), r"needs arrays with axes, got shapes \(\) @ \(3,\); for numbers use \*"),
        ((2, 2, 3), (4, 3, 5), "leading axes"),
    ],
)
def test_shapes_that_do_not_fit(a, b, message):
    with pytest.raises(mg.ShapeError, match=message):
        mg.Tensor(np.ones(a)) @ mg.Tensor(np.ones(b))


# --- linear, and what is fused to it -------------------------------------------------------------------------

FUSED = {
    "linear": (F.linear, lambda x, weight, bias: x @ weight if bias is None else x @ weight + bias),
    "linear_gelu": (
        F.linear_gelu,
        lambda x, weight, bias: F.gelu(x @ weight if bias is None else x @ weight + bias),
    ),
}


def value_and_gradients(function, arrays):
    leaves = [None if a is None else mg.Tensor(a, requires_grad=True) for a in arrays]
    y = function(*leaves)
    y.backward(np.cos(np.arange(float(y.size))).reshape(y.shape))
    return [y.numpy(), *(leaf.grad for leaf in leaves if leaf is not None)]


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("x_shape", [(3,), (5, 3), (2, 1, 3), (0, 3), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("name", FUSED)
def test_fused_equals_separate_ops_and_differences(name, x_shape, with_bias, rng):
    fused, separate = FUSED[name]
    arrays = [rng.normal(size=x_shape), rng.normal(size=(3, 4)), rng.normal(size=4) if with_bias else None]
    for actual, expected in zip(value_and_gradients(fused, arrays), value_and_gradients(separate, arrays), strict=True):
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-13)
    given = [a for a in arrays if a is not None]
    assert mg.gradcheck(fused, given)


@pytest.mark.parametrize("name", FUSED)
def test_transposed_weight_as_in_the_tied_head(name, rng):
    assert mg.gradcheck(lambda x, w: FUSED[name][0](x[::2], w.T), [rng.normal(size=(4, 3)), rng.normal(size=(2, 3))])


@pytest.mark.parametrize("wanted", [0, 1, 2])
@pytest.mark.parametrize("name", FUSED)
def test_only_wanted_gradients_are_made(name, wanted, rng):
    arrays = [rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)]
    everything = value_and_gradients(FUSED[name][0], arrays)
    leaves = [mg.Tensor(a, requires_grad=i == wanted) for i, a in enumerate(arrays)]
    y = FUSED[name][0](*leaves)
    y.backward(np.cos(np.arange(20.0)).reshape(5, 4))
    assert [leaf.grad is not None for leaf in leaves] == [i == wanted for i in range(3)]
    np.testing.assert_allclose(leaves[wanted].grad, everything[1 + wanted], rtol=1e-12)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 1, 4), (2, 0, 4)], ids=str)
def test_bias_residual(shape, rng):
    arrays = [rng.normal(size=shape), rng.normal(size=4), rng.normal(size=shape)]
    assert mg.gradcheck(F.bias_residual, arrays)
    separate = value_and_gradients(lambda x, bias, residual: x + bias + residual, arrays)
    for actual, expected in zip(value_and_gradients(F.bias_residual, arrays), separate, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_bias_residual_of_one_tensor_with_itself(rng):
    assert mg.gradcheck(lambda x, b: F.bias_residual(x, b, x), [rng.normal(size=(2, 3)), rng.normal(size=3)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: F.linear(np.ones((2, 3)), np.ones((4, 3))),
            r"in=4, out=3.*must have length in = 4, C is 3; weight is \(in, out\)",
        ),
        (lambda: F.linear(np.ones((2, 3)), np.ones(3)), r"weight has shape \(3,\), needs two axes"),
        (
            lambda: F.linear(np.ones((2, 3)), np.ones((3, 4)), np.ones(3)),
            r"bias has shape \(3,\).*needs \(out,\) = \(4,\)",
        ),
        (lambda: F.linear_gelu(np.float64(1), np.ones((3, 4))), r"linear_gelu: x \(\) and weight"),
        (lambda: F.bias_residual(np.ones((2, 3)), np.ones(2), np.ones((2, 3))), r"bias \(2,\) must be \(C,\)"),
        (lambda: F.bias_residual(np.ones((2, 3)), np.ones(3), np.ones((1, 3))), "must have one shape"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(mg.ShapeError, match=message):
        call()


@pytest.mark.parametrize("bias", [True, False])
def test_linear_with_the_weight_transposed(bias):
    """GPT's head: the (V, C) table of the embedding, used the other way round, and its gradient as (V, C)."""
    rng = np.random.default_rng(5)
    x, weight = rng.normal(size=(2, 3, 4)), rng.normal(size=(5, 4))
    arrays = [x, weight] + ([rng.normal(size=5)] if bias else [])
    assert mg.gradcheck(lambda *a: F.linear(*a, transposed=True), arrays)
    np.testing.assert_allclose(F.linear(*arrays, transposed=True).numpy(), F.linear(x, weight.T, *arrays[2:]).numpy())
    with pytest.raises(mg.ShapeError, match="last axis of x"):
        F.linear(x, weight.T, transposed=True)
