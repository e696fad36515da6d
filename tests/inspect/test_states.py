"""recurrent_states: gates and cells by layer, and they give the very states that the layer gave."""

import numpy as np
import pytest

from minigpt import Tensor, nn
from minigpt.errors import ArgumentError, ShapeError
from minigpt.inspect import recurrent_states

X = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


def begin(*names):
    rng = np.random.default_rng(1)
    state = tuple(Tensor(rng.normal(size=(2, 1, 5)).astype(np.float32)) for _ in names)
    return state if len(state) > 1 else state[0]


@pytest.mark.parametrize("state", [None, begin("h", "c")], ids=["from zeros", "from a state"])
def test_lstm(state):
    lstm = nn.LSTM(3, 5, num_layers=2, rng=0)
    y, (h, c) = lstm(X[None], state)
    layers = recurrent_states(lstm, X, state)
    np.testing.assert_array_equal(layers[1]["state"], y.numpy()[0])
    for layer, found in enumerate(layers):
        np.testing.assert_allclose(found["state"], found["output"] * np.tanh(found["cell"]), atol=1e-6)
        np.testing.assert_allclose(found["cell"][-1], c.numpy()[layer, 0], atol=1e-6)
        np.testing.assert_allclose(found["state"][-1], h.numpy()[layer, 0], atol=1e-6)


@pytest.mark.parametrize("state", [None, begin("h")], ids=["from zeros", "from a state"])
def test_gru(state):
    """h_t − n = z (h_{t−1} − n), with n from the reset gate: z of the step is what we report."""
    gru = nn.GRU(3, 5, num_layers=2, rng=0)
    first = recurrent_states(gru, X, state)[0]
    start = np.zeros((1, 5)) if state is None else state.numpy()[0]
    before = np.concatenate([start, first["state"][:-1]])
    w, u = gru.weight_ih_l0.numpy()[10:], gru.weight_hh_l0.numpy()[10:]
    b, c = gru.bias_ih_l0.numpy()[10:], gru.bias_hh_l0.numpy()[10:]
    n = np.tanh(X @ w.T + b + first["reset"] * (before @ u.T + c))
    np.testing.assert_allclose((1 - first["update"]) * n + first["update"] * before, first["state"], atol=1e-6)


def test_rnn_has_states_alone():
    rnn = nn.RNN(3, 5, rng=0)
    (found,) = recurrent_states(rnn, X)
    assert list(found) == ["state"]
    np.testing.assert_array_equal(found["state"], rnn(X[None])[0].numpy()[0])


def test_refused():
    with pytest.raises(ArgumentError, match=r"an nn\.RNN, nn\.LSTM or nn\.GRU, got Linear"):
        recurrent_states(nn.Linear(3, 5), X)
    with pytest.raises(ShapeError, match="one text at a time"):
        recurrent_states(nn.RNN(3, 5, rng=0), X[None])
