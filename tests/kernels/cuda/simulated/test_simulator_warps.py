"""The simulated card: what a warp exchanges, the order of threads, its numbers, and the launches that it refuses."""

import math

import numpy as np
import pytest

from kernels.cuda.errors import DeviceError
from kernels.cuda.machine import Count, Counts, Float, Floats, cuda, device_function, kernel
from kernels.cuda.warp import ALL, warp_max, warp_sum


def floats(n, value=0.0):
    return np.full(n, value, np.float32)


# --- warps ------------------------------------------------------------------------------------------------------


@kernel(threads=96)
def exchanged(x: Floats, xor: Floats, down: Floats, first: Floats, sums: Floats, largest: Floats):
    t = cuda.grid(1)
    xor[t] = cuda.shfl_xor_sync(ALL, x[t], 3)
    down[t] = cuda.shfl_down_sync(ALL, x[t], 5)
    first[t] = cuda.shfl_sync(ALL, x[t], 7)
    sums[t] = warp_sum(x[t])
    largest[t] = warp_max(x[t])


def test_lanes_exchange_registers(rng):
    x = rng.permutation(96).astype(np.float32)
    out = [floats(96) for _ in range(5)]
    exchanged(1, 96, x, *out)
    warps, lane = x.reshape(3, 32), np.arange(32)
    wanted = (
        warps[:, lane ^ 3],
        warps[:, np.where(lane + 5 < 32, lane + 5, lane)],  # beyond the end a lane keeps its own
        np.repeat(warps[:, 7:8], 32, axis=1),
        np.repeat(warps.sum(axis=1, keepdims=True), 32, axis=1),
        np.repeat(warps.max(axis=1, keepdims=True), 32, axis=1),
    )
    for a, b in zip(out, wanted, strict=True):
        np.testing.assert_array_equal(a.reshape(3, 32), b)


@kernel(threads=96)
def sums_of_some_warps(x: Floats, y: Floats):
    t = cuda.threadIdx.x
    if t // 32 != 1:  # the whole warp goes by: allowed
        y[t] = warp_sum(x[t])
    cuda.syncthreads()
    y[t] += 1


def test_warps_go_their_own_ways_between_barriers():
    y = floats(96)
    sums_of_some_warps(1, 96, floats(96, 1.0), y)
    assert y.tolist() == [33.0] * 32 + [1.0] * 32 + [33.0] * 32


@kernel(threads=32)
def lane_leaves(x: Floats):
    if cuda.threadIdx.x == 3:
        return
    x[cuda.threadIdx.x] = warp_sum(x[cuda.threadIdx.x])


def test_a_lane_that_has_left_its_warp():
    with pytest.raises(DeviceError, match=r"thread .* asks lane 3, which has left its warp"):
        lane_leaves(1, 32, floats(32))


# --- order and numbers --------------------------------------------------------------------------------------------


ORDER: list[int] = []


@kernel(threads=16)
def notes_order(x: Floats):
    ORDER.append(cuda.threadIdx.x)
    cuda.syncthreads()
    ORDER.append(cuda.threadIdx.x)


def test_the_order_of_threads_changes_but_is_the_same_in_every_run():
    runs = []
    for _ in range(2):
        ORDER.clear()
        notes_order(1, 16, floats(1))
        runs.append(list(ORDER))
    assert runs[0] == runs[1]
    before, after = runs[0][:16], runs[0][16:]
    assert sorted(before) == sorted(after) == list(range(16))
    assert before != after
    assert list(range(16)) not in (before, after)


@device_function
def doubled(x):
    return x + x


@kernel(threads=8)
def numbers(x: Floats, y: Floats):
    y[0] = math.log(x[0])
    y[1] = x[1] * x[1]
    y[2] = math.exp(x[2])
    y[3] = doubled(x[3])


def test_numbers_are_those_of_a_card():
    """float32 throughout, infinities where Python would raise, and no warnings."""
    x, y = np.array([0, 1e30, 0.1, 0.1], np.float32), floats(4)
    numbers(1, 1, x, y)
    assert y.tolist() == [-np.inf, np.inf, np.exp(np.float32(0.1)), np.float32(0.1) + np.float32(0.1)]


# --- launches -----------------------------------------------------------------------------------------------------


@kernel(threads=8)
def writes_at(x: Floats, i: Float):
    x[int(i)] = 1


def test_launches_that_a_card_would_refuse():
    with pytest.raises(DeviceError, match=r"kernel writes_at is made for 8 threads a block, got \(3, 3, 1\)"):
        writes_at(1, (3, 3), floats(1), 0)
    with pytest.raises(TypeError, match="kernel writes_at takes x, i; got 1 arguments"):
        writes_at(1, 1, floats(1))
    for wrong in (np.zeros(4), floats(4).reshape(2, 2), np.zeros(4, np.int64), [0.0]):
        with pytest.raises(TypeError, match="x must be a flat array of float32"):
            writes_at(1, 1, wrong, 0)
    writes_at(0, 1, floats(0), 9)  # no block, nothing to do


@kernel(threads=8)
def counts(n: Count, out: Counts):
    out[0] = n


@pytest.mark.parametrize("n", [-1, 2**32])
def test_numbers_that_do_not_fit(n):
    with pytest.raises(OverflowError):
        counts(1, 1, n, np.zeros(1, np.uint32))
