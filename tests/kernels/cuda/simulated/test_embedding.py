"""Table look-up and its transpose on the simulated card."""

import numpy as np
import pytest

from kernels.cuda import device, embedding, embedding_backward
from kernels.cuda.ladder import LADDERS
from kernels.reference import embedding as reference


def table(rng, V, C):
    return rng.standard_normal((V, C), dtype=np.float32)


@pytest.mark.parametrize("C", [1, 33, 4, 132])
@pytest.mark.parametrize("shape", [(1,), (2, 5), (0,)], ids=str)
def test_forward(shape, C, agrees, rng):
    agrees("embedding", "embedding_forward", rng.integers(0, 7, shape), table(rng, 7, C), tolerance=0)


@pytest.mark.parametrize("C", [1, 33, 4, 132])
@pytest.mark.parametrize("shape", [(1,), (2, 5), (0,)], ids=str)
def test_backward(shape, C, agrees, rng):
    dy = rng.standard_normal((*shape, C), dtype=np.float32)
    agrees("embedding", "embedding_backward", dy, rng.integers(0, 7, shape), 7)


# 31, 32, 33: around the number of places of one warp
RUNS = {
    "all the same": lambda rng, N: np.full(N, 3),
    "all different": lambda rng, N: rng.permutation(N),
    "one often": lambda rng, N: np.where(rng.random(N) < 0.7, 3, rng.integers(0, N, N)),
    "few": lambda rng, N: rng.integers(0, 3, N),
    "first and last row": lambda rng, N: rng.choice([0, max(N, 4) - 1], N),
}


