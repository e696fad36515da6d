"""Arithmetic, comparison and choice on the simulated card: broadcasting, numbers, whole numbers, edges, refusals."""

import numpy as np
import pytest

from kernels.cuda import device, elementwise
from kernels.cuda.errors import DeviceError

SHAPES = [
    ((5,), (5,)),  # one access of 128 bits, and one element behind it
    ((2, 3, 4), (2, 3, 4)),
    ((1200,), (1200,)),
    ((3, 4), (4,)),  # a bias
    ((3, 4), (3, 1)),
    ((2, 3, 4), (3, 1)),
    ((2, 3, 4), ()),
    ((), ()),
    ((3, 1), (1, 5)),  # both are repeated
    ((2, 1, 4), (2, 3, 1)),
    ((2, 3, 4), (2, 1, 4)),  # repeated in the middle: no single period, so it is copied
    ((0, 3), (3,)),
    ((1, 1), (1,)),
]


def floats(rng, shape):
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(100)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_two_arrays(name, shapes, agrees, rng):
    a, b = (np.asarray(floats(rng, shape)) for shape in shapes)
    agrees("elementwise", name, a, b)
    agrees("elementwise", name, b, a)


@pytest.mark.parametrize("number", [3, -0.5, True, np.float64(0.1), np.float32(7), np.int64(-2), np.array(2.5)])
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_an_array_and_a_number(name, number, rng):
    """Numbers never promote: float32 in, float32 out, whatever NumPy would make of a float64 number."""
    x = floats(rng, (3, 7))
    ufunc = getattr(np, "true_divide" if name == "divide" else name)
    for order in (lambda x: (x, number), lambda x: (number, x)):
        y = getattr(elementwise, name)(*order(device.from_host(x)))
        assert y.dtype == np.float32
        wanted = ufunc(*(np.asarray(v, np.float32) for v in order(x)))
        np.testing.assert_allclose(device.to_host(y), wanted, rtol=1e-6)


def test_one_launch_without_copies(monkeypatch, rng):
    """Same shapes, an array with a number, a bias: nothing is copied, and one array is made."""
    made = []
    monkeypatch.setattr("kernels.cuda.maps.empty", lambda *a, **k: made.append(a) or device.empty(*a, **k))
    monkeypatch.setattr("kernels.cuda.device.copy_into", None)
    x, bias = device.from_host(floats(rng, (4, 6))), device.from_host(floats(rng, (6,)))
    for b in (x, 2.0, bias, device.from_host(np.float32(3).reshape(()))):
        made.clear()
        elementwise.multiply(x, b)
        assert len(made) == 1


@pytest.mark.parametrize("start", [0, 1, 3])
def test_views(start, rng):
    """Transposed, every other, backwards, and beginning where no access of 128 bits may begin."""
    whole = floats(rng, (8, 9))
    on_card = device.from_host(whole)
    every = slice(None)
    for key in [
        (slice(start, 8), every),
        (every, slice(start, None, 2)),
        (every, slice(None, None, -1)),
        (start, every),
    ]:
        view = device.view_of(on_card, key)
        np.testing.assert_array_equal(device.to_host(elementwise.add(view, view)), whole[key] + whole[key])
        np.testing.assert_array_equal(device.to_host(elementwise.negative(view)), -whole[key])
    turned = device.DeviceArray(on_card.lease, np.float32, (9, 8), on_card.strides[::-1])
    row = device.view_of(on_card, (slice(None), 2))
    np.testing.assert_array_equal(device.to_host(elementwise.subtract(turned, row)), whole.T - whole[:, 2])


@pytest.mark.parametrize("name", ["add", "subtract", "multiply"])
def test_whole_numbers(name, agrees, rng):
    ids = rng.integers(-(10**12), 10**12, (3, 5))
    assert agrees("elementwise", name, ids, rng.integers(-9, 9, (5,))).dtype == np.int64
    agrees("elementwise", name, ids, 3)
    agrees("elementwise", name, 3, ids)
    agrees("elementwise", name, ids, 2**40)  # more than 32 bits: not as a number of the kernel
    agrees("elementwise", "negative", ids)


def test_types_meet():
    """Integers and booleans beside floats become float32; booleans alone: + is or, * is and."""
    whole, truth = np.array([3, -4, 0]), np.array([True, False, True])
    single = np.array([0.5, 2, -1], np.float32)
    on_card = [device.from_host(x) for x in (whole, truth, single)]
    for a, x in zip(on_card, (whole, truth, single), strict=True):
        y = elementwise.multiply(a, on_card[2])
        assert y.dtype == np.float32
        np.testing.assert_array_equal(device.to_host(y), (x * single).astype(np.float32))
    assert elementwise.add(on_card[0], 0.5).dtype == elementwise.divide(on_card[0], 2).dtype == np.float32
    np.testing.assert_array_equal(device.to_host(elementwise.divide(on_card[0], 2)), whole / 2)
    np.testing.assert_array_equal(device.to_host(elementwise.add(on_card[0], on_card[1])), whole + truth)
    other = device.from_host(~truth)
    np.testing.assert_array_equal(device.to_host(elementwise.add(on_card[1], other)), [True] * 3)
    np.testing.assert_array_equal(device.to_host(elementwise.multiply(on_card[1], other)), [False] * 3)


