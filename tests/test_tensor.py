"""What a Tensor holds and how it behaves in Python: data, memory, numbers, printing, comparing, copying."""

import copy
import math
import pickle

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F

# --- what becomes a Tensor --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, np.float32),
        ([1, 2], np.int64),
        ([1, 2.5], np.float32),
        ([True, False], bool),
        (True, bool),
        ([], np.float32),
        (np.float64(1.5), np.float64),
        (np.ones(2, np.float16), np.float32),
        (np.float16(1.5), np.float32),
        (np.ones(2, np.longdouble), np.float32),
        (np.ones(2), np.float64),
        (np.ones(2, np.uint8), np.uint8),
        (((1.0, 2.0), (3.0, 4.0)), np.float32),
        ([np.float64(1), np.float64(2)], np.float32),  # a list is Python data, whatever is in it
        (range(3), np.int64),
    ],
)
def test_dtype_of_data(data, dtype):
    t = mg.Tensor(data)
    assert t.dtype == dtype
    assert isinstance(t.data, np.ndarray)
    np.testing.assert_array_equal(t.numpy(), np.asarray(data, dtype))


def test_big_endian_float64_stays_float64():
    """What arrives from a file may have its bytes in the other order; its precision must not be lost for that."""
    t = mg.Tensor(np.array([0.1, 0.2], ">f8"))
    assert t.dtype == np.float64
    np.testing.assert_array_equal(t.numpy(), [0.1, 0.2])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("text", "numbers or booleans, got dtype <U4 from str"),
        (["a", "b"], "numbers or booleans"),
        (b"bytes", "numbers or booleans"),
        (1j, "got dtype complex128"),
        (np.ones(2, complex), "got dtype complex128 from ndarray"),
        (None, "got dtype object from NoneType"),
        ({"a": 1}, "got dtype object from dict"),
        (np.array([1, None]), "got dtype object"),
        (np.array(["2020-01-01"], "M8[D]"), "got dtype datetime64"),
        (2**70, "got dtype object"),
    ],
)
def test_refused_data(data, message):
    with pytest.raises(mg.ArgumentError, match=message):
        mg.Tensor(data)


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(mg.ShapeError, match="cannot make an array of this list: its rows have different lengths"):
        mg.Tensor([[1, 2], [3]])


def test_only_floats_can_require_gradients():
    for data in ([1, 2], [True], np.uint8(3)):
        with pytest.raises(mg.ArgumentError, match="only float tensors can have gradients"):
            mg.Tensor(data, requires_grad=True)


def test_conversion_to_what_is_no_number_is_refused():
    for dtype in (complex, "U3", object, "M8[s]", "no such dtype"):
        with pytest.raises(mg.ArgumentError):
            mg.Tensor([1.0]).astype(dtype)


def test_the_array_is_shared_not_copied():
    array = np.arange(3.0)
    t = mg.Tensor(array)
    assert t.data is array
    assert t.numpy() is array
    assert np.asarray(t) is array
    assert mg.Tensor(t).data is array
    assert t.detach().data is array
    assert not np.shares_memory(np.array(t), array)
    t[0] = 7.0
    assert array[0] == 7


# --- Python's view ----------------------------------------------------------------------------------------------


def test_numbers_and_truth():
    t = mg.Tensor([[2.5]], requires_grad=True)
    assert (t.item(), float(t), int(t), bool(t)) == (2.5, 2.5, 2, True)
    assert type(mg.Tensor([3]).item()) is int
    assert type(mg.Tensor(True).item()) is bool
    assert type(mg.Tensor(np.float64(1)).item()) is float
    assert not mg.Tensor([0])
    for data in ([1.0, 2.0], []):
        with pytest.raises(mg.ArgumentError, match="exactly one element"):
            bool(mg.Tensor(data))


def test_shape_and_length():
    t = mg.Tensor(np.zeros((3, 0, 2), np.float32))
    assert (t.shape, t.ndim, t.size, len(t), t.dtype) == ((3, 0, 2), 3, 0, 3, np.float32)
    assert len(list(mg.Tensor([1.0, 2.0]))) == 2
    for ask in (len, list):
        with pytest.raises(mg.ArgumentError, match="no length"):
            ask(mg.Tensor(1.0))


def test_repr():
    assert repr(mg.Tensor([1.0, 2.5])) == "Tensor([1. , 2.5] (2,) float32)"
    assert repr(mg.Tensor(3, name="n")) == "Tensor(3 () int64, name='n')"
    leaf = mg.Tensor(np.ones(2), requires_grad=True)
    assert repr(leaf * 2.0) == "Tensor([2., 2.] (2,) float64, op=Mul, requires_grad)"
    leaf.sum().backward()
    assert repr(leaf).endswith("requires_grad, has grad)")
    assert repr(mg.Tensor(np.arange(16))).startswith("Tensor([ 0,  1,")  # few enough to be shown whole
    assert repr(mg.Tensor(np.arange(17))).startswith("Tensor((17,) int64 in [0, 16]")
    assert repr(mg.Tensor(np.zeros((0, 3)))) == "Tensor([] (0, 3) float64)"


