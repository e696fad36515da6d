"""Calibration: by hand, on data that is calibrated by construction, and on data that is not by a known amount."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minigpt.errors import ArgumentError, ShapeError
from minigpt.training.evaluation import calibrate
from minigpt.training.evaluation.calibration import BINNINGS, bin_edges, bin_of


def test_by_hand():
    """Bins [0, 0.5) and [0.5, 1]: confidences 0.2, 0.4 with one right; 0.5, 0.9, 1.0 with two right."""
    c = calibrate([0.9, 0.2, 0.5, 0.4, 1.0], [True, False, False, True, True], bins=2, binning="equal-width")
    np.testing.assert_allclose(c.edges, [0, 0.5, 1])
    np.testing.assert_array_equal(c.count, [2, 3])
    np.testing.assert_allclose(c.confidence, [0.3, 0.8])
    np.testing.assert_allclose(c.accuracy, [0.5, 2 / 3])
    assert c.ece == pytest.approx(2 / 5 * 0.2 + 3 / 5 * (0.8 - 2 / 3))


def test_equal_mass_bins_hold_equally_many(rng):
    c = calibrate(rng.random(3000) ** 3, rng.random(3000) < 0.5, bins=10)
    np.testing.assert_allclose(c.count, 300, atol=1)
    assert c.binning == "equal-mass"


def test_ties_stay_together_and_empty_bins_are_left_out():
    c = calibrate([0.5] * 90 + [0.9] * 10, [True] * 45 + [False] * 45 + [True] * 9 + [False], bins=15)
    np.testing.assert_array_equal(c.count, [90, 10])
    assert c.ece == pytest.approx(0, abs=1e-12)
    wide = calibrate([0.5] * 90 + [0.9] * 10, [True] * 100, bins=10, binning="equal-width")
    assert (wide.edges.shape, wide.count.tolist()) == ((11,), [90, 10])


@pytest.mark.parametrize("binning", BINNINGS)
@pytest.mark.parametrize("shift", [0.0, 0.1, -0.1])
def test_planted_miscalibration_is_found(rng, binning, shift):
    """Right with probability confidence − shift: the error is |shift|, and what chance shows if it is 0."""
    confidence = rng.uniform(0.15, 0.85, 50_000)
    c = calibrate(confidence, rng.random(50_000) < confidence - shift, binning=binning)
    if shift:
        assert c.ece == pytest.approx(abs(shift), abs=0.01)
        assert np.sign(c.confidence - c.accuracy).tolist() == [np.sign(shift)] * len(c.count)
    else:
        assert c.ece < 2 * c.chance < 0.02
    assert c.chance == pytest.approx(0.0065, abs=0.003)


def test_chance_explains_the_error_of_few_predictions(rng):
    """With 150 predictions a perfect model looks bad; the figure beside it says so."""
    confidence = rng.uniform(0.2, 0.8, 150)
    c = calibrate(confidence, rng.random(150) < confidence)
    assert c.ece > 0.05
    assert 0.05 < c.chance < 0.25


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1)), st.integers(1, 20), st.sampled_from(BINNINGS))
def test_properties(confidence, bins, binning):
    correct = np.arange(len(confidence)) % 3 == 0
    c = calibrate(confidence, correct, bins, binning)
    assert c.count.sum() == len(confidence)
    assert 1 <= len(c.count) <= bins
    assert (c.low <= c.accuracy + 1e-12).all()
    assert (c.accuracy <= c.high + 1e-12).all()
    assert c.count @ c.accuracy == pytest.approx(correct.sum())
    assert c.count @ c.confidence == pytest.approx(confidence.sum())
    overall = abs(confidence.mean() - correct.mean())
    assert overall - 1e-9 <= c.ece <= 1
    where = bin_of(c.edges, confidence)
    assert (c.edges[where] <= confidence).all()
    assert (confidence <= c.edges[where + 1]).all()
    json.dumps(c.to_dict())


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (([0.5], [True, False]), ShapeError, r"\(1,\) and \(2,\)"),
        (([], []), ShapeError, "at least 1"),
        (([3.0], [True]), ArgumentError, "not logits"),
        (([-0.1], [True]), ArgumentError, "not logits"),
        (([np.nan], [True]), ArgumentError, "not logits"),
        (([0.5], [True], 0), ArgumentError, "bins needs"),
        (([0.5], [True], 5, "equal"), ArgumentError, "equal-mass, equal-width"),
    ],
)
def test_refused(arguments, error, hint):
    with pytest.raises(error, match=hint):
        calibrate(*arguments)


def test_edges_rise():
    edges = bin_edges(np.array([0.0, 0.0, 1.0, 1.0]), 15, "equal-mass")
    assert (np.diff(edges) > 0).all()
    assert (edges[0], edges[-1]) == (0, 1)
