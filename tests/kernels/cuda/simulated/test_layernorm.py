"""Layer norm on the simulated card."""

import numpy as np
import pytest

from kernels.cuda import device, layernorm, layernorm_backward
from kernels.cuda.ladder import LADDERS
from kernels.reference import layernorm as reference

# lengths that no warp divides, that fill one exactly, and that are divisible by four (rung 3) with half a warp idle
SHAPES = [(1, 1), (5, 33), (3, 32), (9, 70), (9, 132), (2, 128), (3, 12), (0, 5), (0, 8)]


def hard(rng, shape):
    """Rows far from zero, where a variance as mean(x²) − mean² would lose its digits."""
    return 100 + 10 * rng.standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
def test_forward(shape, affine, agrees, rng):
    x = hard(rng, shape)
    weight, bias = rng.standard_normal((2, shape[1]), dtype=np.float32) if affine else (None, None)
    agrees("layernorm", "layernorm_forward", x, weight, bias, tolerance=2e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
def test_backward(shape, affine, agrees, rng):
    x, dy = hard(rng, shape), rng.standard_normal(shape, dtype=np.float32)
    weight = rng.standard_normal(shape[1], dtype=np.float32) if affine else None
    _, mean, rstd = reference.layernorm_forward(x)
    agrees("layernorm", "layernorm_backward", dy, x, weight, mean, rstd, tolerance=2e-5)


def test_eps_keeps_a_constant_row_finite(agrees):
    agrees("layernorm", "layernorm_forward", np.full((2, 8), 3, np.float32), eps=1e-3)


@pytest.mark.parametrize("shape", [(3, 20), (9, 132), (6, 260)], ids=str)
@pytest.mark.parametrize("rung", LADDERS["layernorm_forward"], ids=lambda rung: f"v{rung.number}")
def test_every_rung_forward(rung, shape, rng):
    N, C = shape
    x, (weight, bias) = hard(rng, shape), rng.standard_normal((2, C), dtype=np.float32)
    wanted = reference.layernorm_forward(x, weight, bias, 1e-5)
    got = [np.empty(a.size, np.float32) for a in wanted]
    grid, block = (-(-N // 256), 256) if rung.number == 1 else (-(-N // layernorm.WARPS), 32 * layernorm.WARPS)
    rung.function(grid, block, x.reshape(-1), weight, bias, 1e-5, *got, N, C)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a.reshape(b.shape), b, rtol=0, atol=2e-5 * np.abs(b).max())


# 70 rows: more than the parts of rung 2 in this test; 260 columns: two blocks of columns and a piece
@pytest.mark.parametrize("shape", [(3, 20), (9, 132), (70, 36), (3, 260)], ids=str)
@pytest.mark.parametrize("rung", LADDERS["layernorm_backward"], ids=lambda rung: f"v{rung.number}")
def test_every_rung_backward(rung, shape, rng, monkeypatch):
    monkeypatch.setattr(layernorm_backward, "BLOCKS", 2)  # so that a warp takes more than one row
    N, C = shape
    x, dy = hard(rng, shape), rng.standard_normal(shape, dtype=np.float32)
    weight = rng.standard_normal(C, dtype=np.float32)
    _, mean, rstd = reference.layernorm_forward(x)
    wanted = reference.layernorm_backward(dy, x, weight, mean, rstd)
    got = [np.empty(a.size, np.float32) for a in wanted]
    rung.function(*(a.reshape(-1) for a in (dy, x, weight, mean, rstd)), *got, N, C)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a.reshape(b.shape), b, rtol=0, atol=2e-5 * np.abs(b).max())


@pytest.mark.parametrize("C", [260, 516, 1028, 2052])
def test_an_instance_for_every_length(C, agrees, rng):
    """Rows of 3, 6 and 16 times 128 in registers, and one that is too long for them."""
    agrees("layernorm", "layernorm_forward", hard(rng, (1, C)), tolerance=2e-5)


def test_rows_too_long_for_registers_backward(agrees, rng, monkeypatch):
    monkeypatch.setattr(layernorm, "WIDEST", 8)
    x, dy = hard(rng, (3, 12)), rng.standard_normal((3, 12), dtype=np.float32)
    _, mean, rstd = reference.layernorm_forward(x)
    agrees("layernorm", "layernorm_backward", dy, x, None, mean, rstd, tolerance=2e-5)


def test_the_longest_instance_backward(agrees, rng):
    x, dy = hard(rng, (2, 392)), rng.standard_normal((2, 392), dtype=np.float32)
    weight = rng.standard_normal(392, dtype=np.float32)
    _, mean, rstd = reference.layernorm_forward(x)
    agrees("layernorm", "layernorm_backward", dy, x, weight, mean, rstd, tolerance=2e-5)


@pytest.mark.parametrize("start", [0, 1])
def test_views(start, rng):
    """Every other row, columns backwards, and rows that begin where no access of 128 bits may begin."""
    whole = hard(rng, (6 * 8 + 1,))
    inside = device.view_of(device.from_host(whole), slice(start, start + 48))
    x = device.DeviceArray(inside.lease, np.float32, (6, 8), offset=inside.offset)
    host = whole[start : start + 48].reshape(6, 8)
    for key in [(slice(None), slice(None)), (slice(0, 6, 2), slice(None)), (slice(None), slice(None, None, -1))]:
        wanted = reference.layernorm_forward(host[key])
        dy = rng.standard_normal(host[key].shape, dtype=np.float32)
        got = layernorm.layernorm_forward(device.view_of(x, key))
        gradients = layernorm.layernorm_backward(device.from_host(dy), device.view_of(x, key), None, *got[1:])
        wanted_gradients = reference.layernorm_backward(dy, host[key], None, *wanted[1:])
        for a, b in zip((*got, *gradients), (*wanted, *wanted_gradients), strict=True):
            np.testing.assert_allclose(device.to_host(a), b, rtol=0, atol=2e-5 * np.abs(b).max())
