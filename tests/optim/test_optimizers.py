"""SGD, Adam, AdamW: single steps worked by hand, parameter groups, and what a step may and may not touch."""

import math

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn, optim


def parameter(*values, grad=None, dtype=np.float64):
    p = nn.Parameter(np.array(values, dtype))
    p.grad = None if grad is None else np.array(grad, dtype)
    return p


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=0)


# ---- one step by hand


def test_sgd_step():
    p = parameter(1.0, -2.0, grad=[0.5, 4.0])
    optim.SGD([p], lr=0.1).step()
    close(p.numpy(), [1 - 0.1 * 0.5, -2 - 0.1 * 4])


def test_sgd_weight_decay():
    p = parameter(1.0, -2.0, grad=[0.5, 4.0])
    optim.SGD([p], lr=0.1, weight_decay=0.5).step()
    close(p.numpy(), [1 - 0.1 * (0.5 + 0.5), -2 - 0.1 * (4 - 1)])


def test_sgd_momentum_three_steps():
    """velocity: g, then 0.9 g + g, then 0.81 g + 0.9 g + g"""
    p = parameter(1.0, grad=[2.0])
    sgd = optim.SGD([p], lr=0.1, momentum=0.9)
    expected = 1.0
    for velocity in (2.0, 3.8, 5.42):
        sgd.step()
        expected -= 0.1 * velocity
        close(p.numpy(), [expected])


def test_first_adam_step_has_length_lr():
    """At t = 1 the corrections cancel the averages: the step is lr * g / (|g| + eps), whatever the size of g."""
    for grad in (1e-4, 1.0, 1e6):
        p = parameter(1.0, grad=[-grad])
        optim.Adam([p], lr=0.01, eps=1e-12).step()
        np.testing.assert_allclose(p.numpy(), [1 + 0.01], rtol=1e-8)


def test_adam_two_steps():
    p = parameter(3.0, grad=[2.0])
    adam = optim.Adam([p], lr=0.1, betas=(0.8, 0.9), eps=0.25)
    adam.step()
    first = 3 - 0.1 * 2 / (2 + 0.25)
    close(p.numpy(), [first])
    p.grad = np.array([-1.0])
    adam.step()
    m, v = 0.8 * 0.4 + 0.2 * -1, 0.9 * 0.4 + 0.1 * 1
    close(p.numpy(), [first - 0.1 * (m / (1 - 0.64)) / (math.sqrt(v / (1 - 0.81)) + 0.25)])


def test_adam_decays_through_the_gradient_and_adamw_directly():
    p, q = parameter(2.0, grad=[1.0]), parameter(2.0, grad=[1.0])
    optim.Adam([p], lr=0.1, eps=0.5, weight_decay=0.3).step()
    optim.AdamW([q], lr=0.1, eps=0.5, weight_decay=0.3).step()
    close(p.numpy(), [2 - 0.1 * 1.6 / (1.6 + 0.5)])
    close(q.numpy(), [2 * (1 - 0.1 * 0.3) - 0.1 * 1 / (1 + 0.5)])


def test_a_zero_gradient_is_a_gradient():
    """Weight decay and momentum act on it; only a gradient of None means: leave this one alone."""
    p = parameter(2.0, grad=[0.0])
    optim.AdamW([p], lr=0.1, weight_decay=0.5).step()
    close(p.numpy(), [2 * (1 - 0.05)])


def test_numbers_without_axes():
    for optimizer in (optim.SGD, optim.Adam, optim.AdamW):
        p = nn.Parameter(np.array(1.0, np.float32))
        p.grad = np.array(1.0, np.float32)
        optimizer([p], lr=0.5).step()
        assert p.data.shape == ()
        assert p.data.dtype == np.float32
        assert p.item() < 1


# ---- which parameters move


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.1, momentum=0.9), lambda p: optim.AdamW(p, lr=0.1)])
def test_no_gradient_no_step(make):
    p, q = parameter(1.0, grad=[1.0]), parameter(5.0)
    optimizer = make([p, q])
    for _ in range(3):
        optimizer.step()
    close(q.numpy(), [5.0])
    assert p.item() < 1
    assert 1 not in optimizer.state or not optimizer.state[1]


def test_adam_counts_steps_per_parameter():
    """A parameter that was frozen for two steps takes its own first step, of length lr."""
    p, q = parameter(1.0, grad=[1.0]), parameter(1.0)
    adam = optim.Adam([p, q], lr=0.01, eps=0.0)
    adam.step()
    adam.step()
    q.grad = np.array([1e-3])
    adam.step()
    assert (adam.state[0]["t"], adam.state[1]["t"], adam.steps) == (3, 1, 3)
    close(q.numpy(), [1 - 0.01])


def test_steps_write_in_place_and_leave_the_gradient():
    p = parameter(1.0, 2.0, grad=[1.0, 1.0], dtype=np.float32)
    data, grad = p.data, p.grad
    for optimizer in (optim.SGD([p], 0.1, 0.9, 0.1), optim.Adam([p], 0.1, weight_decay=0.1), optim.AdamW([p], 0.1)):
        optimizer.step()
    assert p.data is data
    assert p.grad is grad
    assert data.dtype == np.float32
    np.testing.assert_array_equal(grad, [1, 1])
    optimizer.zero_grad()
    assert p.grad is None


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.AdamW])
def test_a_step_counts_as_a_write(make):
    """A graph made before the step needs the old values: its backward is refused, not silently wrong."""
    p = parameter(3.0)
    (p * p).sum().backward()
    stale = (p * p).sum()
    optimizer = make([p], lr=0.1)
    optimizer.step()
    with pytest.raises(mg.GraphError, match=rf"overwritten since by {make.__name__}\.step\(\)"):
        stale.backward()
    (p * p).sum().backward()  # a graph made after it is fine


