"""Matrix products on the simulated card, rung by rung, and the linear layer."""

import itertools

import numpy as np
import pytest

from kernels.cuda import device, matmul, matmul_operands
from kernels.cuda.ladder import LADDERS
from kernels.cuda.matmul_operands import left, right
from kernels.cuda.matmul_parts import PLAIN
from kernels.cuda.matmul_tensor_cores import matmul_tensor_cores
from kernels.cuda.matmul_tiles import matmul_registers, matmul_two_slices

WAYS = ("along", "across", "along_1", "across_1", "anyhow")
SIZES = [  # M, K, N
    (1, 1, 1), (5, 7, 3), (33, 9, 34), (36, 20, 68), (32, 16, 32), (3, 0, 5), (4, 8, 0), (1, 12, 40)]  # fmt: skip
LAYOUTS = {"nn": (False, False), "nt": (False, True), "tn": (True, False), "tt": (True, True)}


def on_card(x, transposed=False):
    """x on the card; `transposed`: as a view of the transposed matrix."""
    if not transposed:
        return device.from_host(x)
    stored = device.from_host(np.ascontiguousarray(x.swapaxes(-1, -2)))
    order = (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)
    return device.DeviceArray(
        stored.lease, stored.dtype, x.shape, [stored.strides[axis] for axis in order], stored.offset
    )


def operands(rng, size, layout="nn"):
    """a (M, K) and b (K, N) as NumPy arrays and on the card; far from zero, so that an element left out shows."""
    M, K, N = size
    a, b = (2 + rng.standard_normal(shape, dtype=np.float32) for shape in ((M, K), (K, N)))
    return a, b, *(on_card(x, turned) for x, turned in zip((a, b), LAYOUTS[layout], strict=True))


def close(got, wanted, tolerance=1e-5):
    wanted = np.asarray(wanted)
    assert got.shape == wanted.shape
    largest = np.abs(wanted).max() if wanted.size else 0.0
    np.testing.assert_allclose(device.to_host(got), wanted, rtol=0, atol=tolerance * largest)


def run(kernel, tile, a, b, K, *ending):
    """A kernel on two matrices on the card."""
    y = device.empty((a.shape[0], b.shape[1]))
    matmul_operands.launch(kernel, tile, left(a), right(b), y, K, *(ending or _endings(kernel, y)))
    return y


def _endings(kernel, y):
    return (y.flat, False, y.flat, PLAIN) if "bias" in kernel.kinds else ()


def by_way(factory, TM, TN):
    """(a, b) -> the kernel of a factory for how they lie, and its tile."""
    return lambda a, b: (
        factory(TM, TN, left(a).way(*a.shape), right(b).way(b.shape[1], a.shape[1])), 2 * TM * TN)  # fmt: skip


