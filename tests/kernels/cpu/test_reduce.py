"""Sum of squares: block by block in float32, and still right where float32 squares overflow, vanish or add up badly."""

import numpy as np
import pytest

from kernels.cpu.ladder import LADDERS
from kernels.cpu.reduce import BLOCK, squared_norm

RUNGS = [step.function for step in LADDERS["squared_norm"]]


def exact(x):
    return float(np.sum(x.astype(np.float64) ** 2))


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.__name__)
def test_ten_million_elements(rung, rng):
    x = rng.standard_normal(10_000_000, dtype=np.float32)
    assert rung(x) == pytest.approx(exact(x), rel=1e-7)
    x.fill(0.1)  # every square is rounded the same way; one float32 sum would be wrong in the second digit
    assert rung(x) == pytest.approx(exact(x), rel=1e-6)


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.__name__)
@pytest.mark.parametrize("size", [1e25, 1e19, 2e18, 1e-18, 1e-19, 1e-22, 1e-25, 1e-40])
def test_numbers_whose_squares_float32_cannot_hold(rung, size, rng):
    for n in (1, BLOCK - 1, BLOCK, 3 * BLOCK + 5):
        x = (rng.uniform(1, 2, n) * size).astype(np.float32)
        assert rung(x) == pytest.approx(exact(x), rel=1e-6)


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.__name__)
@pytest.mark.parametrize("place", [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK, 2 * BLOCK + 3])
def test_one_large_number_anywhere(rung, place, rng):
    x = rng.standard_normal(2 * BLOCK + 4, dtype=np.float32)
    x[place] = 1e25
    assert rung(x) == pytest.approx(1e50, rel=1e-6)
    x[place] = np.nan
    assert np.isnan(rung(x))
    x[place] = -np.inf
    assert rung(x) == np.inf


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.__name__)
def test_a_block_of_small_numbers_beside_large_ones_and_zeros(rung):
    x = np.zeros(4 * BLOCK, np.float32)
    assert rung(x) == 0.0
    x[:BLOCK] = 1e-22
    assert rung(x) == pytest.approx(exact(x), rel=1e-6)
    x[-BLOCK:] = 3.0
    assert rung(x) == pytest.approx(9 * BLOCK, rel=1e-6)


def test_in_any_layout(rng):
    x = rng.standard_normal((40, 30), dtype=np.float32)
    for view in (x, x.T, x[::3, ::-2], np.asfortranarray(x), x[:0], x[3, 4]):
        assert squared_norm(view) == pytest.approx(exact(view), rel=1e-6)
        assert isinstance(squared_norm(view), float)
