"""Reshape, transpose, broadcast, joining: the same elements elsewhere, and their gradients back in place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import minigpt as mg

SHAPES = array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


@given(SHAPES, st.data())
def test_reshape_and_transpose_round_trips(shape, data):
    x = mg.Tensor(np.arange(np.prod(shape), dtype=np.float64).reshape(shape), requires_grad=True)
    axes = data.draw(st.permutations(range(len(shape))))
    moved = x.transpose(*axes)
    np.testing.assert_array_equal(moved.numpy(), np.transpose(x.numpy(), axes))
    flat = moved.reshape(-1)
    back = flat.reshape(moved.shape).transpose(*np.argsort(axes))
    np.testing.assert_array_equal(back.numpy(), x.numpy())
    weights = np.random.default_rng(0).normal(size=shape)
    back.backward(weights)
    np.testing.assert_array_equal(x.grad, weights)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.reshape(2, 2, 3),
        lambda x: x.reshape((-1, 6)),
        lambda x: x.reshape(-1),
        lambda x: x[None, ..., None].reshape(1, 12, 1),
        lambda x: x.T.reshape(2, 6),  # not a view: the elements must be copied into order
        lambda x: x.transpose(),
        lambda x: x.transpose((1, 0)),
        lambda x: x.transpose(-1, 0),
        lambda x: x.swapaxes(0, -1),
        lambda x: x.broadcast_to(5, 3, 4),
        lambda x: x[:, :1].broadcast_to(2, 3, 4),
        lambda x: x.sum().broadcast_to(2, 2),
        lambda x: mg.concatenate([x, x[:1], x], axis=0),
        lambda x: mg.concatenate([x[:, :0], x.T.reshape(3, 4)], axis=-1),
        lambda x: mg.stack([x, x * 2.0], axis=0),
        lambda x: mg.stack([x, x], axis=-1),
        lambda x: mg.stack([x[0, 0], x[2, 3]]),
    ],
)
def test_gradient(function, rng):
    assert mg.gradcheck(function, [rng.normal(size=(3, 4))])


def test_gradient_reaches_every_joined_part(rng):
    parts = [rng.normal(size=(2, n, 3)) for n in (1, 0, 4)]
    assert mg.gradcheck(lambda *parts: mg.concatenate(parts, axis=1), parts)
    same = [rng.normal(size=(2, 3)) for _ in range(3)]
    assert mg.gradcheck(lambda *parts: mg.stack(parts, axis=1), same)
    for axis in (0, 1, 2, -1, -3):
        expected = np.stack(same, axis)
        np.testing.assert_array_equal(mg.stack([mg.Tensor(p) for p in same], axis).numpy(), expected)


def test_views_share_memory_and_copies_do_not():
    x = mg.Tensor(np.arange(12.0).reshape(3, 4))
    for view in (x.reshape(4, 3), x.T, x[1:, ::2], x.broadcast_to(2, 3, 4), x.swapaxes(0, 1)):
        assert np.shares_memory(view.numpy(), x.numpy())
    for copy in (x.T.reshape(12), x[[0, 1]], mg.concatenate([x]), x.sum(axis=()), x + 0.0):
        assert not np.shares_memory(copy.numpy(), x.numpy())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x.reshape(5, -1), r"6 elements of shape \(2, 3\) do not fit into shape \(5, -1\)"),
        (lambda x: x.reshape(4), "which holds 4"),
        (lambda x: x.reshape(-1, -1), "one axis may be -1"),
        (lambda x: x.reshape(-2, 3), "do not fit"),
        (lambda x: x.reshape(0, -1), "do not fit"),
        (lambda x: x[:0].reshape(-1, 0), "do not fit"),  # -1 could be anything
        (lambda x: x.transpose(0), "must name each of the 2 axes"),
        (lambda x: x.transpose(0, 0), "must name each of the 2 axes"),
        (lambda x: x.transpose(0, 2), "axis 2 does not exist"),
        (lambda x: x.swapaxes(0, 2), "swapaxes: axis 2 does not exist"),
        (lambda x: x.broadcast_to(3), "cannot be repeated to the smaller shape"),
        (lambda x: x.broadcast_to(2, 4), "do not broadcast"),
        (lambda x: mg.concatenate([x, x.T]), r"array 0 has shape \(2, 3\), array 1 has \(3, 2\)"),
        (lambda x: mg.concatenate([x, x[0]]), "they have 2 and 1 axes"),
        (lambda x: mg.concatenate([x[0, 0], x[0, 0]]), "no axis to join along; use mg.stack"),
        (lambda x: mg.concatenate([x], axis=2), "axis 2 does not exist"),
        (lambda x: mg.stack([x, x[:1]]), "all must be equal"),
        (lambda x: mg.stack([x, x], axis=3), "axis 3 does not exist, the array has 3 axes"),
    ],
)
def test_wrong_shapes(make, message):
    with pytest.raises(mg.ShapeError, match=message):
        make(mg.Tensor(np.ones((2, 3))))


def test_nothing_to_join_and_lengths_that_are_no_integers():
    for join in (mg.concatenate, mg.stack):
        with pytest.raises(mg.ArgumentError, match="at least one"):
            join([])
    with pytest.raises(mg.ArgumentError, match=r"integers, got \(2\.0,\)"):
        mg.Tensor([1.0, 2.0]).reshape(2.0)
