"""Intervals: by hand, by their properties, and by how often they hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.errors import ArgumentError
from minigpt.training.evaluation.intervals import (
    FEWEST_WINDOWS,
    bootstrap,
    paired_difference,
    percentiles,
    sums_by_group,
    wilson,
)


def test_wilson_by_hand():
    """8 of 10, z = 1.959964: centre (0.8 + 0.192073) / 1.384146, half 1.416034 · √(0.016 + 0.009604)"""
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4901625, abs=1e-6), pytest.approx(0.9433178, abs=1e-6))
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(10, 10) == (pytest.approx(0.7224672, abs=1e-6), 1.0)
    assert wilson(8, 10, 0.5)[0] > low


def count_and_total():
    return st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(count_and_total())
def test_wilson_solves_its_equation(case):
    """Its ends are the p0 with |p̂ − p0| = z √(p0 (1 − p0) / n), which is where the interval comes from."""
    successes, n = case
    p = successes / n
    low, high = wilson(successes, n)
    assert 0 <= low <= p <= high <= 1
    for end in {low, high} - {0.0, 1.0}:
        assert abs(p - end) == pytest.approx(1.959963985 * np.sqrt(end * (1 - end) / n), rel=1e-6)
    assert wilson(n - successes, n) == (pytest.approx(1 - high, abs=1e-9), pytest.approx(1 - low, abs=1e-9))


@pytest.mark.parametrize("bad", [(-1, 3), (4, 3), (1, 3, 0.0), (1, 3, 1.0)])
def test_wilson_refuses(bad):
    with pytest.raises(ArgumentError, match="wilson needs"):
        wilson(*bad)


def test_paired_difference_by_hand():
    """20, 12, 2, 16 of 50: p1 = 0.64, Wilson 0.501410 to 0.758613; p2 = 0.44, 0.311622 to 0.576940.

    The excess is 20·16 − 12·2 − 25 = 271, φ = 271 / √(32·18·22·28) = 0.454954.
    """
    low, high = paired_difference(20, 12, 2, 16)
    down = np.sqrt(0.128378**2 - 2 * 0.454954 * 0.128378 * 0.118613 + 0.118613**2)
    up = np.sqrt(0.136940**2 - 2 * 0.454954 * 0.136940 * 0.138590 + 0.138590**2)
    assert (low, high) == (pytest.approx(-0.2 - down, abs=1e-5), pytest.approx(-0.2 + up, abs=1e-5))


@given(st.tuples(*[st.integers(0, 500)] * 4).filter(any))
def test_paired_difference_is_symmetric_and_holds_its_value(counts):
    both, first, second, neither = counts
    low, high = paired_difference(*counts)
    value = (second - first) / sum(counts)
    assert -1 - 1e-9 <= low <= value + 1e-9
    assert value - 1e-9 <= high <= 1 + 1e-9
    swapped = paired_difference(both, second, first, neither)
    assert swapped == (pytest.approx(-high, abs=1e-12), pytest.approx(-low, abs=1e-12))


@pytest.mark.parametrize("shares", [(0.7, 0.1, 0.15, 0.05), (0.3, 0.2, 0.3, 0.2), (0.95, 0.0, 0.05, 0.0)])
def test_paired_difference_holds_the_truth_as_often_as_it_says(rng, shares):
    draws = rng.multinomial(100, shares, size=1000)
    held = [low <= shares[2] - shares[1] <= high for low, high in (paired_difference(*map(int, d)) for d in draws)]
    assert 0.93 <= np.mean(held)


@pytest.mark.parametrize("bad", [(0, 0, 0, 0), (3, -1, 2, 2)])
def test_paired_difference_refuses(bad):
    with pytest.raises(ArgumentError, match="counts from 0 up"):
        paired_difference(*bad)


def mean(s):
    return s[..., 0] / s[..., 1]


def test_bootstrap_holds_the_truth_as_often_as_it_says(rng):
    """Windows of correlated tokens: the 95 % interval of the mean must hold the true mean in about 95 % of texts."""
    held = 0
    for trial in range(200):
        level = rng.normal(size=(60, 1))  # of a window: its tokens share it
        values = 3 + level + rng.normal(size=(60, 10))
        sums = np.stack([values.sum(axis=1), np.full(60, 10.0)], axis=1)
        low, high = percentiles(bootstrap(sums, mean, seed=trial, draws=400))
        held += low <= 3 <= high
    assert 176 <= held <= 199  # 0.88 to 0.995; tokens taken as independent would give about 0.6


def test_bootstrap_is_seeded_and_in_pieces_the_same(rng, monkeypatch):
    sums = rng.normal(5, 1, (50, 2))
    whole = bootstrap(sums, mean, seed=3)
    np.testing.assert_array_equal(bootstrap(sums, mean, seed=3), whole)
    assert not np.array_equal(bootstrap(sums, mean, seed=4), whole)
    monkeypatch.setattr("minigpt.training.evaluation.intervals._AT_ONCE", 50 * 7)
    np.testing.assert_allclose(bootstrap(sums, mean, seed=3), whole, rtol=1e-12)
    assert whole.shape == (1000,)


def test_too_few_windows_have_no_interval(rng):
    assert bootstrap(np.ones((FEWEST_WINDOWS - 1, 2)), mean) is None
    assert percentiles(None) is None


def test_sums_by_group():
    sums = sums_by_group(np.array([0, 2, 2]), [1.0, 2.0, 3.0], np.array([True, False, True]))
    np.testing.assert_array_equal(sums, [[1, 1], [0, 0], [5, 1]])
