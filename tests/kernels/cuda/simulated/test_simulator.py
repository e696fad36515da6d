"""The simulated card: what goes wrong on a card must go wrong here, and be said. Warps: test_simulator_warps.py."""

import numpy as np
import pytest

from kernels.cuda.errors import DeviceError
from kernels.cuda.machine import POOL, Count, Counts, Flag, Float, Floats, Ints, cuda, kernel, load4, store4


def floats(n, value=0.0):
    return np.full(n, value, np.float32)


# --- who and where --------------------------------------------------------------------------------------------


@kernel(threads=64)
def places(out: Ints):
    x, y, z = cuda.grid(3)
    width, height, _ = cuda.gridsize(3)
    i = 7 * (x + width * (y + height * z))
    out[i], out[i + 1], out[i + 2] = x, y, z
    out[i + 3], out[i + 4] = cuda.threadIdx.x, cuda.blockIdx.x
    out[i + 5], out[i + 6] = cuda.blockDim.y, cuda.gridDim.z


def test_every_thread_of_every_block_runs_once():
    out = np.full(7 * 6 * 4 * 2, -1, np.int32)
    places((3, 2, 2), (2, 2, 1), out)
    found = out.reshape(2, 4, 6, 7)
    for z, y, x in np.ndindex(2, 4, 6):
        assert found[z, y, x].tolist() == [x, y, z, x % 2, x // 2, 2, 2]


@kernel(threads=64)
def one_axis(out: Counts):
    out[cuda.grid(1)] = cuda.gridsize(1)


def test_one_axis():
    out = np.zeros(6, np.uint32)
    one_axis(2, 3, out)
    assert out.tolist() == [6] * 6


# --- barriers and shared memory ---------------------------------------------------------------------------------


@kernel(threads=64)
def turned(x: Floats, y: Floats, n: Count):
    tile = cuda.shared.array(64, np.float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]
    cuda.syncthreads()
    y[t] = tile[n - 1 - t]


@kernel(threads=64)
def turned_without_barrier(x: Floats, y: Floats, n: Count):
    tile = cuda.shared.array(64, np.float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]
    y[t] = tile[n - 1 - t]


@pytest.mark.parametrize("n", [2, 5, 64])
def test_a_missing_barrier_shows(n):
    x, y = np.arange(n, dtype=np.float32), floats(n)
    turned(1, n, x, y, n)
    np.testing.assert_array_equal(y, x[::-1])
    turned_without_barrier(1, n, x, y, n)
    assert np.isnan(y).any()  # some thread reads what its neighbour has not written yet


@kernel(threads=8)
def twice_without_second_barrier(y: Floats):
    box = cuda.shared.array(1, np.float32)
    t = cuda.threadIdx.x
    for round_ in range(3):
        if t == round_:
            box[0] = round_
        cuda.syncthreads()
        y[8 * round_ + t] = box[0]  # the next round may already overwrite it


def test_a_barrier_missing_between_reading_and_the_next_writing_shows():
    y = floats(24)
    twice_without_second_barrier(1, 8, y)
    assert (y.reshape(3, 8) != np.arange(3)[:, None]).any()


@kernel(threads=64)
def barrier_for_some(x: Floats):
    if cuda.threadIdx.x < 3:
        cuda.syncthreads()
    x[cuda.threadIdx.x] = 1


@kernel(threads=64)
def leaves_before_barrier(x: Floats, n: Count):
    if cuda.threadIdx.x >= n:
        return
    cuda.syncthreads()
    x[cuda.threadIdx.x] = 1


@kernel(threads=64)
def warp_against_barrier(x: Floats):
    if cuda.threadIdx.x == 0:
        cuda.syncthreads()
    else:
        cuda.syncwarp()
    x[cuda.threadIdx.x] = 1


def test_a_barrier_that_not_all_reach():
    with pytest.raises(DeviceError, match=r"3 of 8 threads wait at a barrier, 5 have ended and 0 wait for their warp"):
        barrier_for_some(1, 8, floats(8))
    with pytest.raises(DeviceError, match="6 of 8 threads wait at a barrier, 2 have ended"):
        leaves_before_barrier(1, 8, floats(8), 6)
    with pytest.raises(DeviceError, match=r"1 of 8 threads wait at a barrier, 0 have ended and 7 wait for their warp"):
        warp_against_barrier(1, 8, floats(8))
    leaves_before_barrier(1, 8, x := floats(8), 8)
    assert x.all()


@kernel(threads=8)
def reads_unwritten(y: Floats, whole: Ints):
    shared, other = cuda.shared.array(4, np.float32), cuda.shared.array(4, np.int32)
    own = cuda.local.array(2, np.float32)
    y[0], y[1] = shared[0], own[1]
    whole[0] = other[3]
    shared[0], own[1], other[3] = 5, 5, 5


def test_memory_that_nobody_wrote_is_nan_in_every_block():
    for _ in range(2):  # also when the kernel has run before
        y, whole = floats(2), np.zeros(1, np.int32)
        reads_unwritten(3, 1, y, whole)
        assert np.isnan(y).all()
        assert whole[0] == np.iinfo(np.int32).max


def test_memory_of_the_card_is_poisoned():
    lease = POOL.take(3 * 2**20 + 17)
    assert np.isnan(lease.block.view(np.dtype(np.float32))).all()


@kernel(threads=8)
def two_arrays(y: Floats):
    a, b = cuda.shared.array(8, np.float32), cuda.shared.array(8, np.float32)
    own = cuda.local.array(1, np.float32)
    t = cuda.threadIdx.x
    a[t], b[t], own[0] = t, 10 * t, 100 * t
    cuda.syncthreads()
    other = 7 - t
    y[t] = a[other] + b[other] + own[0]


def test_shared_arrays_are_the_blocks_and_local_ones_the_threads():
    y = floats(8)
    two_arrays(1, 8, y)
    assert y.tolist() == [11 * (7 - t) + 100 * t for t in range(8)]


# --- indices ----------------------------------------------------------------------------------------------------


@kernel(threads=8)
def reads_at(x: Floats, y: Floats, i: Float):
    y[0] = x[int(i)]


@kernel(threads=8)
def writes_at(x: Floats, i: Float):
    x[int(i)] = 1


@kernel(threads=8)
def shared_at(x: Floats, i: Float):
    box = cuda.shared.array(4, np.float32)
    box[int(i)] = 1


def test_outside_of_an_array():
    for i in (4, -1, 100):
        with pytest.raises(IndexError, match=f"read of element {i} of x, which has 4"):
            reads_at(1, 1, floats(4), floats(1), i)
        with pytest.raises(IndexError, match=f"write of element {i} of x, which has 4"):
            writes_at(1, 1, floats(4), i)
        with pytest.raises(IndexError, match=f"write of element {i} of shared 0, which has 4"):
            shared_at(1, 1, floats(4), i)
    writes_at(1, 1, x := floats(4), 3)
    assert x.tolist() == [0, 0, 0, 1]


@kernel(threads=8)
def fours(x: Floats, y: Floats, i: Count, j: Count):
    a, b, c, d = load4(x, i)
    store4(y, j, d, c, b, a)


def test_accesses_of_128_bits():
    x, y = np.arange(12, dtype=np.float32), floats(8)
    fours(1, 1, x, y, 4, 0)
    assert y.tolist() == [7, 6, 5, 4, 0, 0, 0, 0]
    for i, j in ((1, 0), (0, 2)):
        with pytest.raises(DeviceError, match=r"128 bits at element (1 of x|2 of y), .* not at a multiple of 16 bytes"):
            fours(1, 1, x, y, i, j)
    with pytest.raises(DeviceError, match="element 0 of x"):
        fours(1, 1, x[1:], y, 0, 0)  # the array itself begins at an odd place
    with pytest.raises(IndexError, match="element 12 of x"):
        fours(1, 1, x, y, 12, 0)


@kernel(threads=8)
def shared_fours(y: Floats, aligned: Flag):
    if aligned:
        box = cuda.shared.array(8, np.float32, alignment=16)
    else:
        box = cuda.shared.array(8, np.float32)
    store4(box, 4, 1, 2, 3, 4)
    y[0], y[1], y[2], y[3] = load4(box, 4)


def test_accesses_of_128_bits_in_shared_memory():
    """Without alignment=16, a compiler may let a shared array begin anywhere, also when it happens to be in order."""
    shared_fours(1, 1, y := floats(4), True)
    assert y.tolist() == [1, 2, 3, 4]
    with pytest.raises(DeviceError, match=r"128 bits in shared 0, which may begin anywhere: .*alignment=16"):
        shared_fours(1, 1, y, False)


def test_a_kernel_that_failed_leaves_the_card_in_order():
    with pytest.raises(IndexError):
        shared_at(1, 4, floats(4), 9)
    with pytest.raises(DeviceError):
        barrier_for_some(1, 8, floats(8))
    x, y = np.arange(5, dtype=np.float32), floats(5)
    turned(1, 5, x, y, 5)
    np.testing.assert_array_equal(y, x[::-1])
