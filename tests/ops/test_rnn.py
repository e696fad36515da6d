"""The plain recurrent layer over all steps, and the lengths that all recurrent layers take."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt as mg
from minigpt import functional as F

SHAPES = [(2, 3, 2), (2, 2), (2, 2)]


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("lengths", [None, [3, 1], [2, 3]], ids=str)
def test_gradients(lengths, nonlinearity, rng):
    arrays = [rng.normal(size=shape) for shape in SHAPES]
    assert mg.gradcheck(lambda *arrays: F.rnn(*arrays, lengths=lengths, nonlinearity=nonlinearity), arrays)


def test_by_hand():
    """h1 = tanh(1), h2 = tanh(-1 + 0.5 h1)"""
    y, h = F.rnn(np.array([[[1.0], [-1.0]]]), np.array([[0.5]]), np.zeros((1, 1)))
    first = np.tanh(1.0)
    np.testing.assert_allclose(y.numpy()[0, :, 0], [first, np.tanh(-1 + 0.5 * first)])
    assert h.numpy()[0, 0] == y.numpy()[0, 1, 0]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.sampled_from(["rnn", "gru", "lstm"]), st.integers(0, 99))
def test_a_row_of_a_batch_is_that_row_alone(lengths, kind, seed):
    """Whatever its neighbours are, and whatever stands behind its end; y is 0 there and no gradient comes back."""
    rng, B, n, gates = np.random.default_rng(seed), len(lengths), 2, {"rnn": 1, "gru": 3, "lstm": 4}[kind]
    a, w = rng.normal(size=(B, 5, gates * n)), rng.normal(size=(gates * n, n))
    more = [rng.normal(size=gates * n)] if kind == "gru" else []
    states = [rng.normal(size=(B, n)) for _ in range(2 if kind == "lstm" else 1)]
    steps = mg.Tensor(a, requires_grad=True)
    y, *ends = getattr(F, kind)(steps, w, *more, *states, lengths=np.array(lengths))
    ((y * y).sum() + sum(end.exp().sum() for end in ends)).backward()
    for b, length in enumerate(lengths):
        alone, *ends_alone = getattr(F, kind)(a[b : b + 1, :length], w, *more, *(s[b : b + 1] for s in states))
        np.testing.assert_allclose(y.numpy()[b, :length], alone.numpy()[0], rtol=1e-12)
        for end, end_alone in zip(ends, ends_alone, strict=True):
            np.testing.assert_allclose(end.numpy()[b], end_alone.numpy()[0], rtol=1e-12)
        assert not y.numpy()[b, length:].any()
        assert not steps.grad[b, length:].any()
        assert steps.grad[b, :length].all()


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([3, 4], mg.ArgumentError, r"lengths\[1\] is 4, but a length is from 1 to T = 3"),
        ([0, 3], mg.ArgumentError, r"lengths\[0\] is 0"),
        ([3], mg.ShapeError, "lengths must be 2 integers"),
        ([1.0, 2.0], mg.ShapeError, "lengths must be 2 integers"),
    ],
)
def test_lengths_must_fit(lengths, error, message):
    with pytest.raises(error, match=message):
        F.rnn(*(np.ones(shape) for shape in SHAPES), lengths=lengths)


def test_shapes_and_names_must_fit():
    with pytest.raises(mg.ShapeError, match=r"must be \(B, T, hidden\) and \(hidden, hidden\)"):
        F.rnn(np.ones((2, 3, 2)), np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(mg.ArgumentError, match="nonlinearity is 'tanh' or 'relu', got 'gelu'"):
        F.rnn(*(np.ones(shape) for shape in SHAPES), nonlinearity="gelu")