@pytest.mark.parametrize("N", [1, 31, 32, 33, 64, 300])
@pytest.mark.parametrize("runs", RUNS)
def test_runs_of_any_length(runs, N, rng):
    V, ids = max(N, 4), RUNS[runs](rng, N)
    dy = rng.standard_normal((N, 4), dtype=np.float32)
    grad = rng.standard_normal((V, 4), dtype=np.float32)  # there is something already
    out = device.from_host(grad)
    embedding.embedding_add_into(out, device.from_host(dy), device.from_host(ids))
    wanted = grad.astype(np.float64)
    reference.embedding_add_into(wanted, dy.astype(np.float64), ids)
    np.testing.assert_allclose(device.to_host(out), wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
    untouched = np.setdiff1d(np.arange(V), ids)
    np.testing.assert_array_equal(device.to_host(out)[untouched], grad[untouched])


def test_three_levels_of_heads(rng, monkeypatch):
    def sort(grid, block, ids, names, order, N, V):  # comparing all with all would take the simulator too long
        order[:N] = np.argsort(ids[:N], kind="stable")
        names[:N] = ids[order[:N]]

    monkeypatch.setattr(embedding_backward, "sort_ids", sort)
    N, V = 1100, 5
    ids, dy = rng.integers(0, V, N), rng.standard_normal((N, 4), dtype=np.float32)
    got = device.to_host(embedding.embedding_backward(device.from_host(dy), device.from_host(ids), V))
    wanted = reference.embedding_backward(dy.astype(np.float64), ids, V)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("N", [1, 40, 300])
def test_sorting(N, rng):
    """Equal ids stay in their order, those that are not in the table go to the end."""
    V = 6
    ids = rng.integers(-2, V + 2, N)
    names, order = np.full((2, N), -1, np.int32)
    embedding_backward.sort_ids(-(-N // 32), 256, ids, names, order, N, V)
    known = np.where((ids >= 0) & (ids < V), ids, V)
    np.testing.assert_array_equal(order, np.argsort(known, kind="stable"))
    np.testing.assert_array_equal(names, np.sort(known))


@pytest.mark.parametrize("C", [3, 4])
def test_ids_that_are_not_in_the_table(C, rng):
    """On the host the op refuses them; here: NaN forward, no gradient, and nothing beside the table is touched."""
    ids = np.array([1, -1, 2, 5, 2**40, -(2**40), 1, 2**32 + 1])
    V, good = 5, [0, 2, 6]
    memory = device.from_host(rng.standard_normal(3 * V * C, dtype=np.float32))  # the table in the middle of it
    before = device.to_host(memory)
    weight = device.DeviceArray(memory.lease, np.float32, (V, C), offset=V * C)
    y = device.to_host(embedding.embedding_forward(device.from_host(ids), weight))
    np.testing.assert_array_equal(np.isnan(y).all(axis=1), ~np.isin(np.arange(8), good))
    dy = rng.standard_normal((8, C), dtype=np.float32)
    embedding.embedding_add_into(weight, device.from_host(dy), device.from_host(ids))
    wanted = before.copy()
    reference.embedding_add_into(wanted[V * C : 2 * V * C].reshape(V, C), dy[good], ids[good])
    np.testing.assert_allclose(device.to_host(memory), wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def test_nothing_but_ids_that_are_not_in_the_table(rng):
    dy = rng.standard_normal((40, 4), dtype=np.float32)
    got = embedding.embedding_backward(device.from_host(dy), device.from_host(np.full(40, -1)), 3)
    np.testing.assert_array_equal(device.to_host(got), np.zeros((3, 4)))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_ids_of_any_integer_type_and_views(dtype, rng):
    """Ids, table and gradient as views: every other row, columns backwards."""
    ids = rng.integers(0, 3, (4, 6)).astype(dtype)
    weight = table(rng, 6, 8)
    i = device.view_of(device.from_host(ids), (slice(None), slice(0, 6, 2)))
    w = device.view_of(device.from_host(weight), (slice(0, 6, 2), slice(None, None, -1)))
    y = embedding.embedding_forward(i, w)
    np.testing.assert_array_equal(device.to_host(y), weight[::2, ::-1][ids[:, ::2]])
    embedding.embedding_add_into(w, device.view_of(y, slice(None, None, -1)), i)
    wanted = weight[::2, ::-1].copy()
    reference.embedding_add_into(wanted, wanted[ids[::-1, ::2]].copy(), ids[:, ::2])
    np.testing.assert_allclose(device.to_host(w), wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("rung", LADDERS["embedding_forward"], ids=lambda rung: f"v{rung.number}")
def test_every_rung_forward(rung, rng):
    N, V, C = 9, 5, 36
    ids, weight, y = rng.integers(0, V, N), table(rng, V, C), np.empty(N * C, np.float32)
    ids[4] = V
    grid = -(-N * C // 256) if rung.number == 1 else -(-N // embedding.WARPS)
    rung.function(grid, 256, ids, weight.reshape(-1), y, N, C, V)
    wanted = np.where((ids < V)[:, None], weight[np.minimum(ids, V - 1)], np.nan)
    np.testing.assert_array_equal(y.reshape(N, C), wanted)


@pytest.mark.parametrize("rung", LADDERS["embedding_backward"], ids=lambda rung: f"v{rung.number}")
def test_every_rung_backward(rung, rng):
    N, V, C = 70, 5, 132
    ids, dy, grad = rng.integers(-1, V + 1, N), table(rng, N, C), table(rng, V, C)
    out = device.from_host(grad)
    rung.function(device.from_host(dy), device.from_host(ids), out, N, C, V)
    inside = (ids >= 0) & (ids < V)
    wanted = grad.copy()
    reference.embedding_add_into(wanted, dy[inside], ids[inside])
    np.testing.assert_allclose(device.to_host(out), wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


def test_the_sum_does_not_depend_on_the_order_of_threads(rng, monkeypatch):
    """The same bits whatever comes first: no two threads add into one place."""
    ids, dy = device.from_host(rng.integers(0, 3, 100)), device.from_host(table(rng, 100, 4))
    results = []
    for seed in range(2):
        order = np.random.Generator(np.random.PCG64(seed))
        with monkeypatch.context() as patch:
            patch.setattr(np.random, "default_rng", lambda _, order=order: order)  # the simulator asks for it
            results.append(device.to_host(embedding.embedding_backward(dy, ids, 3)))
    np.testing.assert_array_equal(*results)
