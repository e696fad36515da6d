"""Learning-rate schedules at their corners, and against their formulas everywhere."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt as mg
from minigpt import optim


def test_cosine_corners():
    def lr(step):
        return optim.cosine_warmup(step, warmup=10, total=110, lr=1e-3, min_lr=1e-4)

    assert lr(0) == pytest.approx(1e-3 / 11)  # the first step is small, not zero
    assert lr(9) == pytest.approx(1e-3 * 10 / 11)
    assert lr(10) == pytest.approx(1e-3)
    assert lr(60) == pytest.approx((1e-3 + 1e-4) / 2)  # halfway down
    assert lr(85) == pytest.approx(1e-4 + 9e-4 * (1 - math.sqrt(0.5)) / 2)
    for step in (110, 111, 10_000):
        assert lr(step) == 1e-4


def test_cosine_without_warmup_or_without_fall():
    assert optim.cosine_warmup(0, 0, 10, lr=1.0, min_lr=0.1) == pytest.approx(1.0)
    assert optim.cosine_warmup(9, 10, 10, lr=1.0, min_lr=0.1) == pytest.approx(10 / 11)
    assert optim.cosine_warmup(10, 10, 10, lr=1.0, min_lr=0.1) == 0.1
    assert optim.cosine_warmup(0, 0, 0, lr=1.0, min_lr=0.1) == 0.1
    assert optim.cosine_warmup(5, 0, 10, lr=0.5, min_lr=0.5) == pytest.approx(0.5)


@given(st.integers(0, 300), st.integers(0, 100), st.integers(1, 200), st.floats(1e-6, 10), st.floats(0, 1))
def test_cosine_formula(step, warmup, length, lr, share):
    total, min_lr = warmup + length, lr * share
    value = optim.cosine_warmup(step, warmup, total, lr, min_lr)
    if step < warmup:
        expected = lr * (step + 1) / (warmup + 1)
    else:
        done = min(1.0, (step - warmup) / length)
        expected = min_lr + (lr - min_lr) * (1 + math.cos(math.pi * done)) / 2
    assert isinstance(value, float)
    assert value == pytest.approx(expected, rel=1e-12, abs=lr * 1e-12)
    assert 0 <= value <= lr * (1 + 1e-12)


def test_cosine_rises_then_falls():
    values = [optim.cosine_warmup(step, 20, 100, 1.0, 0.05) for step in range(120)]
    assert np.all(np.diff(values[:21]) > 0)
    assert np.all(np.diff(values[20:101]) < 0)
    assert max(values) == values[20]


@pytest.mark.parametrize("args", [(-1, 0, 10), (0, -1, 10), (0, 11, 10)])
def test_cosine_wrong_arguments(args):
    with pytest.raises(mg.ArgumentError, match="0 <= warmup <= total"):
        optim.cosine_warmup(*args, lr=1.0, min_lr=0.1)


def test_noam_corners():
    """Peak at step = warmup, where both branches meet; the rise is a line, the fall 1 / sqrt(step)."""
    peak = optim.noam(4000, 4000, 512)
    assert peak == pytest.approx(1 / math.sqrt(512 * 4000))
    assert optim.noam(2000, 4000, 512) == pytest.approx(peak / 2)
    assert optim.noam(16_000, 4000, 512) == pytest.approx(peak / 2)
    assert optim.noam(0, 4000, 512) == optim.noam(1, 4000, 512) == pytest.approx(peak / 4000)
    values = [optim.noam(step, 50, 64) for step in range(200)]
    assert max(values) == values[50]


@pytest.mark.parametrize("args", [(-1, 10, 8), (0, 0, 8), (0, 10, 0)])
def test_noam_wrong_arguments(args):
    with pytest.raises(mg.ArgumentError, match="noam needs"):
        optim.noam(*args)
