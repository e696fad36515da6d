"""The first NaN or Inf is named where it appears, with its cause; what is sound passes unchanged."""

import contextvars
import threading
import warnings

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import nn, optim
from minigpt.models import GPT, GPTConfig

CONFIG = GPTConfig(vocab_size=11, block_size=6, n_layer=2, n_head=2, n_embd=8)
IDS = np.arange(12).reshape(2, 6) % 11


def leaf(values, name="x", dtype=np.float32):
    return mg.Tensor(np.array(values, dtype), requires_grad=True, name=name)


def caught(run):
    with pytest.raises(mg.NumericsError) as error, mg.debug.anomaly():
        run()
    return str(error.value)


FORWARD = {
    "exp": (lambda: leaf([1.0, 89.0]).exp(), "Exp gave 1 Inf of 2", "exp overflow: 1 of 2 inputs are above 88.7"),
    "exp64": (lambda: leaf([710.0], dtype=np.float64).exp(), "Exp gave 1 Inf of 1", "above 709.8"),
    "log0": (lambda: leaf([1.0, 0.0]).log(), "Log gave 1 Inf of 2", "log of zero: 1 of 2"),
    "log-": (lambda: leaf([1.0, -1.0]).log(), "Log gave 1 NaN of 2", "log of a negative number"),
    "divide": (lambda: 1 / leaf([0.0, 2.0]), "Div gave 1 Inf of 2", "division by zero: 1 of 2 divisors are 0"),
    "std": (
        lambda: leaf([[1.0, 1.0]]) / leaf([[1.0, 1.0]], "s").var(axis=-1, keepdims=True).sqrt(),
        "Div gave 2 Inf of 2",
        "A standard deviation is 0",
    ),
    "sqrt": (lambda: leaf([-1.0]).sqrt(), "Sqrt gave 1 NaN of 1", "square root of a negative number"),
    "power": (lambda: leaf([-1.0, 4.0]) ** 0.5, "gave 1 NaN of 2", "a negative number to a fractional power: 1 of 2"),
    "power0": (lambda: leaf([0.0]) ** -1.0, "gave 1 Inf of 1", "0 to a negative power"),
    "data": (lambda: leaf([np.nan], "batch") + 1, "Add gave 1 NaN of 1", "input 0 (batch) came in with NaN"),
    "product": (lambda: leaf([3e30]) * leaf([3e30]), "Mul gave 1 Inf of 1", "numbers as large as 3e+30 go in"),
}


@pytest.mark.parametrize("case", FORWARD)
def test_forward(case):
    run, what, cause = FORWARD[case]
    message = caught(run)
    assert what in message
    assert cause in message
    assert "at test_anomalies.py:" in message
    assert "input 0" in message


BACKWARD = {
    "sqrt": (lambda: leaf([0.0, 1.0]).sqrt().sum(), "Sqrt.backward gave 1 Inf of 2", "infinite at 0, and 1 of 2"),
    "power": (lambda: (leaf([0.0, 1.0]) ** 0.5).sum(), "gave 1 Inf of 2", "infinite at 0, and 1 of 2 bases"),
    "grown": (lambda: leaf([1e-30]) * 1e30 * 1e30, "Mul.backward gave 1 Inf", "already as large as 1e+30"),
}


@pytest.mark.parametrize("case", BACKWARD)
def test_backward(case):
    run, what, cause = BACKWARD[case]
    message = caught(lambda: run().backward())
    assert what in message
    assert cause in message
    assert "at test_anomalies.py:" in message  # the line of forward


def test_a_masked_target_is_told_from_overflow():
    logits = leaf([[0.0, 1.0]])
    masked = mg.where(np.array([[True, False]]), logits, -np.inf)
    assert "the target itself is masked" in caught(lambda: F.cross_entropy(masked, np.array([1])))


def test_the_module_is_named_and_weights_that_have_grown():
    model = GPT(CONFIG, seed=0)
    model.h[1].attn.c_attn.weight.data[:] *= 1e38
    message = caught(lambda: model(IDS))
    assert "in h.1.attn" in message
    message = caught(lambda: model.h[1].attn.c_attn(np.full((1, 2, 8), 3e3, np.float32)))
    assert "the weights weight have grown to" in message


