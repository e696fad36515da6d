"""RNN, LSTM and GRU as modules; their numbers are compared with PyTorch's in tests/test_golden_recurrent.py."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn

KINDS = [nn.RNN, nn.LSTM, nn.GRU]


def parts(state):
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_shapes_are_those_of_pytorch(kind):
    gates = {nn.RNN: 1, nn.LSTM: 4, nn.GRU: 3}[kind]
    m = kind(5, 3, num_layers=2, rng=0)
    assert {name: p.shape for name, p in m.named_parameters()} == {
        "weight_ih_l0": (gates * 3, 5), "weight_hh_l0": (gates * 3, 3), "bias_ih_l0": (gates * 3,),
        "bias_hh_l0": (gates * 3,), "weight_ih_l1": (gates * 3, 3), "weight_hh_l1": (gates * 3, 3),
        "bias_ih_l1": (gates * 3,), "bias_hh_l1": (gates * 3,),
    }  # fmt: skip
    y, state = m(np.ones((2, 4, 5), np.float32))
    assert y.shape == (2, 4, 3)
    assert [s.shape for s in parts(state)] == [(2, 2, 3)] * (2 if kind is nn.LSTM else 1)
    assert "5 -> 3, 2 layers" in repr(m)


@pytest.mark.parametrize("kind", KINDS)
def test_two_pieces_with_the_state_between_are_one_text(kind, rng):
    m, x = kind(3, 4, num_layers=2, rng=0).astype("float64"), rng.normal(size=(2, 7, 3))
    whole, end = m(x)
    first, state = m(x[:, :3])
    second, state = m(x[:, 3:], nn.detached(state))
    np.testing.assert_allclose(np.concatenate([first.numpy(), second.numpy()], axis=1), whole.numpy(), rtol=1e-12)
    for a, b in zip(parts(state), parts(end), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_end_where_the_state_is_detached(kind, rng):
    m, x = kind(3, 4, rng=0), mg.Tensor(rng.normal(size=(2, 6, 3)), requires_grad=True)
    for cut, reaches in ((nn.detached, False), (lambda state: state, True)):
        x.grad = None
        _, state = m(x[:, :3])
        y, _ = m(x[:, 3:], cut(state))
        y.sum().backward()
        assert x.grad[:, 3:].all()
        assert bool(x.grad[:, :3].any()) == reaches


def test_dropout_acts_between_layers_and_in_training_only(rng):
    x = rng.normal(size=(2, 5, 3)).astype(np.float32)
    one, two = nn.LSTM(3, 4, 1, rng=0, dropout=0.5), nn.LSTM(3, 4, 2, rng=0, dropout=0.5)
    assert (one(x)[0].numpy() == one(x)[0].numpy()).all()  # a single layer has nothing between
    assert not (two(x)[0].numpy() == two(x)[0].numpy()).all()
    two.eval()
    assert (two(x)[0].numpy() == two(x)[0].numpy()).all()


@pytest.mark.parametrize(
    ("x", "state", "lengths", "message"),
    [
        ((2, 4, 3), None, None, r"needs \(B, T, C\) with C = input_size = 5"),
        ((4, 5), None, None, r"one text alone: x\[None\]"),
        ((0, 4, 5), None, None, "nothing to read"),
        ((2, 0, 5), None, None, "nothing to read"),
        ((2, 4, 5), [(1, 2, 3)], None, r"the state is the pair \(h, c\), got ndarray of 1"),
        ((2, 4, 5), [(1, 2, 3), (2, 2, 3)], None, r"state c has shape \(2, 2, 3\), needs \(layers, B, hidden\)"),
        ((2, 4, 5), [(1, 3, 3), (1, 3, 3)], None, r"state h has shape \(1, 3, 3\)"),
        ((2, 4, 5), None, [4, 0], r"lengths\[1\] is 0, but a length is from 1 to T = 4"),
        ((2, 4, 5), None, [4.0, 1.0], r"lengths must be 2 integers, .* got float64 \(2,\)"),
        ((2, 4, 5), None, [[4], [1, 2]], "lengths must be 2 integers, .* these are lists"),
        ((2, 4, 5), None, [5, 1], r"lengths\[0\] is 5, but a length is from 1 to T = 4"),
    ],
)
def test_what_does_not_fit_is_refused(x, state, lengths, message):
    m = nn.LSTM(5, 3, rng=0)
    given = None if state is None else tuple(np.zeros(s, np.float32) for s in state)
    given = given[0] if given and len(given) == 1 else given
    with pytest.raises(mg.MiniGPTError, match=message):
        m(np.ones(x, np.float32), given, lengths)


def test_sizes_and_names_are_checked():
    with pytest.raises(mg.ArgumentError, match="hidden_size must be a positive integer"):
        nn.GRU(5, 0)
    with pytest.raises(mg.ArgumentError, match="'tanh' or 'relu'"):
        nn.RNN(5, 3, nonlinearity="sin")
