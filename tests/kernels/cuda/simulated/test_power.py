"""Powers on the simulated card: whole exponents of negative numbers, exponents that broadcast, both gradients."""

import numpy as np
import pytest

from kernels.cuda import device, power
from kernels.cuda.errors import DeviceError
from kernels.reference import elementwise as reference


def agree(name, *arguments, tolerance=1e-5):
    """As the fixture `agrees`, for functions that the reference has in a file of another name."""
    on_card = [device.from_host(a) if isinstance(a, np.ndarray) else a for a in arguments]
    got = device.to_host(getattr(power, name)(*on_card))
    wanted = np.asarray(getattr(reference, name)(*arguments))
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * float(np.abs(wanted).max()))
    return got


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 13, 64, 0.5, -0.5, 1.5, 65, 101, -101, 100.0, 33554432.0])
def test_every_kind_of_exponent(exponent, rng):
    x = rng.standard_normal(60, dtype=np.float32)
    x[:8] = [0, 1, -1, 2, -2, 1.01, -1.01, 1000]
    with np.errstate(all="ignore"):
        wanted = (x.astype(np.float64) ** exponent).astype(np.float32)
    got = device.to_host(power.power(device.from_host(x), exponent))
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=1e-37)
    np.testing.assert_array_equal(np.isnan(got), (x < 0) & (exponent % 1 != 0))


def test_whole_powers_of_whole_numbers_are_exact():
    agree("power", np.float32([-3, -2, 2, 3, 5, 10]), 7, tolerance=0)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 0.5, -1])
def test_gradient(exponent, rng):
    x = np.abs(rng.standard_normal((3, 5), dtype=np.float32)) + np.float32(0.1)
    dy = rng.standard_normal((3, 5), dtype=np.float32)
    agree("power_backward", dy, x, exponent)
    zero = np.zeros((1, 1), np.float32)
    if exponent in (0, 1, 2, 3):
        agree("power_backward", zero + 1, zero, exponent)


def test_exponents_in_an_array(agrees, rng):
    x = np.abs(rng.standard_normal((3, 4), dtype=np.float32)) + np.float32(0.1)
    dy = rng.standard_normal((2, 3, 4), dtype=np.float32)
    exponents = np.array([[[0.0]], [[2.5]]], np.float32)
    y = agree("power", x, exponents)
    agree("power_backward", dy, x, exponents)
    x[0, 0] = 0
    agree("power_backward_exponent", dy, x, y)
    agree("power", x, np.array(2.0, np.float32))  # a 0-d array
    agree("power", x, np.array([0, 1, 2, 3]))  # whole exponents


def test_powers_of_integers_are_not_there():
    with pytest.raises(DeviceError, match="no power for int64 arrays, only for float32"):
        power.power(device.from_host(np.array([2])), 2)
