"""Traces of real kernels: what the rungs of a ladder are there for shows in the numbers."""

import numpy as np
import pytest

from kernels.cuda.layernorm import layernorm_v3
from kernels.cuda.machine import Count, Floats, cuda, kernel, load4, store4
from kernels.cuda.matmul import matmul_elements, matmul_shared
from kernels.cuda.trace import trace
from minigpt import backend
from minigpt.errors import ArgumentError, BackendError
from minigpt.viz import KernelThreads


@kernel(threads=64)
def turn(x: Floats, y: Floats, n: Count):
    tile = cuda.shared.array(16, np.float32)
    across, down = cuda.threadIdx.x, cuda.threadIdx.y
    tile[down * 4 + across] = x[down * n + across]
    cuda.syncthreads()
    y[down * n + across] = tile[across * 4 + down]


@kernel(threads=32)
def copy_fours(x: Floats, y: Floats):
    i = 4 * cuda.grid(1)
    a, b, c, d = load4(x, i)
    store4(y, i, a, b, c, d)


def test_every_access_is_noted():
    x, y = np.arange(16, dtype=np.float32).reshape(4, 4), np.zeros((4, 4), np.float32)
    traced = trace(turn, 1, (4, 4), x, y, 4)
    np.testing.assert_array_equal(y, x.T)
    assert traced["kernel"] == "turn"
    assert traced["block"] == (4, 4, 1)
    square, flat = {"shape": (4, 4), "bytes": 4}, {"shape": (16,), "bytes": 4}
    assert traced["arrays"] == {"x": square, "y": square, "shared 0": flat}
    wanted = set()
    for t in range(16):
        turned = t % 4 * 4 + t // 4
        wanted |= {("x", t, False, t, 0), ("shared 0", t, True, t, 0)}
        wanted |= {("shared 0", turned, False, t, 1), ("y", t, True, t, 1)}
    accesses = traced["accesses"]
    assert len(accesses) == len(wanted)
    assert {(name, element, store, thread, phase) for name, element, store, _, thread, phase, _ in accesses} == wanted
    assert {part for *_, part in accesses} == {0}


def test_blocks_and_accesses_of_128_bits():
    x, y = np.ones(24, np.float32), np.zeros(24, np.float32)
    accesses = trace(copy_fours, 2, 3, x, y)["accesses"]
    assert sorted(a[1] for a in accesses if a[0] == "y" and a[3] == (1, 0, 0)) == list(range(12, 24))
    assert [a[6] for a in accesses if a[0] == "x" and a[4] == 2 and a[3] == (0, 0, 0)] == [0, 1, 2, 3]


def test_nothing_is_noted_afterwards():
    with pytest.raises(IndexError):
        trace(copy_fours, 1, 3, np.ones(8, np.float32), np.ones(8, np.float32))  # the third thread has nothing to read
    assert cuda.trace is None
    copy_fours(1, 1, np.ones(4, np.float32), np.ones(4, np.float32))
    assert cuda.part == 0


def layernorm_arguments(N, C):
    x, (weight, bias) = np.ones((N, C), np.float32), np.ones((2, C), np.float32)
    return x, weight, bias, 1e-5, np.empty_like(x), np.empty((N, 1), np.float32), np.empty((N, 1), np.float32), N, C


def test_a_warp_per_row_asks_for_neighbours():
    """layernorm: the same 768 loads of x, an eighth of the sectors."""
    threads = KernelThreads(backend.trace_kernel("layernorm_v1", 1, 8, *layernorm_arguments(8, 32)))
    warps = KernelThreads(backend.trace_kernel("layernorm_v2", 1, 256, *layernorm_arguments(8, 32)))
    v1, v2 = (view.traffic("x", 0, False) for view in (threads, warps))
    assert v1.accesses == v2.accesses == 3 * 8 * 32
    assert (v1.pieces, v2.pieces) == (768, 96)
    assert v2.pieces == v2.least


def test_rows_in_registers_are_read_once():
    view = KernelThreads(trace(layernorm_v3, 1, 256, *layernorm_arguments(8, 64)))
    assert view.kernel == "layernorm_v3"
    assert view.caption("x", 0) == ["512 loads, each element once", "8 requests × 8 sectors = 64"]


def test_tiles_fetch_each_number_once():
    """matmul, one block of 16 x 16 threads: rung 1 fetches every number 16 times, rung 2 once."""
    M, N, K = 16, 16, 32
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((M, K), dtype=np.float32), rng.standard_normal((K, N), dtype=np.float32)
    views = []
    for version in (matmul_elements, matmul_shared(16)):
        y = np.zeros((M, N), np.float32)
        views.append(KernelThreads(trace(version, 1, 256, a, 0, 0, K, 1, b, 0, 0, 1, N, y, 0, M, N, K)))
        np.testing.assert_allclose(y, a @ b, rtol=1e-4, atol=1e-5)
    elements, shared = views
    assert elements.caption("a", 0)[0] == "8192 loads, each element 16 times"
    assert shared.phases[1:4] == ["barrier 1 to 2", "barrier 2 to 3", "barrier 3 to 4"]
    fetched = [shared.traffic("a", phase, False) for phase in (0, 2)]
    assert [(cost.accesses, cost.most) for cost in fetched] == [(M * K // 2, 1)] * 2
    assert shared.caption("a", 1) == []  # while it multiplies it reads shared memory only
    assert shared.caption("shared 0", 1)[0] == "4096 loads, each element 16 times"


# --- errors -------------------------------------------------------------------------------------------------


def test_unknown_kernels_and_arguments_that_do_not_fit():
    with pytest.raises(ArgumentError, match=r"no kernel is called 'layernorm_v9'; there are .*layernorm_v1"):
        backend.trace_kernel("layernorm_v9", 1, 8)
    with pytest.raises(ArgumentError, match="takes 3 arguments, x, y, n; got 1"):
        backend.trace_kernel(turn, 1, 8, np.ones(3, np.float32))
    with pytest.raises(ArgumentError, match="x must be in C order"):
        backend.trace_kernel(turn, 1, (2, 2), np.ones((4, 4), np.float32).T, np.ones(16, np.float32), 4)
    with pytest.raises(ArgumentError, match="y must be a flat array of float32"):
        backend.trace_kernel(turn, 1, (2, 2), np.ones(16, np.float32), np.ones(16), 4)
    with pytest.raises(ArgumentError, match="read of element 8 of x, which has 8"):
        backend.trace_kernel(copy_fours, 1, 3, np.ones(8, np.float32), np.ones(8, np.float32))
    with pytest.raises(BackendError, match="made for 32 threads a block"):
        backend.trace_kernel(copy_fours, 1, 64, np.ones(8, np.float32), np.ones(8, np.float32))


def test_kernels_loaded_for_a_real_card(monkeypatch):
    monkeypatch.setattr("kernels.cuda.machine.SIMULATED", False)
    with pytest.raises(BackendError, match="has to be chosen before the cuda row is loaded"):
        backend.trace_kernel(turn, 1, 8)
