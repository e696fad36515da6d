"""Sampling filters and the draw itself, on plain arrays."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigpt as mg
from minigpt.decoding import filter_logits, sample
from minigpt.decoding.sampling import check_sampling, draw, largest, log_softmax, penalise_repetition, softmax

# Rows of logits, many of them with ties: whole numbers half of the time, any moderate float otherwise.
LOGITS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 12)),
    elements=st.one_of(st.integers(-3, 3).map(float), st.floats(-30, 30)),
)
TEMPERATURES = st.floats(0.05, 20)


def kept(logits, **settings):
    return np.isfinite(filter_logits(logits, **settings))


# ---- filters


@given(LOGITS, TEMPERATURES)
def test_temperature_divides(logits, temperature):
    filtered = filter_logits(logits, temperature)
    assert filtered.dtype == np.float64
    np.testing.assert_allclose(filtered, logits / temperature, rtol=1e-12, atol=1e-12)


@given(LOGITS, st.data())
def test_top_k_keeps_the_largest(logits, data):
    k = data.draw(st.integers(1, logits.shape[1]))
    for row, keep in zip(logits, kept(logits, top_k=k), strict=True):
        kth = np.sort(row)[-k]
        np.testing.assert_array_equal(keep, row >= kth)  # at least k; more only where they tie with the k-th
        assert keep.sum() >= k


@given(LOGITS, st.floats(1e-6, 1.0), TEMPERATURES)
def test_top_p_keeps_the_smallest_set(logits, top_p, temperature):
    """The kept tokens are the likeliest, hold at least top_p, and without the least of them hold less."""
    for row, keep in zip(logits, kept(logits, temperature=temperature, top_p=top_p), strict=True):
        p = softmax(row[None] / temperature)[0]
        assert keep.any()
        assert p[keep].min() >= p[~keep].max(initial=0.0)
        assert math.fsum(p[keep]) >= top_p - 1e-12
        assert math.fsum(np.sort(p[keep])[1:]) < top_p + 1e-12


@given(LOGITS, st.data())
def test_filters_leave_the_kept_values_alone(logits, data):
    k = data.draw(st.integers(1, logits.shape[1]))
    top_p = data.draw(st.floats(0.01, 1.0))
    before = logits.copy()
    filtered = filter_logits(logits, 0.5, top_k=k, top_p=top_p)
    np.testing.assert_array_equal(logits, before)  # the caller's array
    keep = np.isfinite(filtered)
    np.testing.assert_array_equal(filtered[keep], (logits / 0.5)[keep])
    assert np.all(filtered[~keep] == -np.inf)
    assert np.all(keep[np.arange(len(logits)), logits.argmax(axis=1)])  # the likeliest always stays


@given(LOGITS, st.integers(-64, 64))
def test_shifting_all_logits_changes_nothing(logits, shift):
    logits = np.round(logits)  # whole numbers, so that the sum is exact and no tie is made or broken
    for settings in ({"top_k": 1}, {"top_p": 0.7}, {"temperature": 0.5, "top_p": 0.9}):
        np.testing.assert_array_equal(kept(logits + shift, **settings), kept(logits, **settings))


def test_rows_are_filtered_alone():
    logits = np.random.default_rng(0).normal(size=(6, 9))
    whole = filter_logits(logits, 0.8, top_k=5, top_p=0.6)
    for i in range(6):
        np.testing.assert_array_equal(whole[i : i + 1], filter_logits(logits[i : i + 1], 0.8, top_k=5, top_p=0.6))


def test_top_p_by_hand():
    logits = np.log([[0.1, 0.5, 0.15, 0.25]])
    for top_p, expected in ((0.2, [1]), (0.49, [1]), (0.6, [1, 3]), (0.8, [1, 2, 3]), (0.95, [0, 1, 2, 3])):
        assert np.flatnonzero(kept(logits, top_p=top_p)).tolist() == expected
    assert kept(np.zeros((1, 4)), top_p=0.5).tolist() == [[True, True, False, False]]  # of equals, the first ones
    assert kept(np.zeros((1, 4)), top_p=1.0).all()


def test_top_p_after_temperature_and_top_k():
    """The probabilities that top_p adds up are those that temperature and top_k leave, normalised anew."""
    logits = np.log([[0.5, 0.25, 0.125, 0.125]])
    assert kept(logits, top_p=0.6).sum() == 2
    assert kept(logits, temperature=0.25, top_p=0.6).sum() == 1  # 16 : 1 for the first
    assert kept(logits, top_k=2, top_p=0.66).sum() == 1  # 2 : 1 among two
    assert kept(logits, top_k=2, top_p=0.67).sum() == 2


def test_excluded_tokens_stay_excluded():
    logits = np.array([[-np.inf, 0.0, 1.0, -np.inf]])
    for settings in ({}, {"top_k": 3}, {"top_p": 1.0}, {"temperature": 0.1}):
        assert kept(logits, **settings).tolist() == [[False, True, True, False]]
        drawn = sample(np.repeat(logits, 500, 0), np.random.default_rng(0), **{"temperature": 1.0, **settings})
        assert set(drawn) <= {1, 2}


# ---- drawing


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.5}, {"temperature": 3.0}, {"top_k": 3}, {"top_p": 0.8}])
def test_distribution(settings):
    """Total variation between 200,000 draws and softmax(filter_logits): a few thousandths."""
    logits = np.random.default_rng(1).normal(size=(1, 8))
    expected = softmax(filter_logits(logits, **settings))[0]
    n = 200_000
    drawn = sample(np.repeat(logits, n, axis=0), np.random.default_rng(2), **settings)
    assert drawn.dtype == np.int64
    observed = np.bincount(drawn, minlength=8) / n
    assert observed[expected == 0].sum() == 0
    assert np.abs(observed - expected).sum() / 2 < 0.005


def test_one_number_per_row():
    """The draw of a row depends on its own random number only: a batch does not reorder the others' luck."""
    logits = np.random.default_rng(0).normal(size=(5, 8))
    drawn = sample(logits, np.random.default_rng(3))
    changed = logits.copy()
    changed[2] = -changed[2]
    others = sample(changed, np.random.default_rng(3))
    assert np.delete(others, 2).tolist() == np.delete(drawn, 2).tolist()
    u = np.random.default_rng(3).random(5)
    by_hand = [
        int(np.searchsorted(np.cumsum(p), x * p.sum(), side="right")) for p, x in zip(softmax(logits), u, strict=True)
    ]
    assert drawn.tolist() == by_hand


