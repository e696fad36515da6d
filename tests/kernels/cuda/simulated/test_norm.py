"""Sums of squares on the simulated card: every rung, many arrays at once, numbers whose squares leave float32."""

import numpy as np
import pytest

from kernels.cuda import device, reduce, tables
from kernels.cuda.errors import DeviceError
from kernels.cuda.ladder import LADDERS
from kernels.reference import reduce as reference


@pytest.mark.parametrize("n", [1, 3, 4, 5, 255, 1200])
@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("rung", LADDERS["squared_norm"][:3], ids=lambda rung: f"v{rung.number}")
def test_rungs_for_one_array(rung, blocks, n, rng):
    x = rng.standard_normal(n, dtype=np.float32)
    sums = np.zeros(2 + 256 * blocks + 1, np.float32)
    sums[[0, 1, -1]] = np.nan  # of other arrays, not to be touched
    rung.function(blocks, 256, x, 0.5, sums, 2, n)
    assert np.nansum(sums, dtype=np.float64) == pytest.approx(reference.squared_norm(x) / 4, rel=1e-6)
    assert np.isnan(sums[[0, 1, -1]]).all()


@pytest.mark.parametrize("shape", [(1,), (5, 7), (0,), ()], ids=str)
def test_one_array(shape, rng):
    x = np.asarray(rng.standard_normal(shape).astype(np.float32))
    norm_squared = reduce.squared_norm(device.from_host(x))
    assert type(norm_squared) is float
    assert norm_squared == pytest.approx(reference.squared_norm(x), rel=1e-6)


@pytest.mark.parametrize("size", [1e25, 3e38, 1e-20, 1e-30, 1.2e-38, 0.0])
def test_squares_outside_of_float32(size, rng):
    x = (size * rng.uniform(0.1, 1, 77)).astype(np.float32)
    x[::2] = 0
    assert reduce.squared_norm(device.from_host(x)) == pytest.approx(reference.squared_norm(x), rel=1e-6, abs=0)


def test_large_and_small_together(rng):
    x = np.float32([1e25, 1, 1e-30, -1e25])
    assert reduce.squared_norm(device.from_host(x)) == pytest.approx(2e50, rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_come_through(bad):
    """The optimizer asks the norm whether the gradient is finite."""
    got = reduce.squared_norm(device.from_host(np.float32([1, bad, 2])))
    assert np.isnan(got) if np.isnan(bad) else got == np.inf


@pytest.mark.parametrize("piece", [4, 20, 8192])
def test_many_arrays_at_once(piece, rng, monkeypatch):
    """A table of arrays of all lengths, cut into pieces; one of no elements, and one that begins anywhere."""
    monkeypatch.setattr(tables, "PIECE", piece)
    arrays = [rng.standard_normal(shape, dtype=np.float32) for shape in [(3,), (4, 9), (0, 2), (2, 2, 2), (1,), (31,)]]
    card = [device.from_host(x) for x in arrays]
    card.append(device.view_of(card[-1], slice(1, None)))
    arrays.append(arrays[-1][1:])
    plain, _, _ = device.to_host(reduce.squared_norms(card))
    pieces = [x.reshape(-1)[i : i + piece] for x in arrays for i in range(0, x.size, piece)]
    np.testing.assert_allclose(plain, [reference.squared_norm(x) for x in pieces], rtol=1e-6)


def test_no_arrays():
    assert not device.to_host(reduce.squared_norms([])).any()
    assert not device.to_host(reduce.squared_norms([device.from_host(np.zeros((0, 3), np.float32))])).any()


def test_a_view(rng):
    x = rng.standard_normal(21, dtype=np.float32)
    view = device.view_of(device.from_host(x), slice(1, None))
    assert reduce.squared_norm(view) == pytest.approx(reference.squared_norm(x[1:]), rel=1e-6)


def test_only_floats():
    with pytest.raises(DeviceError, match="float32 arrays on the card"):
        reduce.squared_norm(device.from_host(np.ones(3, np.int64)))
