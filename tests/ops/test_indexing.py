"""x[key] against NumPy for every kind of key: values, gradients (repeated places add up), writing, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices, integer_array_indices

import minigpt as mg

KEYS = [
    0,
    -1,
    np.int32(2),
    ...,
    None,
    (),
    slice(None),
    slice(None, None, -2),
    slice(2, 2),
    slice(-100, 100, 3),
    (1, 2, 0),
    (slice(1, None), None, ..., -1),
    (..., slice(None, None, -1)),
    np.array([2, 0, 2, 2]),
    np.array([[0, 1], [-1, 0]]),
    np.array([], np.int64),
    np.array(1),
    [0, 0, -1],
    ([0, 1], [3, 3]),
    ([0, 0, 0], slice(None), [1, 1, 0]),  # the index axis comes first here, as in NumPy
    (slice(None), [0, 0], [1, 1]),
    (0, slice(None), [1, 1]),
    (np.array([[0], [2]]), np.array([3, 3, 1])),
    np.array([True, False, True]),
    np.arange(24).reshape(3, 4, 2) % 3 == 0,
    np.zeros((3, 4), bool),
    (slice(None), np.array([True, False, False, True])),
    ([True, False, True], 1),
    (None, [0, 0]),
    True,
    np.bool_(False),
]


def check_against_numpy(array, key):
    leaf = mg.Tensor(array, requires_grad=True)
    y = leaf[key]
    expected = array[key]
    np.testing.assert_array_equal(y.numpy(), expected)
    assert y.shape == expected.shape
    weights = np.random.default_rng(0).integers(1, 9, expected.shape).astype(np.float64)
    y.backward(weights)
    gradient = np.zeros_like(array)
    np.add.at(gradient, key, weights)
    np.testing.assert_array_equal(leaf.grad, gradient)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: repr(key).replace("\n", "")[:60])
def test_every_kind_of_key(key):
    check_against_numpy(np.arange(24.0).reshape(3, 4, 2), key)


def test_keys_of_a_single_number():
    for key in ((), ..., None, (None, None), True):
        check_against_numpy(np.array(2.5), key)


@given(array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3), st.data())
def test_basic_keys(shape, data):
    key = data.draw(basic_indices(shape, allow_newaxis=True, max_dims=6))
    check_against_numpy(np.arange(float(np.prod(shape))).reshape(shape), key)


@given(array_shapes(max_dims=3, max_side=4), st.data())
def test_integer_array_keys(shape, data):
    key = data.draw(integer_array_indices(shape))
    check_against_numpy(np.arange(float(np.prod(shape))).reshape(shape), key)


def test_an_empty_list_chooses_nothing():
    check_against_numpy(np.arange(6.0).reshape(3, 2), np.array([], np.int64))
    assert mg.Tensor(np.zeros((3, 2)))[[]].shape == (0, 2)


def test_tensors_as_keys():
    x = mg.Tensor(np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(x[mg.Tensor([2, 0])].numpy(), x.numpy()[[2, 0]])
    np.testing.assert_array_equal(x[x > 2.0].numpy(), [3, 4, 5])
    np.testing.assert_array_equal(x[mg.Tensor([0, 1]), mg.Tensor([1, 1])].numpy(), [1, 3])


def test_iteration_gives_rows_and_carries_gradients():
    x = mg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = x
    (first * second).sum().backward()
    np.testing.assert_array_equal(x.grad, [[3, 4], [1, 2]])


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (3, mg.ShapeError, r"index \[3\] does not fit an array of shape \(3, 2\)"),
        ((0, 0, 0), mg.ShapeError, "does not fit"),
        ((..., ...), mg.ShapeError, "does not fit"),
        (np.array([0, 3]), mg.ShapeError, "does not fit"),
        (np.array([True, False]), mg.ShapeError, "does not fit"),
        (1.0, mg.ArgumentError, r"an index is made of integers.*got 1\.0"),
        ("a", mg.ArgumentError, "got 'a'"),
        (np.array([0.0]), mg.ArgumentError, "integers or booleans, got dtype float64"),
        ((0, mg.Tensor([0.5])), mg.ArgumentError, "integers or booleans, got dtype float32"),
    ],
)
def test_wrong_keys(key, error, message):
    with pytest.raises(error, match=message):
        mg.Tensor(np.zeros((3, 2)))[key]
    if error is mg.ArgumentError:
        with pytest.raises(error, match=message):
            mg.Tensor(np.zeros((3, 2)))[key] = 0.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (0, 5.0),
        ((slice(None), 1), [7.0, 8.0, 9.0]),
        (np.array([True, False, True]), 0.0),
        ([0, 2], mg.Tensor([[1.0, 2.0], [3.0, 4.0]])),
        (mg.Tensor([1, 1]), -1),
        (..., np.ones(2, np.float64)),
    ],
)
def test_writing(key, value):
    x, expected = mg.Tensor(np.zeros((3, 2), np.float32)), np.zeros((3, 2))
    before = x.data
    x[key] = value
    expected[key.numpy() if isinstance(key, mg.Tensor) else key] = (
        value.numpy() if isinstance(value, mg.Tensor) else value
    )
    np.testing.assert_array_equal(x.numpy(), expected)
    assert x.data is before
    assert x.dtype == np.float32


@pytest.mark.parametrize(
    ("key", "value"), [(3, 0.0), (0, np.ones(3)), (np.array([5]), 1.0), (0, "text"), (0, [[1.0], [2.0]])]
)
def test_wrong_writes_are_errors_of_ours(key, value):
    """Reading x[3] is a ShapeError with both shapes; writing there must be no less."""
    x = mg.Tensor(np.zeros((3, 2)))
    with pytest.raises(mg.MiniGPTError):
        x[key] = value
    np.testing.assert_array_equal(x.numpy(), 0)


def test_writing_into_read_only_memory_is_an_error_of_ours():
    for x in (mg.Tensor(np.broadcast_to(np.float32(1), (3,))), mg.Tensor([1.0]).broadcast_to(3)):
        with pytest.raises(mg.MiniGPTError):
            x[0] = 2.0
