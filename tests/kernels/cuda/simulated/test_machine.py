"""How kernels are launched and how arrays get to the card; errors that a card would give, on the simulated one."""

import numpy as np
import pytest

from kernels.cuda import device, machine, simulator
from kernels.cuda.errors import DeviceError
from kernels.cuda.machine import Count, Floats, Ids, Staging, cuda, floats_at, kernel


@kernel(threads=32)
def double(x: Floats, y: Floats, n: Count):
    if cuda.grid(1) < n:
        y[cuda.grid(1)] = 2 * x[cuda.grid(1)]


# --- page-locked memory -------------------------------------------------------------------------------------------


def test_an_array_may_change_as_soon_as_it_was_given(rng):
    """The card reads late; it must not see what was written meanwhile."""
    staging, out = Staging(), device.empty((30, 100))
    wanted = rng.standard_normal((30, 100), dtype=np.float32)
    host = np.empty(100, np.float32)
    for n in range(30):  # more than there are pieces
        host[:] = wanted[n]
        staging.copy_in(out.whole[100 * n : 100 * n + 100], host)
        host[:] = np.nan
    np.testing.assert_array_equal(device.to_host(out), wanted)


def test_pieces_are_used_again(monkeypatch):
    """As many as are under way at once, and at most PIECES of a size; sizes are powers of two from 4096 on."""
    made = []

    class Counted(simulator.PageLocked):
        def __init__(self, nbytes):
            made.append(nbytes)
            super().__init__(nbytes)

    monkeypatch.setattr(machine.card, "PageLocked", Counted)
    staging, out = Staging(), device.empty((2000,))
    for _ in range(3):
        staging.copy_in(out.whole[:10], np.zeros(10, np.float32))
        machine.synchronize()
    assert made == [4096]
    for _ in range(20):
        staging.copy_in(out.whole[:10], np.zeros(10, np.float32))
    assert made == [4096] * Staging.PIECES
    staging.copy_in(out.whole[:2000], np.zeros(2000, np.float32))
    assert made[-1] == 8192
    machine.synchronize()


def test_large_arrays_go_directly(monkeypatch, rng):
    monkeypatch.setattr(Staging, "LARGEST", 64)
    monkeypatch.setattr(machine.card, "PageLocked", None)
    x = rng.standard_normal(17, dtype=np.float32)
    out = device.empty((17,))
    Staging().copy_in(out.whole[:17], x)
    np.testing.assert_array_equal(device.to_host(out), x)


def test_the_simulator_shows_a_piece_that_is_written_too_early():
    piece, out = simulator.PageLocked(64), device.empty((4,))
    piece.bytes.view(np.float32)[:4] = 1
    piece.send(out.whole[:4])
    assert piece.busy()
    piece.bytes.view(np.float32)[:4] = 2
    assert device.to_host(out).tolist() == [2] * 4
    assert not piece.busy()


# --- addresses ----------------------------------------------------------------------------------------------------


@kernel(threads=1)
def look_up(places: Ids, n: Count, y: Floats):
    y[0] = floats_at(places[0], n)[n - np.uint32(1)]


def test_memory_found_by_its_address():
    x, y = device.from_host(np.arange(64, dtype=np.float32)), device.empty((1,))
    part = device.view_of(x, slice(3, None))
    look_up(1, 1, np.array([part.address]), 5, y.flat)
    assert device.to_host(y)[0] == 7
    for place, n in ((0, 1), (-1, 1), (x.address, 65), (x.address - 10_000_000_000, 1)):
        with pytest.raises(DeviceError, match=f"looks for {n} float32 at address {place}, where no such memory lies"):
            look_up(1, 1, np.array([place]), n, y.flat)


def test_memory_that_was_given_back_is_not_found():
    piece = simulator.allocate(256)
    address = simulator.address_of(piece)
    del piece
    with pytest.raises(DeviceError, match="no such memory"):
        simulator.floats_at(address, 1)


# --- errors -------------------------------------------------------------------------------------------------------


def test_what_a_kernel_refuses():
    x = np.zeros(4, np.float32)
    with pytest.raises(TypeError, match="kernel double takes x, y, n; got 2 arguments"):
        double(1, 1, x, x)
    with pytest.raises(DeviceError, match="made for 32 threads a block"):
        double(1, 64, x, x, 4)
    with pytest.raises(TypeError, match="kernel double: y must be a flat array of float32"):
        double(1, 4, x, x.astype(np.float64), 4)


def test_the_debug_switch_names_the_kernel(monkeypatch):
    """A card notices a fault only some launches later; with the switch, every launch is waited for."""
    monkeypatch.setattr(machine, "DEBUG", True)

    def faulty():
        raise DeviceError("CUDA_ERROR_ILLEGAL_ADDRESS")

    x = np.zeros(4, np.float32)
    double(1, 4, x, x, 4)
    monkeypatch.setattr(machine, "synchronize", faulty)
    with pytest.raises(DeviceError, match=r"kernel double, grid \(1, 1, 1\), block \(4, 1, 1\): .*ILLEGAL_ADDRESS"):
        double(1, 4, x, x, 4)