def test_a_parameter_that_an_update_broke():
    model = GPT(CONFIG, seed=0)
    model.h[0].mlp.c_proj.weight.data[0, 0] = np.nan
    message = caught(lambda: model(IDS))
    assert "the parameter h.0.mlp.c_proj.weight already holds NaN: an earlier update made it" in message


def test_a_training_that_blows_up_is_stopped():
    layer = nn.Linear(2, 2, rng=0)
    step = optim.SGD(layer.parameters(), lr=1e6)

    def train():
        for _ in range(50):
            layer.zero_grad()
            (layer(np.ones((1, 2), np.float32)) ** 4.0).sum().backward()
            step.step()

    assert "weight have grown to" in caught(train) or "numbers as large as" in caught(train)


@pytest.mark.parametrize("row", [name for name, there in mg.backends().items() if there is True])
def test_a_sound_step_is_the_same_bits_and_masks_may_be_infinite(row):
    def gradients(watched):
        model = GPT(CONFIG, seed=0)
        with mg.use(row):
            if watched:
                with mg.debug.anomaly():
                    model(IDS, IDS)[1].backward()
            else:
                model(IDS, IDS)[1].backward()
        return {name: p.grad for name, p in model.named_parameters()}

    plain, watched = gradients(False), gradients(True)
    for name, grad in plain.items():
        np.testing.assert_array_equal(grad, watched[name], err_msg=name)
    q = leaf(np.ones((1, 1, 3, 2)))
    with mg.use(row), mg.debug.anomaly():  # scores of -Inf before the softmax, a row that sees nothing at all
        y, _ = F.attention_with_weights(q, q, q, mask=np.array([[True, True, True]] * 2 + [[False] * 3]))
        y.sum().backward()
    assert np.isfinite(q.grad).all()


def test_raw_writes_are_caught_by_checksum():
    x = leaf([1.0, 2.0])

    def write_between():
        y = x * x
        x.data[0] = 5
        y.sum().backward()

    match = r"Mul needs for backward was written to .*test_anomalies.py"
    with pytest.raises(mg.GraphError, match=match), mg.debug.anomaly():
        write_between()


def test_two_backwards_without_zero_grad_are_warned_of():
    layer = nn.Linear(2, 1, rng=0)

    def times(n):
        for _ in range(n):
            layer(np.ones((1, 2), np.float32)).sum().backward()

    with (
        pytest.warns(UserWarning, match=r"earlier backward\(\) had left in weight, bias: call zero_grad"),
        mg.debug.anomaly(),
    ):
        times(2)
    layer.zero_grad()
    with (
        pytest.warns(UserWarning, match=r"backward\(\) added, 3 times, to gradients that an earlier"),
        mg.debug.anomaly(),
    ):
        times(4)
    layer.zero_grad()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mg.debug.anomaly(accumulating=True):
            times(2)
        layer.zero_grad()
        with mg.debug.anomaly():  # one pass that uses the layer twice is no second pass
            x = np.ones((1, 2), np.float32)
            (layer(x) + layer(2 * x)).sum().backward()


def test_threads_do_not_see_each_others_passes():
    """Two threads under one anomaly(), as the trainer's workers are: no gradient is taken for a stale one."""

    def train(layer):
        x = np.ones((1, 4), np.float32)
        for _ in range(200):
            layer.zero_grad()
            h = x
            for _ in range(20):
                h = layer(h)
            h.sum().backward()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mg.debug.anomaly():
            threads = [
                threading.Thread(target=contextvars.copy_context().run, args=(train, nn.Linear(4, 4, rng=seed)))
                for seed in range(2)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()


def test_afterwards_nothing_watches():
    caught(lambda: leaf([0.0]).log())
    with pytest.warns(RuntimeWarning):
        assert np.isinf(leaf([0.0]).log().item())