def test_repr_of_large_tensors_gives_statistics():
    x = np.linspace(-1, 3, 1000).astype(np.float32)
    assert repr(mg.Tensor(x)) == "Tensor((1000,) float32 in [-1, 3], mean 1 ± 1.156)"
    x[:3], x[5] = np.nan, np.inf
    assert repr(mg.Tensor(x)).endswith(", 3 NaN!, 1 Inf!)")
    assert repr(mg.Tensor(np.full(100, np.nan))) == "Tensor((100,) float64, 100 NaN!)"
    assert repr(mg.Tensor(np.arange(100))) == "Tensor((100,) int64 in [0, 99])"
    assert repr(mg.Tensor(np.arange(100) < 25)) == "Tensor((100,) bool, 25 of 100 true)"
    assert "nan" in repr(mg.Tensor([math.nan]))
    assert "1e+38" in repr(mg.Tensor(np.full(100, 1e38, np.float32)))  # the sum would overflow in float32
    huge = np.array([1e300, -1.7e308] * 20)  # and here the squares in float64
    assert repr(mg.Tensor(huge)) == "Tensor((40,) float64 in [-1.7e+308, 1e+300], mean -8.5e+307 ± 8.5e+307)"


def test_comparisons_give_boolean_tensors_without_gradient():
    a, b = mg.Tensor([1.0, 2.0, 3.0], requires_grad=True), [3.0, 2.0, 1.0]
    for y, expected in (
        (a < b, [1, 0, 0]),
        (a <= b, [1, 1, 0]),
        (a > b, [0, 0, 1]),
        (a >= b, [0, 1, 1]),
        (a == b, [0, 1, 0]),
        (a != b, [1, 0, 1]),
        (np.array(2.0) < a, [0, 0, 1]),
        (2 > a, [1, 0, 0]),
    ):
        np.testing.assert_array_equal(y.numpy(), expected)
        assert (y.dtype, y.requires_grad, y.op) == (bool, False, None)
    assert (a == None) is False  # noqa: E711
    assert (a != "text") is True


def test_a_tensor_is_a_dictionary_key_by_identity():
    a, b = mg.Tensor([1.0, 2.0]), mg.Tensor([1.0, 2.0])
    names = {a: "a", b: "b"}
    assert (names[a], names[b], len({a, b, a})) == ("a", "b", 2)


def test_numpy_on_the_left_leaves_the_work_to_the_tensor():
    array = np.array([1, 2, 3], np.float32)
    t = mg.Tensor(array, requires_grad=True)
    for left in (array, np.float32(2), 2.0, [1.0, 2.0, 3.0]):
        for y in (left + t, left * t, left - t, left / t):
            assert isinstance(y, mg.Tensor)
            assert y.requires_grad
    with pytest.raises(TypeError):
        np.exp(t)
    with pytest.raises(mg.GraphError, match=r"t\.numpy\(\) or t\.detach\(\)"):
        np.asarray(t)
    np.testing.assert_array_equal(np.asarray(t.detach()), array)


@pytest.mark.parametrize("other", ["text", None, {}, 1j, [[1], [1, 2]]], ids=str)
def test_operands_that_are_no_numbers(other):
    with pytest.raises(TypeError, match="unsupported operand"):
        mg.Tensor([1.0]) / other


def test_complex_numpy_numbers_are_refused_too():
    for other in (np.complex64(1 + 2j), np.array([1 + 2j])):
        with pytest.raises((TypeError, mg.ArgumentError)):
            mg.Tensor([1.0]) * other


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))], ids=["deepcopy", "pickle"]
)
def test_copies_of_leaves_stand_alone(duplicate):
    t = mg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    (t * t).sum().backward()
    twin = duplicate(t)
    assert (twin.name, twin.requires_grad, twin.op) == ("w", True, None)
    np.testing.assert_array_equal(twin.grad, [2, 4])
    twin[0:1].sum().backward()
    with mg.no_grad():
        twin[1] = 9.0
    np.testing.assert_array_equal(twin.grad, [3, 4])
    np.testing.assert_array_equal(t.grad, [2, 4])
    np.testing.assert_array_equal(t.numpy(), [1, 2])
    assert copy.copy(t).data is t.data


def test_functions_take_arrays_lists_and_numbers():
    np.testing.assert_allclose(F.softmax([[0.0, 0.0]]).numpy(), [[0.5, 0.5]])
    assert F.relu(-3.0).item() == 0
    assert F.linear(np.ones((2, 3)), np.ones((3, 1))).shape == (2, 1)
