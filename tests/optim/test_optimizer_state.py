"""Optimizer state: saved, loaded, and going on bit for bit."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn, optim

MAKERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.01),
    "SGD momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.01),
    "AdamW": lambda p: optim.AdamW([{"params": p[:1]}, {"params": p[1:], "weight_decay": 0.0}], lr=0.1),
}
makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def parameters(dtype=np.float32):
    rng = np.random.default_rng(0)
    return [nn.Parameter(np.asarray(rng.standard_normal(shape), dtype)) for shape in ((3, 2), (4,), (), (5,))]


def steps(params, optimizer, numbers):
    """One step for each number, with gradients that follow from it; the last parameter never has one."""
    for number in numbers:
        rng = np.random.default_rng(number)
        for p in params[:-1]:
            p.grad = np.asarray(rng.standard_normal(p.shape), p.dtype)
        optimizer.step()


@makers
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_going_on_bit_for_bit(make, dtype):
    straight = parameters(dtype)
    steps(straight, make(straight), range(6))

    before = parameters(dtype)
    first = make(before)
    steps(before, first, range(3))
    after = [nn.Parameter(np.array(p.numpy())) for p in before]
    second = make(after)
    second.load_state_dict(first.state_dict())
    assert second.steps == 3
    steps(after, second, range(3, 6))
    for p, q in zip(straight, after, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
        assert p.dtype == q.dtype
    assert list(second.state_dict()) == list(first.state_dict())


@makers
def test_state_is_plain_named_arrays_and_a_copy(make):
    """It can go into a safetensors file as it is, and later steps do not reach into it."""
    params = parameters()
    optimizer = make(params)
    steps(params, optimizer, range(2))
    state = optimizer.state_dict()
    assert all(isinstance(name, str) and isinstance(array, np.ndarray) for name, array in state.items())
    kept = {name: array.copy() for name, array in state.items()}
    steps(params, optimizer, range(2, 4))
    for name, array in state.items():
        np.testing.assert_array_equal(array, kept[name])
    loaded = make(parameters())
    loaded.load_state_dict(state)
    steps(parameters(), loaded, [])
    loaded_params = [p for group in loaded.groups for p in group["params"]]
    steps(loaded_params, loaded, range(3))
    for name, array in state.items():
        np.testing.assert_array_equal(array, kept[name], err_msg=f"loading shared {name}")


def test_state_before_the_first_step():
    params = parameters()
    optimizer = optim.Adam(params, lr=0.1)
    other = optim.Adam(parameters(), lr=0.1)
    other.load_state_dict(optimizer.state_dict())
    assert other.steps == 0
    steps(params, other, [1])


def adam_state():
    params = parameters()
    optimizer = optim.Adam(params, lr=0.1)
    steps(params, optimizer, range(2))
    return optimizer.state_dict()


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


def sgd_state():
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1, momentum=0.9)
    steps(params, optimizer, range(2))
    return optimizer.state_dict()


@pytest.mark.parametrize(
    "state",
    [
        lambda: without(adam_state(), "steps"),
        lambda: {**adam_state(), "0.m": np.zeros((2, 3), np.float32)},
        lambda: {**adam_state(), "9.m": np.zeros(3, np.float32)},
        lambda: {**adam_state(), "x.m": np.zeros(3, np.float32)},
        lambda: without(adam_state(), "0.t"),
        lambda: without(adam_state(), "1.v"),
        sgd_state,
    ],
    ids=["no steps", "wrong shape", "no such parameter", "no number", "no counter", "no second moment", "of SGD"],
)
def test_state_that_does_not_fit(state):
    """Refused when it is loaded, and the optimizer stays as it was; not a KeyError in some later step."""
    params = parameters()
    optimizer = optim.Adam(params, lr=0.1)
    steps(params, optimizer, range(5))
    before = {name: array.copy() for name, array in optimizer.state_dict().items()}
    with pytest.raises(mg.CheckpointError):
        optimizer.load_state_dict(state())
    after = optimizer.state_dict()
    assert list(after) == list(before)
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
