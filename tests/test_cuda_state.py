"""Why the cuda row cannot be used here: each reason is said, with what to do about it. The driver is a stand-in."""

import ctypes
from pathlib import Path

import pytest

import minigpt as mg
from minigpt import cuda_state as state


class Driver:
    """A driver library that knows CUDA up to `version` and sees `cards`."""

    def __init__(self, version=13000, cards=1, code=0):
        self.version, self.cards, self.code = version, cards, code

    def cuInit(self, flags):
        return self.code

    def cuDriverGetVersion(self, place):
        ctypes.cast(place, ctypes.POINTER(ctypes.c_int))[0] = self.version

    def cuDeviceGetCount(self, place):
        ctypes.cast(place, ctypes.POINTER(ctypes.c_int))[0] = self.cards


@pytest.fixture
def machine(monkeypatch):
    """machine(driver=…, installed=…, libnvvm=…) -> cuda_state() there; driver None: the library is missing."""
    monkeypatch.delenv("MINIGPT_CUDA_SIMULATOR", raising=False)
    state.cuda_state.cache_clear()

    def find(driver, installed=True, libnvvm=True):
        def load(name):
            assert name in ("libcuda.so.1", "nvcuda.dll")
            if driver is None:
                raise OSError(name)
            return driver

        monkeypatch.setattr(state.ctypes, "CDLL", load)
        monkeypatch.setattr(state, "_installed", lambda name: installed)
        monkeypatch.setattr(state, "libnvvm_found", lambda: libnvvm)
        return state.cuda_state()

    yield find
    state.cuda_state.cache_clear()


REASONS = {
    "all there": (Driver(), {}, True),
    "newer driver": (Driver(13020), {}, True),
    "numba-cuda": (Driver(), {"installed": False}, r"it needs numba-cuda: .*pip install 'minigpt\[cuda\]'"),
    "no driver": (None, {}, r"no NVIDIA driver was found \(.*\); on a machine without a card use mg.use\('cpu'\)"),
    "old driver": (Driver(12040), {}, "the NVIDIA driver is for CUDA 12.4, the kernels are compiled with 13.0: update"),
    "driver fails": (Driver(code=999), {}, r"does not start \(cuInit returned 999\)"),
    "no card": (Driver(cards=0), {}, "sees no card.*CUDA_VISIBLE_DEVICES"),
    "libnvvm": (Driver(), {"libnvvm": False}, "libnvvm, which compiles the kernels, is missing: .*or set CUDA_HOME"),
}


@pytest.mark.parametrize("case", REASONS)
def test_reasons(case, machine):
    driver, settings, wanted = REASONS[case]
    found = machine(driver, **settings)
    if wanted is True:
        assert found is True
        return
    assert found is not True
    with pytest.raises(mg.BackendError, match=f"the 'cuda' row cannot be used: .*{wanted}.*Usable here: 'numpy'"):
        mg.use("cuda")


def test_the_simulated_card(machine, monkeypatch):
    monkeypatch.setenv("MINIGPT_CUDA_SIMULATOR", "1")
    assert machine(None) is True
    state.cuda_state.cache_clear()
    assert "pip install greenlet" in machine(None, installed=False)


@pytest.mark.parametrize(
    "name", ["nvvm/lib64/libnvvm.so", "nvidia/cu13/nvvm/lib/libnvvm.so.4", "nvvm/bin/nvvm64_40_0.dll"]
)
def test_libnvvm_is_looked_for_under_cuda_home(name, monkeypatch, tmp_path):
    monkeypatch.setattr(state.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert not state.libnvvm_found()
    place = Path(tmp_path, name)
    place.parent.mkdir(parents=True)
    place.touch()
    assert state.libnvvm_found()
    monkeypatch.delenv("CUDA_HOME")
    assert not state.libnvvm_found()