SMALL = {  # (a, b) -> kernel, tile
    "v1": lambda a, b: (matmul.matmul_elements, 16),
    "v2": lambda a, b: (matmul.matmul_shared(4), 4),
    "v3": by_way(matmul_registers, 4, 4),
    "v4": by_way(matmul_two_slices, 4, 4),
    "v5": lambda a, b: (matmul_tensor_cores(32), 32),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("rung", SMALL)
def test_every_rung(rung, size, layout, rng):
    a, b, a_card, b_card = operands(rng, size, layout)
    kernel, tile = SMALL[rung](a_card, b_card)
    close(run(kernel, tile, a_card, b_card, size[1]), a @ b, tolerance=2e-3 if rung == "v5" else 1e-5)


@pytest.mark.parametrize(("a_way", "b_way"), list(itertools.product(WAYS, WAYS)))
@pytest.mark.parametrize("factory", [matmul_registers, matmul_two_slices])
def test_every_way_of_reading(factory, a_way, b_way, rng):
    size = (36, 12, 40)
    layout = ("t" if "across" in a_way else "n") + ("t" if "along" in b_way else "n")
    a, b, a_card, b_card = operands(rng, size, layout)
    close(run(factory(4, 4, a_way, b_way), 32, a_card, b_card, 12), a @ b)


def test_ladder(rng):
    """The rungs as a benchmark runs them: a, b, y, with the tiles for a card."""
    a, b = (rng.integers(-4, 5, shape).astype(np.float32) for shape in ((20, 12), (12, 8)))  # TF32 holds them exactly
    for rung in LADDERS["matmul"]:
        y = device.empty((20, 8))
        rung.function(device.from_host(a), device.from_host(b), y)
        close(y, a @ b)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sum_in_pieces(layout, rng, monkeypatch):
    monkeypatch.setattr(matmul, "choose_tile", lambda *shape, may_cut: (64, 3))
    a, b, a_card, b_card = operands(rng, (5, 24, 8), layout)
    close(matmul.matmul(a_card, b_card), a @ b)


@pytest.mark.parametrize("ways", matmul_operands.LARGE, ids="-".join)
def test_large_tiles(ways, rng):
    """The sizes reach into a second tile by one thread's rows."""
    layout = ("t" if "across" in ways[0] else "n") + ("t" if "along" in ways[1] else "n")
    size = (132, 4, 4)
    a, b, a_card, b_card = operands(rng, size, layout)
    close(run(matmul_operands.LARGE[ways], 128, a_card, b_card, 4), a @ b)


# --- matmul of the row -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [((3, 5, 4), (3, 4, 6)), ((3, 5, 4), (4, 6)), ((5, 4), (3, 4, 6)), ((2, 1, 5, 4), (3, 4, 6)),
     ((2, 3, 1, 4), (1, 1, 4, 1)), ((0, 5, 4), (0, 4, 6)), ((2, 5, 0), (2, 0, 6)), ((2, 0, 4), (4, 6))],
    ids=str,
)  # fmt: skip
def test_stacks(a_shape, b_shape, agrees, rng):
    a, b = (rng.standard_normal(shape, dtype=np.float32) for shape in (a_shape, b_shape))
    agrees("matmul", "matmul", a, b)


def test_stack_of_transposed_matrices(rng):
    """As in attention's backward: no copy is made of matrices that lie transposed."""
    a, b = rng.standard_normal((2, 3, 5, 4), dtype=np.float32), rng.standard_normal((2, 3, 4, 6), dtype=np.float32)
    close(matmul.matmul(on_card(a, True), on_card(b, True)), a @ b)
    assert left(on_card(a, True), (2, 3)).z == 20


def test_heads_of_packed_tokens(rng):
    """(B, T, H, D) seen as (B, H, T, D): no one stride leads from head to head through all of the batch."""
    x, b = rng.standard_normal((2, 3, 2, 4), dtype=np.float32), rng.standard_normal((4, 5), dtype=np.float32)
    packed = device.from_host(x)
    heads = device.DeviceArray(packed.lease, packed.dtype, (2, 2, 3, 4), (24, 4, 8, 1))
    close(matmul.matmul(heads, device.from_host(b)), x.transpose(0, 2, 1, 3) @ b)


@pytest.mark.parametrize("key", [np.s_[::-1], np.s_[:, ::-1], np.s_[1:4, 3:], np.s_[::2, ::3], np.s_[2:3]], ids=str)
def test_views(key, rng):
    x, b = rng.standard_normal((6, 9), dtype=np.float32), rng.standard_normal((9, 5), dtype=np.float32)
    part = device.view_of(device.from_host(x), key)
    wanted = x[key]
    close(matmul.matmul(part, device.from_host(b[: wanted.shape[1]])), wanted @ b[: wanted.shape[1]])


def test_stack_longer_than_a_grid(rng, monkeypatch):
    monkeypatch.setattr(matmul_operands, "STACK", 2)
    a, b = rng.standard_normal((5, 3, 4), dtype=np.float32), rng.standard_normal((5, 4, 2), dtype=np.float32)
    close(matmul.matmul(*map(device.from_host, (a, b))), a @ b)


def test_what_must_not_spread(rng):
    """Rows beyond the border repeat the last one, k beyond it are zero: neither may carry its NaN to others."""
    a, b, *_ = operands(rng, (5, 9, 6))
    a[4], b[:, 5] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        wanted = a @ b
        got = device.to_host(matmul.matmul(*map(device.from_host, (a, b))))
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


