"""Recurrent layers step by step: the numbers of the fused layers, and gates that can be seen, checked and replaced."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn
from minigpt.inspect import capture, hooked, patch
from minigpt.models import RecurrentConfig, RecurrentLM

ROWS = [name for name, there in mg.backends().items() if there is True]
KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
GATES = {"rnn": "h", "lstm": "ifgoch", "gru": "rznh"}
LENGTHS = [None, [5, 1, 3]]
B, T, C, H = 3, 5, 4, 6
RNG = np.random.default_rng(0)
X = RNG.normal(size=(B, T, C))


def layer(kind, dtype=np.float64, **settings):
    return KINDS[kind](C, H, 2, rng=1, **settings).astype(dtype)


def results(module, x, lengths, start, watched):
    """Output, states and all gradients of a loss that reads both."""
    x, start = mg.Tensor(x, requires_grad=True), [mg.Tensor(s, requires_grad=True) for s in start]
    state = start[0] if len(start) == 1 else tuple(start)
    module.zero_grad()
    if watched:
        with capture(module) as acts:
            y, last = module(x, state, lengths)
    else:
        acts, (y, last) = {}, module(x, state, lengths)
    last = last if isinstance(last, tuple) else (last,)
    ((y * y).sum() + sum((s.tanh().sum() for s in last), mg.Tensor(0.0))).backward()
    gradients = {name: p.grad for name, p in module.named_parameters()}
    gradients |= {"x": x.grad} | {f"state {k}": s.grad for k, s in enumerate(start)}
    return [y.numpy(), *(s.numpy() for s in last)], gradients, acts


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("lengths", LENGTHS, ids=["whole", "lengths"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(B, T), (B, 1)], ids=str)
def test_watched_and_fused_agree_in_outputs_states_and_gradients(row, kind, lengths, shape):
    lengths = None if lengths is None else np.minimum(lengths, shape[1])
    with mg.use(row):
        module = layer(kind)
        start = np.random.default_rng(2).normal(size=(len(module.states), 2, B, H))
        outputs, gradients, _ = results(module, X[:, : shape[1]], lengths, start, watched=False)
        again, others, acts = results(module, X[:, : shape[1]], lengths, start, watched=True)
    for a, b in zip(outputs, again, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(others[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)
    assert set(acts) == {f"l{k}{part}" for k in range(2) for part in ["", *(f".{g}" for g in GATES[kind])]} | {"output"}
    assert all(acts[f"l1.{gate}"].shape == (*shape, H) for gate in GATES[kind])


def test_relu_and_float32_keep_what_they_are():
    module = layer("rnn", np.float32, nonlinearity="relu")
    x = X.astype(np.float32)
    with capture(module) as acts:
        y, _ = module(x)
    assert y.dtype == acts["l0.h"].dtype == np.float32
    np.testing.assert_allclose(y.numpy(), module(x)[0].numpy(), rtol=1e-5, atol=1e-6)
    assert (acts["l1.h"] >= 0).all()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_gates_of_an_lstm_by_hand():
    module = layer("lstm")
    with capture(module) as acts:
        module(X)
    i, f, g, o, c, h = (acts[f"l0.{part}"] for part in "ifgoch")
    before = np.concatenate([np.zeros((B, 1, H)), h[:, :-1]], axis=1)  # (B, T, H)
    pre = X @ module.weight_ih_l0.numpy().T + before @ module.weight_hh_l0.numpy().T
    pre = np.split(pre + module.bias_ih_l0.numpy() + module.bias_hh_l0.numpy(), 4, axis=-1)
    by_hand = sigmoid(pre[0]), sigmoid(pre[1]), np.tanh(pre[2]), sigmoid(pre[3])
    for gate, wanted in zip((i, f, g, o), by_hand, strict=True):
        np.testing.assert_allclose(gate, wanted, rtol=1e-10)
    cell = np.zeros((B, H))
    for t in range(T):
        cell = f[:, t] * cell + i[:, t] * g[:, t]
        np.testing.assert_allclose(c[:, t], cell, rtol=1e-10)
    np.testing.assert_allclose(h, o * np.tanh(c), rtol=1e-10)
    np.testing.assert_array_equal(acts["l0"], h)


def test_gates_of_a_gru_by_hand():
    module = layer("gru")
    with capture(module, "l0.?") as acts:
        module(X)
    r, z, n, h = (acts[f"l0.{part}"] for part in "rznh")
    before = np.concatenate([np.zeros((B, 1, H)), h[:, :-1]], axis=1)  # (B, T, H)
    a = np.split(X @ module.weight_ih_l0.numpy().T + module.bias_ih_l0.numpy(), 3, axis=-1)
    p = np.split(before @ module.weight_hh_l0.numpy().T + module.bias_hh_l0.numpy(), 3, axis=-1)
    np.testing.assert_allclose(r, sigmoid(a[0] + p[0]), rtol=1e-10)
    np.testing.assert_allclose(z, sigmoid(a[1] + p[1]), rtol=1e-10)
    np.testing.assert_allclose(n, np.tanh(a[2] + r * p[2]), rtol=1e-10)
    np.testing.assert_allclose(h, (1 - z) * n + z * before, rtol=1e-10)


def test_a_forget_gate_closed_at_one_step_ends_the_memory_of_all_before():
    """What a later token sees does not depend on the first two any more, if the state is closed off as well."""
    module = layer("lstm")
    other = X.copy()
    other[:, :2] = RNG.normal(size=(B, 2, C))
    zero = {f"l{k}.{part}": (lambda value, name: value * 0.0) for k in range(2) for part in ("f.2", "h.1")}
    with hooked(module, zero):
        y, _ = module(X)
        changed, _ = module(other)
    np.testing.assert_allclose(changed.numpy()[:, 2:], y.numpy()[:, 2:], rtol=1e-12)
    assert not np.allclose(module(other)[0].numpy()[:, 2:], module(X)[0].numpy()[:, 2:])


def test_a_change_at_one_step_reaches_the_gates_of_the_later_ones():
    module = layer("gru")
    with capture(module) as before:
        module(X)
    with hooked(module, {"l0.z.1": lambda value, name: value * 0.0}), capture(module) as after:
        module(X)
    np.testing.assert_array_equal(after["l0.r"][:, :2], before["l0.r"][:, :2])
    assert not np.allclose(after["l0.r"][:, 2], before["l0.r"][:, 2])


@pytest.mark.parametrize("cell", KINDS)
def test_hooks_and_patches_of_a_model(cell):
    model = RecurrentLM(RecurrentConfig(11, 2, 4, cell=cell), seed=0).eval()
    ids, other = np.array([[1, 5, 2, 7]]), np.array([[4, 4, 9, 7]])
    met = []
    with hooked(model, {"rnn.l1.h": lambda value, name: met.append(name)}):
        model(ids)
    assert met == [f"rnn.l1.h.{t}" for t in range(4)]
    with capture(model, copy=True) as acts:
        wanted = model(other)[0].numpy()
    plain = model(ids)[0].numpy()
    with patch(model, acts, "*"):
        np.testing.assert_array_equal(model(ids)[0].numpy(), wanted)
    states = [name for part in "hc" for name in ("rnn.l0." + part, "rnn.l1." + part) if name in acts]
    with patch(model, acts, states, positions=[2]):  # the last token is the same in both
        patched = model(ids)[0].numpy()
    np.testing.assert_allclose(patched[:, 2:], wanted[:, 2:], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(patched[:, :2], plain[:, :2], rtol=1e-5, atol=1e-6)
    assert not np.allclose(patched[:, 2:], plain[:, 2:])


def test_wrong_use_says_what_fits():
    model = RecurrentLM(RecurrentConfig(11, 1, 4, cell="lstm"), seed=0)
    ids = np.array([[1, 5, 2, 7]])
    with pytest.raises(mg.ArgumentError, match=r"nearest: .*rnn\.l0\.f"), hooked(model, {"rnn.l0.ff": print}):
        model(ids)
    with capture(model, "rnn.l0.f") as acts:
        model(ids[:, :3])
    with pytest.raises(mg.ShapeError, match=r"\(1, 3, 4\) in the other run, \(1, 4, 4\) here"):
        with patch(model, acts, "rnn.l0.f"):
            model(ids)
    with pytest.raises(mg.ShapeError, match=r"gave shape \(3,\)"):
        with hooked(model, {"rnn.l0.f.1": lambda value, name: np.ones(3)}):
            model(ids)
    with capture(model), pytest.raises(mg.ArgumentError, match="a length is from 1 to T"):
        model.rnn(np.ones((1, 2, 4), np.float32), lengths=[3])