def test_a_step_without_gradients_writes_nothing():
    p = parameter(3.0)
    loss = (p * p).sum()
    optim.SGD([p], lr=0.1).step()
    loss.backward()
    close(p.grad, [6.0])


# ---- groups and the learning rate


def test_weight_decay_of_a_group():
    decayed, kept = parameter(1.0, grad=[0.0]), parameter(1.0, grad=[0.0])
    optim.AdamW([{"params": [decayed]}, {"params": [kept], "weight_decay": 0.0}], lr=0.1, weight_decay=0.5).step()
    close(decayed.numpy(), [0.95])
    assert kept.item() == 1.0


def test_a_group_with_its_own_settings():
    p, q, r = (parameter(1.0, grad=[1.0]) for _ in range(3))
    sgd = optim.SGD([{"params": iter([p, q]), "lr": 0.01}, {"params": [r], "weight_decay": 1.0}], lr=0.1)
    sgd.step()
    close([p.item(), q.item(), r.item()], [0.99, 0.99, 0.8])
    sgd.groups[0]["lr"] = 0.5  # may be changed between steps
    sgd.step()
    close(p.numpy(), [0.49])


def test_setting_lr_keeps_ratios():
    p, q = parameter(1.0), parameter(1.0)
    sgd = optim.SGD([{"params": [p], "lr": 0.01}, {"params": [q]}], lr=0.1)
    assert sgd.lr == 0.1
    for lr in (0.2, 1e-5, 3.0):
        sgd.lr = lr
        assert sgd.lr == lr
        close([group["lr"] for group in sgd.groups], [lr / 10, lr])


def test_setting_lr_keeps_ratios_through_zero():
    """A schedule may pass through 0: at the end of a cosine with min_lr 0, or before a warm-up."""
    p, q = parameter(1.0), parameter(1.0)
    sgd = optim.SGD([{"params": [p], "lr": 0.01}, {"params": [q]}], lr=0.1)
    sgd.lr = 0.0
    assert [group["lr"] for group in sgd.groups] == [0.0, 0.0]
    sgd.lr = 0.1
    close([group["lr"] for group in sgd.groups], [0.01, 0.1])


@pytest.mark.parametrize("lr", [-0.1, float("nan")])
def test_lr_is_checked_wherever_it_is_set(lr):
    p = parameter(1.0)
    with pytest.raises(mg.ArgumentError, match="lr must be a number from 0 up"):
        optim.SGD([p], lr=lr)
    with pytest.raises(mg.ArgumentError, match="lr must be a number from 0 up"):
        optim.SGD([{"params": [p], "lr": lr}], lr=0.1)
    sgd = optim.SGD([p], lr=0.1)
    with pytest.raises(mg.ArgumentError, match="lr must be a number from 0 up"):
        sgd.lr = lr


INNER = parameter(1.0) * 2


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], "no parameters"),
        (iter(()), "no parameters"),
        ([INNER], "leaf Tensors"),
        ([mg.Tensor([1.0])], "requires_grad=True"),
        ([np.ones(2)], "leaf Tensors"),
        ({"params": [parameter(1.0)]}, "leaf Tensors"),
        ([{"params": [parameter(1.0)], "learning_rate": 0.1}], "learning_rate.*known: params, lr, momentum"),
        ([{"lr": 0.1}], "params"),
        ([{"params": [parameter(1.0)], "momentum": -1.0}], "momentum must be a number from 0 up"),
        (nn.Linear(2, 2), "parameters"),
        ([{"params": nn.Linear(2, 2)}], "parameters"),
    ],
    ids=["empty", "empty iterator", "inner", "no gradient", "array", "one dict", "unknown key", "group without params",
         "bad setting", "a module", "a module in a group"],
)  # fmt: skip
def test_wrong_params(params, message):
    with pytest.raises(mg.ArgumentError, match=message):
        optim.SGD(params, lr=0.1)


def test_the_same_parameter_twice():
    p = parameter(1.0)
    for params in ([p, p], [{"params": [p]}, {"params": [p]}]):
        with pytest.raises(mg.ArgumentError, match="twice"):
            optim.SGD(params, lr=0.1)


@pytest.mark.parametrize("betas", [(1.0, 0.9), (0.9, -0.1), (0.9,), (0.9, 0.9, 0.9), (0.9, float("nan")), 0.9])
def test_wrong_betas(betas):
    with pytest.raises(mg.ArgumentError, match="betas"):
        optim.Adam([parameter(1.0)], lr=0.1, betas=betas)


@pytest.mark.parametrize("setting", ["lr", "eps", "weight_decay"])
def test_settings_are_numbers(setting):
    with pytest.raises(mg.ArgumentError, match=setting):
        optim.AdamW([parameter(1.0)], **{"lr": 0.1, setting: "0.1"})
