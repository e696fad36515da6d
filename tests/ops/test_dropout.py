"""Dropout: how much it drops, that the mean stays, and that a mask follows from key and element number alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt as mg
from minigpt import functional as F
from minigpt import ops
from minigpt.randomness import dropout_keys


@pytest.mark.parametrize("shape", [(), (7,), (3, 1, 4), (0, 3)], ids=str)
def test_gradient(shape, rng):
    """A fixed seed makes dropout a function; its backward must then use the mask of its forward."""
    assert mg.gradcheck(lambda x: F.dropout(x, 0.4, rng=3), [rng.normal(size=shape)])


def test_backward_uses_the_same_mask(rng):
    x = mg.Tensor(rng.normal(size=(20, 30)), requires_grad=True)
    y = F.dropout(x, 0.3, rng=rng)
    y.backward(np.ones((20, 30)))
    np.testing.assert_array_equal(x.grad != 0, y.numpy() != 0)
    np.testing.assert_allclose(x.grad[x.grad != 0], 1 / 0.7)


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_share_of_zeros_and_mean(p):
    n = 200_000
    y = F.dropout(np.ones(n), p, rng=11).numpy()
    deviation = (p * (1 - p) / n) ** 0.5
    assert abs(np.mean(y == 0) - p) < 5 * deviation
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - p)])


def test_neighbours_and_keys_are_independent():
    """Masks of one key shifted by one element, and masks of neighbouring keys, must agree no more than by chance."""
    n = 100_000
    keep = [ops.Dropout.apply(np.ones(n), p=0.5, key=key).numpy() > 0 for key in (1, 2, 2**63)]
    pairs = [(keep[0][1:], keep[0][:-1]), (keep[0], keep[1]), (keep[0], keep[2]), (keep[1][:-1], keep[0][1:])]
    for a, b in pairs:
        assert abs(np.mean(a == b) - 0.5) < 5 * 0.5 / n**0.5


@given(st.integers(0, 2**64 - 1), st.integers(1, 6), st.integers(0, 6), st.data())
def test_any_part_of_the_batch_gets_its_part_of_the_mask(key, n, per_example, data):
    first = data.draw(st.integers(0, n - 1))
    last = data.draw(st.integers(first + 1, n))
    x = np.ones((n, per_example, 2))
    whole = ops.Dropout.apply(x, p=0.5, key=key).numpy()
    part = ops.Dropout.apply(x[first:last], p=0.5, key=key, first_example=first).numpy()
    np.testing.assert_array_equal(part, whole[first:last])


def test_the_mask_depends_neither_on_shape_nor_dtype_nor_layout():
    flat = ops.Dropout.apply(np.ones(24), p=0.5, key=9).numpy()
    for x in (np.ones((2, 3, 4)), np.ones((24, 1), np.float32), np.ones((4, 6)).T):
        y = ops.Dropout.apply(x, p=0.5, key=9)
        np.testing.assert_array_equal(y.numpy().reshape(-1), flat)
        assert y.dtype == x.dtype


def test_inside_a_trainer_step_masks_follow_from_seed_step_call_and_example():
    def masks(seed, step, first_example=0, n=8):
        with dropout_keys(seed, step, first_example):
            return [F.dropout(np.ones((n, 5)), 0.5).numpy() for _ in range(2)]

    first, second = masks(0, 0)
    assert (first != second).any()
    np.testing.assert_array_equal(masks(0, 0)[1], second)
    assert (masks(0, 1)[0] != first).any()
    assert (masks(1, 0)[0] != first).any()
    np.testing.assert_array_equal(masks(0, 0, first_example=5, n=3)[1], second[5:])


def test_a_seed_gives_one_mask_and_a_generator_a_new_one_each_time(rng):
    x = np.ones(100)
    np.testing.assert_array_equal(F.dropout(x, 0.5, rng=4).numpy(), F.dropout(x, 0.5, rng=4).numpy())
    assert (F.dropout(x, 0.5, rng=rng).numpy() != F.dropout(x, 0.5, rng=rng).numpy()).any()


def test_dropping_nothing_everything_or_not_training(rng):
    x = mg.Tensor(rng.normal(size=(3, 4)), requires_grad=True)
    before = rng.bit_generator.state
    assert F.dropout(x, 0.0, rng=rng) is x
    assert F.dropout(x, 0.9, rng=rng, training=False) is x
    assert rng.bit_generator.state == before, "no random number may be drawn when nothing is dropped"
    y = F.dropout(x, 1.0, rng=rng)
    y.sum().backward()
    np.testing.assert_array_equal(y.numpy(), 0)
    np.testing.assert_array_equal(x.grad, 0)


def test_the_op_with_p_zero_gives_memory_of_its_own():
    """Otherwise writing into the output would change the input behind the version counter's back."""
    x = mg.Tensor([1.0, 2.0])
    y = ops.Dropout.apply(x, p=0.0, key=0)
    y[0] = 5.0
    np.testing.assert_array_equal(y.numpy(), [5, 2])
    np.testing.assert_array_equal(x.numpy(), [1, 2])


@pytest.mark.parametrize("p", [-0.1, 1.01, float("nan")])
def test_p_is_a_probability(p):
    with pytest.raises(mg.ArgumentError, match="probability p of dropping lies in 0 … 1"):
        F.dropout(mg.Tensor([1.0]), p, rng=0)


@pytest.mark.parametrize("rng", [-1, 1.5, "seed", True])
def test_rng_is_a_generator_or_a_seed(rng):
    with pytest.raises(mg.ArgumentError, match="a non-negative int seed or None"):
        F.dropout(mg.Tensor([1.0]), 0.5, rng=rng)
