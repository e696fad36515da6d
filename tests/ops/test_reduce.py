"""Sum, mean, max, min and variance: every axis, every element."""

import numpy as np
import pytest

import minigpt as mg

REDUCTIONS = ("sum", "mean", "max", "min", "var")
SHAPES_AND_AXES = [
    ((), None),
    ((), ()),
    ((5,), 0),
    ((1,), -1),
    ((3, 1, 4), None),
    ((3, 1, 4), 0),
    ((3, 1, 4), 1),
    ((3, 1, 4), -1),
    ((3, 1, 4), (0, 2)),
    ((3, 1, 4), (2, -3)),
    ((3, 1, 4), ()),
    ((2, 0, 3), 0),
    ((2, 0, 3), (0, 2)),
]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("shape", "axis"), SHAPES_AND_AXES)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_value_and_gradient(name, shape, axis, keepdims, rng):
    x = rng.permutation(np.arange(np.prod(shape, dtype=int)) * 0.37).reshape(shape)  # no ties
    y = getattr(mg.Tensor(x), name)(axis=axis, keepdims=keepdims)
    expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    assert y.shape == np.shape(expected)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert mg.gradcheck(lambda x: getattr(x, name)(axis=axis, keepdims=keepdims), [x])


@pytest.mark.parametrize("name", REDUCTIONS)
def test_non_contiguous_input(name, rng):
    x = rng.normal(size=(4, 6))
    assert mg.gradcheck(lambda x: getattr(x.T[::-2], name)(axis=1), [x])


@pytest.mark.parametrize("name", REDUCTIONS)
def test_float32_and_integers_give_sensible_dtypes(name):
    assert getattr(mg.Tensor(np.ones((2, 3), np.float32)), name)().dtype == np.float32
    integers = getattr(mg.Tensor(np.arange(6)), name)()
    assert integers.dtype == (np.int64 if name in ("sum", "max", "min") else np.float32)


def test_ties_share_the_gradient_of_max_equally():
    x = mg.Tensor([[3.0, 3.0, 1.0], [2.0, 2.0, 2.0]], requires_grad=True)
    x.max(axis=1).backward([1.0, 6.0])
    np.testing.assert_array_equal(x.grad, [[0.5, 0.5, 0], [2, 2, 2]])
    x.grad = None
    x.max().backward()
    np.testing.assert_array_equal(x.grad, [[0.5, 0.5, 0], [0, 0, 0]])


def test_max_and_min_of_infinities():
    x = mg.Tensor([-np.inf, 1.0, np.inf], requires_grad=True)
    (x.max() * 2.0).backward()
    np.testing.assert_array_equal(x.grad, [0, 0, 2])
    assert x.min().item() == -np.inf


def test_the_sum_of_nothing_is_zero():
    x = mg.Tensor(np.zeros((0, 3), np.float32), requires_grad=True)
    y = x.sum(axis=0)
    y.sum().backward()
    np.testing.assert_array_equal(y.numpy(), [0, 0, 0])
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("name", ["mean", "max", "min", "var"])
def test_other_reductions_of_nothing_are_refused(name):
    with pytest.raises(mg.ShapeError, match=r"over axes \(0,\) of an array of shape \(0, 3\): .*nothing to reduce"):
        getattr(mg.Tensor(np.zeros((0, 3))), name)(axis=0)


@pytest.mark.parametrize(
    ("axis", "error", "message"),
    [
        (2, mg.ShapeError, "sum: axis 2 does not exist, the array has 2 axes"),
        ((0, -2), mg.ShapeError, "names an axis twice"),
        ("rows", mg.ArgumentError, "an axis is an integer, got 'rows'"),
    ],
)
def test_wrong_axes(axis, error, message):
    with pytest.raises(error, match=message):
        mg.Tensor(np.ones((2, 3))).sum(axis=axis)
