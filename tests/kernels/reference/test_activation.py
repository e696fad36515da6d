"""Formulas against values worked out elsewhere: by the error function, by tables, by hand."""

import math

import numpy as np
import pytest

from kernels.reference import activation


@pytest.mark.parametrize("x", [-6.0, -2.0, -0.5, 0.0, 0.5, 1.0, 3.0])
def test_gelu_is_x_times_the_normal_distribution(x):
    exact = x * 0.5 * math.erfc(-x / math.sqrt(2))
    # 1 + erf(-6 / sqrt 2) leaves few digits of the tail, hence the absolute tolerance
    assert activation.gelu_forward(np.float64(x), "none") == pytest.approx(exact, rel=1e-12, abs=1e-15)
    # the tanh form deviates by less than 5e-4 anywhere, but it does deviate
    difference = abs(activation.gelu_forward(np.float64(x), "tanh") - exact)
    assert difference < 5e-4
    assert difference > 0 or x == 0


def test_gelu_of_one():
    assert activation.gelu_forward(np.float64(1), "none") == pytest.approx(0.8413447460685429, rel=1e-14)
    assert activation.gelu_forward(np.float64(1), "tanh") == pytest.approx(0.8411919906082768, rel=1e-14)


@pytest.mark.parametrize("x", [-700.0, -30.0, -1.0, 0.0, 2.0, 700.0])
def test_sigmoid(x):
    assert activation.sigmoid_forward(np.float64(x)) == pytest.approx(1 / (1 + math.exp(-x)), rel=1e-9, abs=1e-15)


def test_derivatives_by_hand():
    assert activation.tanh_backward(2.0, 0.5) == 1.5  # 2 * (1 - 0.25)
    assert activation.sigmoid_backward(2.0, 0.5) == 0.5  # 2 * 0.5 * 0.5
    assert activation.relu_backward(2.0, np.float64(-1)) == 0
    # at 0 both forms of GELU have the slope Phi(0) = 1/2
    for form in ("tanh", "none"):
        assert activation.gelu_backward(3.0, np.float64(0), form) == 1.5
