"""What is said when a card refuses: numba-cuda's calls are replaced by ones that fail, since there is no card here."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from .test_compile import lacking  # skips this file too where the packages are lacking

if lacking():
    pytest.skip("pip install -e .[cuda-check]", allow_module_level=True)

from numba.cuda.cudadrv.driver import CudaAPIError

from kernels.cuda import machine, numba_cuda
from kernels.cuda.errors import DeviceError
from kernels.cuda.machine import Count, Floats, kernel


def failing(name, code=700):
    def fail(*args, **kwargs):
        raise CudaAPIError(code, f"[{code}] {name}")

    return fail


@pytest.fixture
def driver(monkeypatch):
    """driver(device_array=…): puts these in the place of numba.cuda's functions."""

    def replace(**functions):
        monkeypatch.setattr(numba_cuda, "cuda", SimpleNamespace(**functions))

    return replace


def test_out_of_memory_says_how_much_and_what_to_lower(driver, monkeypatch):
    memory = SimpleNamespace(get_memory_info=lambda: SimpleNamespace(free=1_500_000_000))
    driver(device_array=failing("CUDA_ERROR_OUT_OF_MEMORY", 2), current_context=lambda: memory)
    with pytest.raises(DeviceError) as caught:
        numba_cuda.allocate(3_200_000_000)
    wanted = "out of memory on the card: 3200 MB asked for, 1500 MB free. A smaller batch_size (with accumulate)"
    assert wanted in str(caught.value)


def test_the_pool_gives_back_what_it_holds_before_it_gives_up(monkeypatch):
    """The second request fails once, until the first block, which nobody uses any more, has gone."""
    given = []

    def allocate(nbytes):
        if len(given) == 1:
            given.append(None)
            raise DeviceError("out of memory")
        given.append(nbytes)
        return np.zeros(nbytes, np.uint8)

    monkeypatch.setattr(machine.card, "allocate", allocate)
    monkeypatch.setattr(machine.card, "address_of", lambda array: 0)
    pool = machine.Pool()
    pool.take(512)  # and at once back in the pool
    assert pool.held == 512
    lease = pool.take(1024)
    assert lease.block.nbytes == pool.held == 1024


@pytest.mark.parametrize("call", ["synchronize", "copy_out", "allocate"])
def test_a_fault_says_how_to_find_its_kernel(call, driver):
    fail = failing("CUDA_ERROR_ILLEGAL_ADDRESS")
    driver(synchronize=fail, device_array=fail)
    arguments = {"synchronize": (), "copy_out": (SimpleNamespace(copy_to_host=fail),), "allocate": (16,)}[call]
    with pytest.raises(DeviceError, match=r"ILLEGAL_ADDRESS.*launched some time ago.*MINIGPT_CUDA_DEBUG=1"):
        getattr(numba_cuda, call)(*arguments)


@kernel(threads=32)
def nothing(x: Floats, n: Count):
    pass


machine.KERNELS.remove(nothing)  # not one of those that are compiled for their registers


def test_a_fault_at_a_launch(monkeypatch):
    monkeypatch.setattr(nothing, "_built", Launcher(failing("CUDA_ERROR_LAUNCH_FAILED")))
    with pytest.raises(DeviceError, match=r"LAUNCH_FAILED.*MINIGPT_CUDA_DEBUG=1"):
        nothing(1, 1, np.zeros(1, np.float32), 1)


def test_with_the_debug_switch_the_kernel_is_named(driver, monkeypatch):
    monkeypatch.setattr(machine, "DEBUG", True)
    monkeypatch.setattr(nothing, "_built", Launcher(lambda *_: None))
    driver(synchronize=failing("CUDA_ERROR_ILLEGAL_ADDRESS"))
    with pytest.raises(DeviceError, match=re.escape("kernel nothing, grid (2, 1, 1), block (4, 1, 1): [700]")):
        nothing(2, 4, np.zeros(1, np.float32), 1)


class Launcher:
    """A compiled kernel: Launcher[grid, block] is what launches it."""

    def __init__(self, launch):
        self.launch = launch

    def __getitem__(self, size):
        return self.launch