# --- the linear layer --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("out", [7, 8])  # 7: element by element; 8: four at once
@pytest.mark.parametrize("with_bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("with_residual", [False, True], ids=["", "residual"])
def test_linear_forward(out, with_bias, with_residual, agrees, rng):
    x, weight, bias, residual = (
        rng.standard_normal(shape, dtype=np.float32) for shape in ((5, 9), (9, out), (out,), (5, out))
    )
    agrees("matmul", "linear_forward", x, weight, bias if with_bias else None, residual if with_residual else None)


def test_linear_of_views(rng):
    """Bias and residual that begin where no access of 128 bits may begin, and that lie scattered."""
    x, weight = rng.standard_normal((3, 4), dtype=np.float32), rng.standard_normal((4, 8), dtype=np.float32)
    bias, residual = rng.standard_normal(17, dtype=np.float32), rng.standard_normal((3, 9), dtype=np.float32)
    views = (
        device.view_of(device.from_host(bias), np.s_[1::2]),
        device.view_of(device.from_host(residual), np.s_[:, 1:]),
    )
    y = matmul.linear_forward(device.from_host(x), device.from_host(weight), *views)
    close(y, x @ weight + bias[1::2] + residual[:, 1:])


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 9, 7), (6, 4, 8)], ids=str)
@pytest.mark.parametrize("with_bias", [False, True], ids=["", "bias"])
def test_linear_gelu_forward(shape, with_bias, agrees, rng):
    N, inside, out = shape
    x, weight, bias = (rng.standard_normal(s, dtype=np.float32) for s in ((N, inside), (inside, out), (out,)))
    agrees("matmul", "linear_gelu_forward", x, weight, 30 * bias if with_bias else None)


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 9, 7), (8, 4, 12)], ids=str)
@pytest.mark.parametrize(
    "needs", [(True, True, True), (True, False, False), (False, True, False), (False, False, True)]
)
def test_backward(shape, needs, agrees, rng):
    N, inside, out = shape
    dy, x, weight, pre = (
        rng.standard_normal(s, dtype=np.float32) for s in ((N, out), (N, inside), (inside, out), (N, out))
    )
    agrees("matmul", "linear_backward", dy, x, weight, needs)
    agrees("matmul", "linear_gelu_backward", dy, x, weight, pre, needs, tolerance=2e-5)


def test_head_tied_to_the_embedding(agrees, rng):
    """weight is a view of (V, C): nothing is copied, and its gradient is asked for as dy^T @ x."""
    x, wte, dy = (rng.standard_normal(s, dtype=np.float32) for s in ((6, 8), (7, 8), (6, 7)))
    x_card, dy_card = device.from_host(x), device.from_host(dy)
    weight = on_card(np.ascontiguousarray(wte.T), True)  # (C, V)
    close(matmul.linear_forward(x_card, weight), x @ wte.T)
    dx, dweight, dbias = matmul.linear_backward(dy_card, x_card, weight, (True, False, False))
    close(dx, dy @ wte)
    assert (dweight, dbias) == (None, None)
    close(matmul.matmul(on_card(np.ascontiguousarray(dy).T, True), x_card), dy.T @ x)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (9, 8), (0, 4), (70, 33), (300, 40)], ids=str)
def test_bias_residual(shape, agrees, rng):
    x, residual = rng.standard_normal((2, *shape), dtype=np.float32)
    bias = rng.standard_normal(shape[1], dtype=np.float32)
    if shape[0] < 100:
        agrees("matmul", "bias_residual_forward", x, bias, residual)
    agrees("matmul", "bias_residual_backward", x)


def test_column_sums_rung_1(rng):
    x, y = rng.standard_normal((9, 5), dtype=np.float32), np.empty(5, np.float32)
    LADDERS["column_sums"][0].function(1, 256, x.reshape(-1), y, 9, 5)
    np.testing.assert_allclose(y, x.sum(axis=0), atol=1e-5)


def test_same_bits_every_time(rng):
    a, b = rng.standard_normal((20, 30), dtype=np.float32), rng.standard_normal((30, 9), dtype=np.float32)
    once, again = (device.to_host(matmul.matmul(*map(device.from_host, (a, b)))) for _ in range(2))
    np.testing.assert_array_equal(once, again)
