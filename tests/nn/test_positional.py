"""Positions: the formula of the paper number by number, and what a shift does to it."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn


def test_sinusoids_by_hand():
    table = nn.sinusoids(5, 6)
    assert table.shape == (5, 6)
    for t in range(5):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            assert table[t, 2 * i] == pytest.approx(np.sin(angle))
            assert table[t, 2 * i + 1] == pytest.approx(np.cos(angle))


def test_a_shift_is_the_same_turn_everywhere():
    """What lets attention ask for "three back": one matrix takes position t to t + 3, whatever t is."""
    table = nn.sinusoids(40, 8)
    for i in range(4):
        angle = 3 / 10000 ** (2 * i / 8)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        pair = table[:, 2 * i : 2 * i + 2]  # (40, 2)
        np.testing.assert_allclose(pair[:-3] @ turn, pair[3:], atol=1e-12)


def test_the_longest_wave_can_be_chosen():
    table = nn.sinusoids(5, 6, longest=100)
    np.testing.assert_allclose(table[:, 4], np.sin(np.arange(5) / 100 ** (4 / 6)))
    np.testing.assert_array_equal(nn.sinusoids(5, 6, longest=10000), nn.sinusoids(5, 6))


def test_sinusoidal_positions_have_nothing_to_learn():
    positions = nn.SinusoidalPositions(9, 4)
    assert positions.num_parameters() == 0
    y = positions(np.array([[0, 3], [8, 1]]))
    assert (y.shape, y.dtype) == ((2, 2, 4), np.float32)
    np.testing.assert_allclose(y.numpy()[1, 0], nn.sinusoids(9, 4)[8], atol=1e-7)
    assert positions(np.arange(3), dtype=np.float64).dtype == np.float64


def test_learned_positions_are_rows_of_a_table():
    positions = nn.LearnedPositions(9, 4, rng=0)
    assert [name for name, _ in positions.named_parameters()] == ["weight"]
    np.testing.assert_array_equal(
        positions(np.array([2, 7]), dtype=np.float32).numpy(), positions.weight.numpy()[[2, 7]]
    )


@pytest.mark.parametrize(("n", "d", "message"), [(4, 5, "even"), (0, 4, "n must be a positive"), (4, 0, "d must be")])
def test_sizes(n, d, message):
    with pytest.raises(mg.ArgumentError, match=message):
        nn.sinusoids(n, d)
