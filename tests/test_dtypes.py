"""In which dtype results come: float32 stays float32, numbers are rounded once, masks are counted, ids do not wrap."""

import numpy as np
import pytest

import minigpt as mg

F32, F64, IDS = (np.array([1, 2, 3], dtype) for dtype in (np.float32, np.float64, np.int64))
WEAK = [
    2,
    0.5,
    True,
    np.float64(0.5),
    np.float16(0.5),
    np.int8(2),
    np.array(0.5),
    np.array(2),
    mg.Tensor(np.float64(2)),
]
OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "where": lambda a, b: mg.where(np.array([True, False, True]), a, b),
}


@pytest.mark.parametrize("array", [F32, F64], ids=lambda array: str(array.dtype))
@pytest.mark.parametrize("weak", WEAK, ids=lambda weak: f"{type(weak).__name__}_{weak}")
@pytest.mark.parametrize("name", OPERATIONS)
def test_numbers_and_single_elements_never_promote(name, weak, array):
    leaf = mg.Tensor(array, requires_grad=True)
    for y in (OPERATIONS[name](leaf, weak), OPERATIONS[name](weak, leaf)):
        assert isinstance(y, mg.Tensor)
        assert y.dtype == array.dtype
    y.sum().backward()
    assert leaf.grad.dtype == array.dtype


def test_ids_adopt_the_float_type_and_arrays_promote():
    t = mg.Tensor(F32)
    assert (t * IDS).dtype == (IDS * t).dtype == (t + mg.Tensor(IDS)).dtype == np.float32
    assert (mg.Tensor(F64) * IDS).dtype == np.float64
    assert (t * F64).dtype == (F64 * t).dtype == np.float64
    assert (t @ F64).dtype == mg.concatenate([t, F64]).dtype == np.float64
    assert (mg.Tensor(IDS) / mg.Tensor(IDS)).dtype == np.float32
    assert (mg.Tensor(IDS) * 0.5).dtype == np.float32
    assert (mg.Tensor(IDS) * 2).dtype == np.int64
    assert mg.Tensor(IDS).exp().dtype == np.float32


def test_a_tenth_is_not_rounded_twice():
    """0.1 goes straight to float64 beside float64; by way of float32 it would be 0.10000000149."""
    x, one = mg.Tensor(np.zeros(2)), mg.Tensor(np.float64(1))
    assert (x + 0.1).numpy()[0] == (0.1 - x).numpy()[0] == 0.1
    assert (one * 0.1).item() == 0.1
    assert (one * 2**0.1).item() == (2 ** (one * 0.1)).item() == 2**0.1
    assert mg.where(np.array([True, False]), x, 0.1).numpy()[1] == 0.1
    assert ((x + 0.1) == 0.1).numpy().all()


def test_a_tenth_as_gradient_is_not_rounded_twice():
    for shape, grad in (((), 0.1), ((2,), [0.1, 0.2])):
        leaf = mg.Tensor(np.ones(shape), requires_grad=True)
        (leaf * 1.0).backward(grad)
        np.testing.assert_array_equal(leaf.grad, np.array(grad))


def test_a_tenth_written_in_place_is_not_rounded_twice():
    x = mg.Tensor(np.zeros((2, 2)))
    x[0, 0] = 0.1
    x[1] = [0.1, 0.2]
    np.testing.assert_array_equal(x.numpy(), [[0.1, 0], [0.1, 0.2]])


def test_a_number_that_does_not_fit_is_not_written():
    """uint8 holds 0 … 255; writing 300 must not leave 44 behind."""
    ids = mg.Tensor(np.zeros(2, np.uint8))
    for value in (300, -1):
        with pytest.raises(mg.MiniGPTError):
            ids[0] = value
    ids[1] = 255
    np.testing.assert_array_equal(ids.numpy(), [0, 255])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
def test_booleans_beside_numbers_are_counted(dtype):
    """As in NumPy and PyTorch, True + 1 is 2: a mask adopts the number's kind, or counting with masks goes wrong."""
    mask = mg.Tensor([True, False])
    for y in (mask + 1, 1 + mask, mask + np.array(1, dtype), mask + np.array([1, 1], dtype)):
        np.testing.assert_array_equal(y.numpy(), [2, 1])
    np.testing.assert_array_equal((mask * 2).numpy(), [2, 0])
    np.testing.assert_array_equal((mask * 2.5).numpy(), [2.5, 0])
    np.testing.assert_array_equal(mg.where(mask, mask, 5).numpy(), [1, 5])


def test_ids_of_a_small_dtype_beside_numbers_that_do_not_fit():
    """Wrapping around in silence would make id 156 equal to the ignore_index -100."""
    ids = mg.Tensor(np.array([156, 1], np.uint8))
    np.testing.assert_array_equal((ids == -100).numpy(), [False, False])
    np.testing.assert_array_equal((ids < 300).numpy(), [True, True])
    for operation in (lambda: ids + 300, lambda: mg.where(mg.Tensor([True, False]), ids, -100)):
        try:
            result = operation().numpy().tolist()
        except mg.MiniGPTError:
            continue  # a refusal is as good as the right number
        assert result in ([456, 301], [156, -100])


@pytest.mark.parametrize(
    "operation",
    [
        lambda t: t**-1,
        lambda t: t ** mg.Tensor([-1, 1]),
        lambda t: 2**-t,
        lambda t: -(t > 1),
        lambda t: (t > 1) - (t > 2),
    ],
    ids=["int ** -1", "int ** ints", "2 ** ints", "-bool", "bool - bool"],
)
def test_arithmetic_that_numpy_refuses_is_refused_in_our_words(operation):
    with pytest.raises(mg.MiniGPTError):
        operation(mg.Tensor([1, 2]))
