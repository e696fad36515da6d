"""Sums, maxima, variances on the simulated card: any axes, rows cut into parts, hard numbers."""

import numpy as np
import pytest

from kernels.cuda import device, reduce, reductions
from kernels.cuda.errors import DeviceError
from kernels.reference import reduce as reference

CASES = [
    ((1,), (0,)),
    ((5,), (0,)),
    ((3, 40), (1,)),
    ((3, 40), (0,)),
    ((40, 3), (0, 1)),
    ((2, 3, 4), (0, 1)),  # what a bias has been repeated along
    ((2, 3, 4), (1,)),
    ((2, 3, 4), (1, 2)),
    ((2, 3, 4), (0, 2)),  # scattered: brought together first
    ((2, 3, 4, 5), (0, 2)),
    ((2, 1, 4, 1), (0, 3)),
    ((2, 1, 4), (1,)),  # one element each
    ((2, 3), ()),
    ((), ()),
    ((0, 3), (0,)),  # a sum of nothing is 0
    ((0, 3), (1,)),
    ((2, 0, 3), (1,)),
]


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize(("shape", "axis"), CASES, ids=str)
def test_sum(shape, axis, keepdims, agrees, rng):
    agrees("reduce", "sum", rng.standard_normal(shape).astype(np.float32), axis, keepdims)
    agrees("reduce", "sum", rng.integers(-(10**15), 10**15, shape), axis, keepdims, tolerance=0)
    agrees("reduce", "sum", np.asarray(rng.random(shape) < 0.5), axis, keepdims, tolerance=0)


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize(("shape", "axis"), [case for case in CASES if 0 not in case[0]], ids=str)
def test_max_and_var(shape, axis, keepdims, agrees, rng):
    x = np.asarray(rng.standard_normal(shape).astype(np.float32) - 5)  # all below 0: a start of 0 would show
    agrees("reduce", "max", x, axis, keepdims, tolerance=0)
    agrees("reduce", "max", np.asarray(rng.integers(-(10**15), -1, shape)), axis, keepdims, tolerance=0)
    agrees("reduce", "var", x, axis, keepdims, tolerance=3e-5)


@pytest.mark.parametrize(("shape", "axis"), CASES[1:11:2], ids=str)
def test_backward(shape, axis, agrees, rng):
    x = rng.integers(-2, 2, shape).astype(np.float32)  # many ties
    y = reference.max(x, axis, keepdims=True)
    dy = rng.standard_normal(y.shape, dtype=np.float32)
    agrees("reduce", "max_backward", dy, x, y, axis)
    agrees("reduce", "var_backward", dy, x, axis, x.size // y.size)


def test_max_keeps_nan_and_infinities(agrees):
    x = np.array([[1, np.nan, 3], [-np.inf, -np.inf, -np.inf], [np.inf, 1, 2], [3, 2, np.nan]], np.float32)
    agrees("reduce", "max", x, (1,))
    agrees("reduce", "max", x, (0,))
    agrees("reduce", "max", x[1:3], (0, 1))


@pytest.mark.parametrize("warps", [1, 2, 8])
@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize(("rows", "K"), [(1, 1), (3, 5), (5, 33), (2, 700)], ids=str)
def test_rows_cut_into_parts(rows, K, parts, warps, rng):
    """Each part of each row, by one, two or eight warps; more parts than elements leave some of them empty."""
    x = rng.standard_normal((rows, K), dtype=np.float32)
    got = reductions.reduce_rows(reductions.SUM["float32"], device.from_host(x), rows, K, warps, parts)
    length = -(-K // parts)
    wanted = [[row[p * length : (p + 1) * length].sum() for p in range(parts)] for row in x]
    np.testing.assert_allclose(device.to_host(got).reshape(rows, parts), wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize(("outer", "K", "inner"), [(1, 1, 2), (2, 7, 3), (1, 40, 5), (3, 2, 40)], ids=str)
def test_columns_cut_into_parts(outer, K, inner, parts, rng):
    x = rng.standard_normal((outer, K, inner), dtype=np.float32)
    got = reductions.reduce_columns(reductions.MAX["float32"], device.from_host(x), outer, K, inner, parts)
    length = -(-K // parts)
    pieces = [x[:, p * length : (p + 1) * length] for p in range(parts)]
    wanted = np.stack([piece.max(1, initial=-np.inf) for piece in pieces], axis=1)
    np.testing.assert_array_equal(device.to_host(got).reshape(wanted.shape), wanted)


def test_few_long_rows_in_two_launches(agrees, rng, monkeypatch):
    """As a whole array of millions is summed, with parts of 50 elements instead of thousands."""
    monkeypatch.setattr(reductions, "SHORT", 64)
    monkeypatch.setattr(reductions, "PART", 50)
    assert reductions.row_plan(2, 333) == (8, 7)
    normal = rng.standard_normal((2, 333), dtype=np.float32)
    for x in (normal, normal < 0.5, rng.integers(-9, 9, (2, 333))):
        agrees("reduce", "sum", x, (1,))
        agrees("reduce", "sum", x, (0, 1))
    assert reductions.column_plan(1, 333, 3) == 10
    agrees("reduce", "sum", rng.random((333, 3)) < 0.5, (0,))
    agrees("reduce", "max", rng.standard_normal((333, 3), dtype=np.float32), (0,), tolerance=0)


def test_plans_fill_the_card_and_no_more():
    assert reductions.row_plan(32768, 768) == (1, 1)  # a warp takes a row
    assert reductions.row_plan(2048, 50257) == (8, 1)  # a block takes a row
    assert reductions.row_plan(1, 10**8) == (8, 1024)  # all blocks take the one row
    assert reductions.column_plan(1, 32768, 768) == 341
    assert reductions.column_plan(12, 1024, 65536) == 1


def test_a_transposed_view(rng):
    x = rng.standard_normal((4, 6), dtype=np.float32)
    on_card = device.from_host(x)
    turned = device.DeviceArray(on_card.lease, np.float32, (6, 4), on_card.strides[::-1])
    np.testing.assert_allclose(device.to_host(reduce.sum(turned, (1,))), x.T.sum(1), rtol=1e-5)
    repeated = device.broadcast_view(device.from_host(np.float32([[3]])), (5, 7))
    assert device.to_host(reduce.sum(repeated, (0, 1))) == 105


def test_same_bits_every_time(rng):
    x = device.from_host(rng.standard_normal((3, 100), dtype=np.float32))
    first, second = (device.to_host(reduce.sum(x, (0, 1))) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_what_is_missing_is_said_in_words():
    with pytest.raises(DeviceError, match="sum of float32, int64, bool arrays, not of int32"):
        reduce.sum(device.from_host(np.ones(3, np.int32)), (0,))
    with pytest.raises(DeviceError, match="max of float32, int64 arrays, not of bool"):
        reduce.max(device.from_host(np.ones(3, bool)), (0,))
    with pytest.raises(ValueError, match="nothing to choose from"):
        reduce.max(device.from_host(np.ones((2, 0), np.float32)), (1,))
