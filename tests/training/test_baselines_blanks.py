"""Two-sided counts: the formula by hand, probabilities that sum to 1, unknown neighbours."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.errors import ArgumentError, DataError, ShapeError
from minigpt.training.baselines import NgramModel
from minigpt.training.baselines_blanks import KAPPAS, BothSides


def by_hand(ids, V, kappa, left, right):
    """The docstring's two lines, for one blank."""
    bigram = NgramModel.fit(ids, V, order=2)
    P = [float(bigram.probabilities(np.array([[left if left >= 0 else V, w]]))[0]) for w in range(V)]
    Q = [1.0 if right < 0 else float(bigram.probabilities(np.array([[w, right]]))[0]) for w in range(V)]
    B = np.array([p * q for p, q in zip(P, Q, strict=True)])
    B /= B.sum()
    counts = Counter((a, b, c) for a, b, c in zip(ids, ids[1:], ids[2:], strict=False))
    c = np.array([counts[(left, w, right)] for w in range(V)], float)
    return (c + kappa * B) / (c.sum() + kappa)


@given(st.integers(0, 10**6), st.integers(2, 6), st.sampled_from(KAPPAS))
def test_the_formula(seed, V, kappa):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, V, 60)
    model = BothSides(ids, V, kappa)
    left, right = rng.integers(-1, V, 9), rng.integers(-1, V, 9)
    p = model.probabilities(left, right)
    assert p.shape == (9, V)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    for row, a, b in zip(p, left, right, strict=True):
        np.testing.assert_allclose(row, by_hand(ids.tolist(), V, kappa, a, b), rtol=1e-9)


def test_both_sides_are_used():
    """b stands between a and c, d between a and e: neither neighbour alone tells them apart where both occur alike."""
    text = np.array([ord(ch) - ord("a") for ch in "abcfadefabcfadef" * 20])
    model = BothSides.fit(text, 6)
    a, b, c, d, e = range(5)
    p = model.probabilities([a, a, a, -1], [c, e, -1, c])
    assert p[0].argmax() == b
    assert p[1].argmax() == d
    assert p[0, b] > 0.9
    assert p[1, d] > 0.9
    assert abs(p[2, b] - p[2, d]) < 0.05  # with one side only it cannot say
    assert p[3].argmax() == b


def test_kappa_follows_the_text(rng):
    """Where the middle is the exclusive or of its neighbours, two bigrams know nothing and sightings all."""
    bits = rng.integers(0, 2, 1501)
    text = np.empty(3001, np.int64)
    text[::2] = bits
    text[1::2] = 2 + (bits[:-1] ^ bits[1:])[:1500]
    strict = BothSides.fit(text, 4)
    assert strict.kappa == KAPPAS[0]
    assert strict.probabilities([0, 0], [0, 1])[[0, 1], [2, 3]].min() > 0.95
    noise = BothSides.fit(rng.integers(0, 30, 3000), 30)  # sightings are chance
    assert noise.kappa == KAPPAS[-1]


def test_better_than_one_side_on_text():
    text = ("the cat sat on the mat and the dog sat on the log while the rat ate the hat of the bat " * 30)[:2400]
    ids = np.array([ord(ch) % 32 for ch in text])
    rng = np.random.default_rng(0)
    ids = np.where(rng.random(len(ids)) < 0.2, rng.integers(0, 27, len(ids)), ids)
    train, val = ids[:2000], ids[2000:]
    model = BothSides.fit(train, 32)
    middle = val[1:-1]
    log = np.log(model.probabilities(val[:-2], val[2:]))[np.arange(len(middle)), middle].mean()
    left = np.log(NgramModel.fit(train, 32, 2).probabilities(np.stack([val[:-2], middle], axis=1))).mean()
    assert log > left + 0.1


def test_no_blanks():
    assert BothSides(np.arange(20) % 4, 4, 1.0).probabilities(np.array([], int), np.array([], int)).shape == (0, 4)


@pytest.mark.parametrize(
    ("left", "right", "error", "message"),
    [
        ([1, 2], [1], ShapeError, "one id for each of K blanks"),
        ([[1]], [[1]], ShapeError, "one id for each"),
        ([4], [0], ArgumentError, "left needs ids in 0 … 3, or -1"),
        ([0], [-2], ArgumentError, "right needs ids"),
        ([0.5], [0], ArgumentError, "left needs ids"),
    ],
)
def test_refused(left, right, error, message):
    model = BothSides(np.arange(20) % 4, 4, 1.0)
    with pytest.raises(error, match=message):
        model.probabilities(left, right)


def test_bad_text():
    with pytest.raises(DataError):
        BothSides.fit(np.arange(5), 6)
    with pytest.raises(ArgumentError):
        BothSides.fit(np.full(40, 9), 9)