class FixedRandom(np.random.Generator):
    """A generator whose numbers are given."""

    def __init__(self, value):
        super().__init__(np.random.PCG64(0))
        self.value = value

    def random(self, shape):
        return np.full(shape, self.value)


@pytest.mark.parametrize("u", [0.0, 1 - 2**-53])
def test_edges_of_the_unit_interval(u):
    """0 and the largest number below 1 never hit a token of probability 0, nor run past the end."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(200, 50)) * 5
    logits[:, [0, 49]] = -np.inf
    drawn = sample(logits, FixedRandom(u))
    assert np.all(np.isfinite(logits[np.arange(200), drawn]))
    assert np.all(drawn == (1 if u == 0 else 48))


def test_greedy_takes_the_first_of_equals():
    logits = np.array([[1, 3, 3, 0], [2, 2, 2, 2]], np.float32)
    assert sample(logits, np.random.default_rng(0), temperature=0).tolist() == [1, 0]
    assert sample(logits, np.random.default_rng(0), temperature=0.0, top_k=1, top_p=0.1).tolist() == [1, 0]


@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_large_logits(scale):
    logits = np.array([[0.0, scale, scale], [scale, -scale, 0.0]], np.float32)
    drawn = sample(np.repeat(logits, 50, 0), np.random.default_rng(0))
    assert set(drawn[:50]) == {1, 2}
    assert set(drawn[50:]) == {0}


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-300, 5e-324])
def test_small_temperatures_are_greedy(temperature):
    """logits / temperature may leave the range of floats; the limit is still the largest logit."""
    logits = np.array([[30.0, 200.0, -10.0], [-3.0, -2.0, -1.0]])
    assert sample(logits, np.random.default_rng(0), temperature).tolist() == [1, 2]


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize("row", [[np.nan, 1.0], [1.0, np.nan], [np.inf, np.inf], [-np.inf, -np.inf]], ids=str)
def test_broken_logits_are_refused(row, temperature):
    """A model that diverged gives NaN; drawing token 0 from that would look like text."""
    with pytest.raises(mg.NumericsError):
        sample(np.array([row]), np.random.default_rng(0), temperature)


# ---- settings


WRONG = [
    ({"temperature": -0.1}, "temperature is a number from 0"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_k": 0}, "top_k is an integer from 1 to"),
    ({"top_k": 5}, "vocabulary size 4, got 5"),
    ({"top_k": True}, "top_k"),
    ({"top_k": 2.0}, "top_k"),
    ({"top_p": 0.0}, r"top_p is a probability in \(0, 1\]"),
    ({"top_p": 1.5}, "top_p"),
    ({"top_p": "0.9"}, "top_p"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_check_sampling(settings, message):
    with pytest.raises(mg.ArgumentError, match=message):
        check_sampling(4, **settings)


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_filter_used_alone(settings, message):
    """`minigpt.decoding.filter_logits` is public, so it checks for itself."""
    with pytest.raises(mg.ArgumentError, match=message):
        filter_logits(np.zeros((2, 4)), **settings)


def test_temperature_zero_has_no_logits():
    """The filter divides by the temperature; greedy choice happens in `sample`."""
    with pytest.raises(mg.ArgumentError, match="temperature"):
        filter_logits(np.zeros((1, 4)), temperature=0)


def test_settings_at_their_limits():
    check_sampling(4, temperature=0, top_k=4, top_p=1.0)
    check_sampling(4, temperature=1e9, top_k=np.int64(1), top_p=1e-9)


def test_lower_temperature_is_more_certain():
    logits = np.random.default_rng(0).normal(size=(1, 20))
    peaks = [softmax(filter_logits(logits, t)).max() for t in (0.1, 0.5, 1.0, 2.0, 10.0)]
    assert all(a > b for a, b in pairwise(peaks))


# ---- the fast draw is the filter's definition


def draw_by_definition(logits, u, **settings):
    p = softmax(filter_logits(logits - logits.max(-1, keepdims=True), **settings))
    cumulative = np.cumsum(p, axis=-1)
    return np.array([np.searchsorted(c, x * c[-1], side="right") for c, x in zip(cumulative, u, strict=True)])


SETTINGS = [{}, {"temperature": 0.3}, {"top_k": 5}, {"top_k": 700}, {"top_p": 0.3}, {"top_p": 0.95}, {"top_p": 1.0}]
SETTINGS += [{"temperature": 2.0, "top_k": 40, "top_p": 0.5}, {"temperature": 30.0, "top_p": 0.999}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("whole", [True, False])
def test_draw_narrows_down_without_changing_anything(settings, whole):
    """3,000 tokens, peaked and flat rows side by side; whole numbers tie at every boundary."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 3000)) * np.array([[0.0, 0.5, 1.0, 2.0, 5.0, 20.0]]).T
    logits = np.round(logits) if whole else logits
    for u in rng.random((20, 6)):
        got = draw(logits.astype(np.float32), u, **settings)
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, draw_by_definition(logits.astype(np.float32), u, **settings))