def test_division_by_zero_is_silent():
    x = device.from_host(np.array([1, -1, 0, np.inf, np.nan], np.float32))
    np.testing.assert_array_equal(device.to_host(elementwise.divide(x, 0.0)), [np.inf, -np.inf, np.nan, np.inf, np.nan])


@pytest.mark.parametrize("name", ["negative", "absolute", "sign"])
def test_signs(name, agrees, rng):
    agrees("elementwise", name, np.array([0.0, -0.0, 1e-38, -3, np.inf, -np.inf, np.nan], np.float32))
    agrees("elementwise", name, floats(rng, (3, 3, 3)))


@pytest.mark.parametrize("name", ["exp", "log", "sqrt"])
def test_functions(name, rng):
    x = np.abs(floats(rng, (70,))) / 2 + np.float32(1e-3)
    x[:7] = [0, 1, 1 + 1e-6, 1 - 1e-6, 1e-30, 1e30, np.inf]
    y = getattr(elementwise, name)(device.from_host(x))
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(x.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(device.to_host(y), wanted, rtol=1e-6)
    whole = getattr(elementwise, name)(device.from_host(np.array([1, 4, 9])))
    np.testing.assert_allclose(device.to_host(whole), getattr(np, name)([1, 4, 9]), rtol=1e-6)


def test_functions_outside_their_range():
    x = device.from_host(np.array([-1, np.nan, -np.inf], np.float32))
    assert np.isnan(device.to_host(elementwise.log(x))).all()
    assert np.isnan(device.to_host(elementwise.sqrt(x))).all()
    np.testing.assert_array_equal(device.to_host(elementwise.exp(x))[1:], [np.nan, 0])
    assert device.to_host(elementwise.exp(device.from_host(np.array([1000.0], np.float32))))[0] == np.inf


@pytest.mark.parametrize("relation", ["<", "<=", ">", ">=", "==", "!="])
def test_compare(relation, agrees):
    a = np.array([[1, 2, 3, np.nan, np.inf, -np.inf, 0.0]], np.float32)
    b = np.array([[2, 2, 2, np.nan, np.inf, 1, -0.0], [1, 5, 4, 0, -np.inf, -np.inf, 0]], np.float32)
    whole = np.array([2**53 + 1, 2, -3, 0])
    assert agrees("elementwise", "compare", a, b, relation).dtype == bool
    agrees("elementwise", "compare", a, 2, relation)
    agrees("elementwise", "compare", 2.0, a, relation)
    agrees("elementwise", "compare", whole, np.array([2**53, 2, 2, -1]), relation)
    agrees("elementwise", "compare", whole, -100, relation)  # what cross entropy asks of its targets
    agrees("elementwise", "compare", whole, 2**53, relation)
    agrees("elementwise", "compare", np.array([1, 2, 3]), 2.5, relation)
    agrees("elementwise", "compare", np.array([True, False]), np.array([True, True]), relation)


def test_where(agrees, rng):
    mask = rng.random((5, 5)) < 0.5
    scores = floats(rng, (2, 3, 5, 5))
    low = np.full((), -np.inf, np.float32)
    agrees("elementwise", "where", mask, scores, low)
    agrees("elementwise", "where", mask, low, scores)
    agrees("elementwise", "where", mask[:, :1], scores, scores[0])
    agrees("elementwise", "where", mask, np.arange(5), np.arange(25).reshape(5, 5))
    agrees("elementwise", "where", mask, mask.T.copy(), mask)
    x = device.from_host(scores)
    chosen = device.to_host(elementwise.where(device.from_host(mask.astype(np.float32)), x, 0.0))
    np.testing.assert_array_equal(chosen, np.where(mask, scores, 0))


def test_what_is_missing_is_said_in_words():
    single, small = device.from_host(np.ones(2, np.float32)), device.from_host(np.ones(2, np.int32))
    whole, truth = device.from_host(np.ones(2, np.int64)), device.from_host(np.ones(2, bool))
    with pytest.raises(DeviceError, match=r"add with arrays of float32, int64, bool, not int32; x\.astype"):
        elementwise.add(single, small)
    with pytest.raises(DeviceError, match="no absolute for int64 arrays, only for float32"):
        elementwise.absolute(whole)
    with pytest.raises(DeviceError, match="no subtract for bool"):
        elementwise.subtract(truth, truth)
    with pytest.raises(DeviceError, match=r"multiply: got an array of shape \(2,\) on the host; .*from_host"):
        elementwise.multiply(single, np.ones(2, np.float32))
    with pytest.raises(DeviceError, match="needs arrays on the card, or numbers; got str"):
        elementwise.add(single, "1")
    with pytest.raises(ValueError, match="broadcast"):
        elementwise.add(single, device.from_host(np.ones(3, np.float32)))
