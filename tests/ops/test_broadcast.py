"""How shapes and dtypes of two arrays meet, and how a gradient finds its way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

import minigpt as mg
from minigpt.backend import load
from minigpt.ops.broadcast import broadcast_shape, normalize_axes, normalize_axis, result_dtype, unbroadcast


@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3, min_side=0), st.integers(0, 9))
def test_unbroadcast_adds_up_every_use_of_an_element(shapes, seed):
    """Against the definition: walk over the output and add dy to the element of the input that was read there."""
    dy = np.random.default_rng(seed).integers(-9, 9, shapes.result_shape).astype(np.float64)
    for shape in shapes.input_shapes:
        expected = np.zeros(shape)
        for index in np.ndindex(dy.shape):
            own = index[len(index) - len(shape) :]
            expected[tuple(0 if n == 1 else i for i, n in zip(own, shape, strict=True))] += dy[index]
        actual = unbroadcast(load("numpy"), dy, shape)
        assert actual.shape == shape
        np.testing.assert_array_equal(actual, expected)


@given(st.lists(array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), min_size=1, max_size=3))
def test_broadcast_shape_is_numpys(shapes):
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(mg.ShapeError, match=r"do not broadcast: (axis -|[BTC] is)"):
            broadcast_shape("test", *shapes)
    else:
        assert broadcast_shape("test", *shapes) == expected


def test_every_wrong_axis_is_named():
    with pytest.raises(
        mg.ShapeError, match=r"add: .*: B is 5 \(left\) and 6 \(right\); T is 2 \(left\) and 4 \(right\)\."
    ):
        broadcast_shape("add", (5, 2, 3), (6, 4, 1))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (("f4", 1), ("f4", 1), "f4"),
        (("f4", 1), ("f8", 1), "f8"),
        (("f4", 1), ("f8", 0), "f4"),  # a 0-d array adopts
        (("f8", 1), ("f4", 0), "f8"),
        (("f4", 0), ("f8", 0), "f8"),
        (("f4", 1), ("i8", 1), "f4"),  # NumPy alone would say float64
        (("f4", 0), ("i8", 1), "f4"),
        (("f8", 0), ("i8", 1), "f8"),
        (("i4", 1), ("i8", 1), "i8"),
        (("u1", 1), ("i8", 1), "i8"),
        (("f4", 1), ("?", 1), "f4"),
        (("?", 1), ("?", 0), "?"),
    ],
)
def test_dtype_in_which_two_arrays_meet(left, right, expected):
    a, b = (np.zeros((2,) * ndim, dtype) for dtype, ndim in (left, right))
    assert result_dtype(a, b) == result_dtype(b, a) == np.dtype(expected)


@given(st.integers(0, 4), st.data())
def test_axes_are_counted_from_the_front(ndim, data):
    axis = data.draw(st.integers(-ndim - 1, ndim))
    if -ndim <= axis < ndim:
        assert range(ndim)[axis] == normalize_axis("test", axis, ndim)
    else:
        with pytest.raises(mg.ShapeError, match=f"axis {axis} does not exist, the array has {ndim} axes"):
            normalize_axis("test", axis, ndim)


def test_several_axes_at_once():
    assert normalize_axes("sum", None, 3) == (0, 1, 2)
    assert normalize_axes("sum", (-1, 0), 3) == (0, 2)
    assert normalize_axes("sum", [np.int64(1)], 3) == (1,)
    assert normalize_axes("sum", (), 3) == ()
    with pytest.raises(mg.ShapeError, match="twice"):
        normalize_axes("sum", (0, -3), 3)
    with pytest.raises(mg.ArgumentError, match=r"an axis is an integer, got 1\.0"):
        normalize_axes("sum", 1.0, 3)
