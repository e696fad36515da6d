"""Rearranging arrays on the simulated card: what is a view, what is a copy, and indices outside."""

import numpy as np
import pytest

from kernels.cuda import device, shape
from kernels.cuda.errors import DeviceError


def same(got, wanted):
    np.testing.assert_array_equal(device.to_host(got), wanted)
    assert got.dtype == wanted.dtype


@pytest.fixture
def x(rng):
    return rng.standard_normal((4, 3, 5), dtype=np.float32)


@pytest.mark.parametrize("to", [(12, 5), (60,), (-1,), (2, -1, 5), (4, 3, 5, 1)], ids=str)
def test_reshape_is_a_view_where_it_can_be(to, x):
    on_card = device.from_host(x)
    y = shape.reshape(on_card, to)
    same(y, x.reshape(to))
    assert device.shares_memory(y, on_card)
    turned = shape.permute(on_card, (2, 0, 1))
    y = shape.reshape(turned, to)
    same(y, x.transpose(2, 0, 1).reshape(to))
    assert not device.shares_memory(y, on_card)
    same(on_card, x)


def test_reshape_of_nothing_of_one_and_of_integers():
    same(shape.reshape(device.from_host(np.zeros((0, 3), np.float32)), (3, 0)), np.zeros((3, 0), np.float32))
    same(shape.reshape(device.from_host(np.ones((1, 1), np.float32)), ()), np.ones((), np.float32))
    same(shape.reshape(device.from_host(np.arange(6)), (2, 3)), np.arange(6).reshape(2, 3))
    middle = shape.slice_forward(device.from_host(np.arange(9)), slice(2, 8))
    same(shape.reshape(middle, (2, 3)), np.arange(2, 8).reshape(2, 3))
    with pytest.raises(ValueError, match=r"shape \(2, 3\) into shape \(4,\)"):
        shape.reshape(device.from_host(np.zeros((2, 3), np.float32)), (4,))


def test_permute_and_broadcast_are_views(x):
    on_card = device.from_host(x)
    turned = shape.permute(on_card, (1, 2, 0))
    same(turned, x.transpose(1, 2, 0))
    row = shape.slice_forward(on_card, (slice(None), slice(1, 2)))
    repeated = shape.broadcast_to(row, (2, 4, 3, 5))
    same(repeated, np.broadcast_to(x[:, 1:2], (2, 4, 3, 5)))
    assert device.shares_memory(turned, on_card)
    assert device.shares_memory(repeated, on_card)
    with pytest.raises(ValueError, match="smaller shape"):
        shape.broadcast_to(on_card, (3, 5))
    with pytest.raises(ValueError, match="broadcast"):
        shape.broadcast_to(on_card, (4, 3, 6))


KEYS = [
    0, -1, slice(1, 3), slice(None, None, -1), slice(3, 0, -2), slice(2, 2), slice(-100, 100), None, Ellipsis,
    (1, 2, 3), (slice(None), 1), (Ellipsis, 2), (Ellipsis, -1, None), (None, 1, Ellipsis, slice(0, 5, 2)),
    (slice(1, None), None, slice(None, None, -2), 4), (), (np.int64(2), Ellipsis, slice(1, 4)),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_slices(key, x, rng):
    on_card = device.from_host(x)
    y = shape.slice_forward(on_card, key)
    same(y, x[key])
    if x[key].size:
        assert device.shares_memory(y, on_card)
    dy = np.asarray(rng.standard_normal(x[key].shape).astype(np.float32))
    dx = np.zeros_like(x)
    dx[key] = dy
    same(shape.slice_backward(device.from_host(dy), key, x.shape), dx)


def test_a_slice_of_a_slice(x):
    view = shape.slice_forward(device.from_host(x), (slice(None, None, -1), slice(1, None)))
    same(shape.slice_forward(view, (slice(1, None, 2), -1, slice(None, None, 3))), x[::-1, 1:][1::2, -1, ::3])


@pytest.mark.parametrize("key", [4, -5, (0, 3), (Ellipsis, 5), (0, 0, 0, 0), (Ellipsis, Ellipsis)], ids=str)
def test_an_index_outside_is_refused(key, x):
    """Nothing on the card would stop it: it would read, or overwrite, other arrays."""
    with pytest.raises(IndexError):
        x[key]
    for function in (
        lambda: shape.slice_forward(device.from_host(x), key),
        lambda: shape.slice_backward(device.from_host(np.zeros((), np.float32)), key, x.shape),
    ):
        with pytest.raises(IndexError, match=r"out of bounds|too many indices|single ellipsis"):
            function()


def test_slices_take_no_arrays(x):
    with pytest.raises(DeviceError, match=r"integers, slices, None and \.\.\.; got ndarray"):
        shape.slice_forward(device.from_host(x), np.array([1]))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concatenate(axis, rng):
    shapes = [[2, 3, 4] for _ in range(3)]
    for n, lengths in enumerate(shapes):
        lengths[axis] = (1, 0, 5)[n]
    arrays = [rng.standard_normal(lengths, dtype=np.float32) for lengths in shapes]
    same(shape.concatenate([device.from_host(a) for a in arrays], axis), np.concatenate(arrays, axis))


def test_concatenate_other_types_and_views():
    whole, truth = np.arange(6).reshape(2, 3), np.array([[True], [False]])
    on_card = device.from_host(whole)
    turned = shape.permute(on_card, (1, 0))
    same(shape.concatenate([turned, turned], 1), np.concatenate([whole.T, whole.T], 1))
    same(shape.concatenate([device.from_host(truth)] * 2, 1), np.concatenate([truth, truth], 1))
    mixed = shape.concatenate([on_card, device.from_host(np.float32([[0.5], [1.5]]))], 1)
    same(mixed, np.float32([[0, 1, 2, 0.5], [3, 4, 5, 1.5]]))
    with pytest.raises(ValueError, match="all axes but 0 must agree"):
        shape.concatenate([on_card, turned], 0)
