"""Softmax and log-softmax on the simulated card: all teams, rows of all lengths, and what is no ordinary number."""

import numpy as np
import pytest

from kernels.cuda import device, softmax
from kernels.cuda.array import view_of
from kernels.cuda.ladder import LADDERS
from kernels.cuda.softmax import LONG, LOWEST
from kernels.reference import softmax as reference

INF, NAN = np.inf, np.nan
NAMES = ["softmax", "log_softmax"]
SHAPES = [(1,), (1, 1), (5, 33), (9, 32), (2, 3, 7), (2, LONG), (1, LONG + 257)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_backward(name, shape, agrees, rng):
    x = 10 * rng.standard_normal(shape, dtype=np.float32)
    y = agrees("softmax", f"{name}_forward", x)
    agrees("softmax", f"{name}_backward", rng.standard_normal(shape, dtype=np.float32), y)


@pytest.mark.parametrize(("rung", "rows"), [(0, 256), (1, 8), (2, 1)], ids=["thread", "warp", "block"])
@pytest.mark.parametrize("C", [1, 31, 300])
def test_every_rung(rung, rows, C, rng):
    N = 11
    x, dy = rng.standard_normal((2, N, C), dtype=np.float32)
    x *= 10
    x[3] = -INF
    x[4, 1:] = -INF
    wanted = reference.softmax_forward(x)
    out = np.full((N, C), NAN, np.float32)
    grid = -(-N // rows)
    forward, backward = (LADDERS[f"softmax_{way}"][rung].function for way in ("forward", "backward"))
    forward(grid, forward.threads, x.reshape(-1), LOWEST, out.reshape(-1), N, C)
    np.testing.assert_allclose(out, wanted, rtol=0, atol=1e-6)
    backward(grid, backward.threads, dy.reshape(-1), wanted.reshape(-1), out.reshape(-1), N, C)
    np.testing.assert_allclose(out, reference.softmax_backward(dy, wanted), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("C", [40, LONG + 1])
def test_masked_rows(name, C, agrees, rng):
    """Nothing but -inf gives zeros (log: stays -inf) and no gradient; the lowest finite number is none of that."""
    x = rng.standard_normal((5, C), dtype=np.float32)
    x[0] = -INF
    x[1, 1:] = -INF
    x[2, :-1] = -INF
    x[3] = LOWEST
    y = agrees("softmax", f"{name}_forward", x)
    np.testing.assert_array_equal(y == -INF if name == "log_softmax" else y == 0, x == -INF)
    agrees("softmax", f"{name}_backward", rng.standard_normal((5, C), dtype=np.float32), y)


@pytest.mark.parametrize("name", NAMES)
def test_large_logits(name, agrees):
    x = np.array([[1e30, -1e30, 0], [88.8, 88.8, 0], [-1e4, -1e4 - 1, -1e4 + 1], [3e38, -10, 3e38]], np.float32)
    agrees("softmax", f"{name}_forward", x)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("C", [40, LONG + 1])
def test_nan_and_inf_stay_in_their_row(name, C):
    x = np.zeros((7, C), np.float32)
    x[0, 0] = x[1, 39] = x[2] = NAN
    x[3, :39], x[3, 39] = -INF, NAN
    x[4, 5] = x[5, 5] = INF
    x[5, 6] = -INF
    wanted = getattr(reference, f"{name}_forward")(x)
    got = device.to_host(getattr(softmax, f"{name}_forward")(device.from_host(x)))
    np.testing.assert_allclose(got, wanted, rtol=1e-6)  # NaN where the reference has NaN, and nowhere else
    assert np.isnan(got[:6]).all()
    assert np.isfinite(got[6]).all()


@pytest.mark.parametrize("name", NAMES)
def test_no_rows(name):
    nothing = device.from_host(np.zeros((0, 5), np.float32))
    forward, backward = getattr(softmax, f"{name}_forward"), getattr(softmax, f"{name}_backward")
    assert forward(nothing).shape == backward(nothing, nothing).shape == (0, 5)


@pytest.mark.parametrize("name", NAMES)
def test_views(name, rng):
    x, dy = rng.standard_normal((2, 6, 10), dtype=np.float32)
    part = (slice(None, None, -2), slice(1, 9, 2))
    views = [view_of(device.from_host(a), part) for a in (x, dy)]
    y = getattr(softmax, f"{name}_forward")(views[0])
    wanted = getattr(reference, f"{name}_forward")(x[part])
    np.testing.assert_allclose(device.to_host(y), wanted, rtol=1e-5)
    dx = getattr(softmax, f"{name}_backward")(views[1], y)
    np.testing.assert_allclose(
        device.to_host(dx), getattr(reference, f"{name}_backward")(dy[part], wanted), rtol=1e-5, atol=1e-6
    )
