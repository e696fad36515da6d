"""Scale and norm of a step's gradients on the simulated card, and several arrays scaled in one launch."""

import numpy as np
import pytest

from kernels.cuda import clipping, device, reduce, tables
from kernels.cuda.errors import DeviceError
from kernels.reference import clipping as reference
from kernels.reference import reduce as reference_reduce


def on_card(arrays):
    return [device.from_host(np.asarray(x, np.float32)) for x in arrays]


def both(arrays, losses=(1.5,), mean=0.25, max_norm=1.0, before=1.0):
    """(scale, norm) of the card and of the reference."""
    arrays = [np.asarray(x, np.float32) for x in arrays]
    if not isinstance(before, float):
        before = device.from_host(np.asarray(before, np.float32))
    ours = clipping.clip_scale([reduce.squared_norms(on_card(arrays))], on_card(losses), mean, max_norm, before)
    host_before = device.to_host(before) if device.is_array(before) else before
    squares = [reference_reduce.squared_norms(arrays)]
    return device.fetch(ours), reference.clip_scale(squares, losses, mean, max_norm, host_before)


@pytest.mark.parametrize("max_norm", [1.0, 1e-3, np.inf])
@pytest.mark.parametrize("size", [1.0, 1e-3, 1e15, 1e25, 1e-22, 0.0])
def test_scale_and_norm(size, max_norm, rng, monkeypatch):
    """Also of numbers whose squares leave float32."""
    monkeypatch.setattr(tables, "PIECE", 16)
    arrays = [size * rng.standard_normal(n) for n in (3, 40, 1)]
    ours, wanted = both(arrays, losses=(1.5, -2.0), max_norm=max_norm)
    assert ours == pytest.approx(wanted, rel=1e-5, abs=1e-37)
    assert ours[0] > 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_step_that_failed(bad, rng):
    g = rng.standard_normal(9)
    for arrays, losses in (([g, [1, bad]], (1.0,)), ([g], (bad, 1.0)), ([g], (1.0, bad))):
        ours, wanted = both(arrays, losses)
        assert ours[0] == wanted[0] == 0
        assert np.isfinite(ours[1]) == np.isfinite(wanted[1])


def test_what_comes_after_it_does_not_happen_either(rng):
    g = rng.standard_normal(9)
    for before, moves in ((0.5, True), (np.float32(0.5), True), (np.float32(0), False)):
        ours, wanted = both([g], before=before)
        assert (ours[0] > 0) == (wanted[0] > 0) == moves


def test_squares_of_several_threads(rng):
    arrays = [rng.standard_normal(n, dtype=np.float32) for n in (3, 40, 7)]
    squares = [reduce.squared_norms(on_card(part)) for part in (arrays[:1], arrays[1:], [])]
    ours = device.fetch(clipping.clip_scale(squares, on_card([1.0]), 0.5, 1.0))
    wanted = reference.clip_scale([reference_reduce.squared_norms(arrays)], [1.0], 0.5, 1.0)
    assert ours == pytest.approx(wanted, rel=1e-5)


def test_a_tiny_scale_is_not_taken_for_a_failure():
    ours, _ = both([[1e30]], max_norm=1e-20)
    assert 0 < ours[0] < 1e-36


@pytest.mark.parametrize("piece", [8, 8192])
def test_scale_all(piece, rng, monkeypatch):
    monkeypatch.setattr(tables, "PIECE", piece)
    arrays = [rng.random(shape, dtype=np.float32) for shape in [(3,), (5, 8), (0,), (1,), (2, 3, 4)]]
    card = on_card(arrays)
    around = device.from_host(np.arange(12, dtype=np.float32))
    card.append(device.view_of(around, slice(1, None, 2)))
    clipping.scale_all(card, 0.5)
    for ours, x in zip(card, arrays, strict=False):
        np.testing.assert_array_equal(device.to_host(ours), x / 2)
    np.testing.assert_array_equal(device.to_host(around), [0, 0.5, 2, 1.5, 4, 2.5, 6, 3.5, 8, 4.5, 10, 5.5])
    clipping.scale_all([], 0.5)


def test_only_floats_on_the_card():
    with pytest.raises(DeviceError, match="float32 arrays on the card"):
        clipping.scale_all([np.ones(3, np.float32)], 2.0)
    with pytest.raises(DeviceError, match="a single float32 on the card"):
        device.fetch([device.from_host(np.ones(3, np.float32))])
    assert device.fetch([]) == []