@given(LOGITS, st.data())
def test_largest(logits, data):
    k = data.draw(st.integers(1, logits.shape[1]))
    ids, values = largest(logits, k)
    for row, row_ids, row_values in zip(logits, ids, values, strict=True):
        keep = np.isfinite(row_values)
        assert row_ids[keep].tolist() == np.flatnonzero(row >= np.sort(row)[-k]).tolist()
        np.testing.assert_array_equal(row_values[keep], row[row_ids[keep]])


# ---- penalties and log-probabilities


def test_penalty_moves_every_token_down():
    logits = np.array([[2.0, -2.0, 1.0, 0.0], [4.0, 4.0, 4.0, 4.0]])
    before = logits.copy()
    penalised = penalise_repetition(logits, [np.array([0, 1, 1]), np.array([3])], 2.0)
    assert penalised.tolist() == [[1.0, -4.0, 1.0, 0.0], [4.0, 4.0, 4.0, 2.0]]
    np.testing.assert_array_equal(logits, before)
    below_one = penalise_repetition(logits, [np.array([0, 1]), np.array([], int)], 0.5)
    assert below_one.tolist() == [[4.0, -1.0, 1.0, 0.0], [4.0, 4.0, 4.0, 4.0]]


def test_penalty_passes_over_ids_that_must_not_follow():
    assert penalise_repetition(np.ones((1, 2)), [np.array([1, 5])], 2.0).tolist() == [[1.0, 0.5]]


def test_log_softmax():
    logits = np.array([[0.0, 1000.0, -np.inf], [-5.0, -5.0, -5.0]], np.float32)
    np.testing.assert_allclose(log_softmax(logits), [[-1000, 0, -np.inf], [-math.log(3)] * 3], rtol=1e-12)
