"""Whether the `cuda` row can be used here, and if not, what is missing: found out without loading Numba."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
from pathlib import Path

TOOLKIT = 13000  # the CUDA version that the extra [cuda] brings, as the driver counts: 1000 * major + 10 * minor
INSTALL = "python -m pip install 'minigpt[cuda]'"


def simulated() -> bool:
    """Whether MINIGPT_CUDA_SIMULATOR asks for the simulated card (kernels/cuda/simulator.py)."""
    return os.environ.get("MINIGPT_CUDA_SIMULATOR") == "1"


@functools.cache
def cuda_state() -> bool | str:
    """True, or why there is no card to compute on."""
    if simulated():
        return True if _installed("greenlet") else "the simulated card needs greenlet: python -m pip install greenlet"
    if not _installed("numba_cuda"):
        return f"it needs numba-cuda: {INSTALL}"
    version = driver_version()
    if isinstance(version, str):
        return version
    if version < TOOLKIT:
        return (
            f"the NVIDIA driver is for CUDA {readable(version)}, the kernels are compiled with {readable(TOOLKIT)}: "
            "update the driver"
        )
    if not libnvvm_found():
        return f"libnvvm, which compiles the kernels, is missing: {INSTALL}, or set CUDA_HOME to a CUDA toolkit"
    return True


def driver_version() -> int | str:
    """The newest CUDA version that the driver knows, or why there is none."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return f"no NVIDIA driver was found ({name}); on a machine without a card use mg.use('cpu')"
    if (code := driver.cuInit(0)) != 0:
        return f"the NVIDIA driver does not start (cuInit returned {code}): is there a card, and may this user use it?"
    version, count = ctypes.c_int(0), ctypes.c_int(0)
    driver.cuDriverGetVersion(ctypes.byref(version))
    driver.cuDeviceGetCount(ctypes.byref(count))
    return version.value if count.value else "the NVIDIA driver sees no card (is CUDA_VISIBLE_DEVICES empty?)"


def libnvvm_found() -> bool:
    """Whether the compiler library lies in an installed package of NVIDIA's or under CUDA_HOME."""
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    if os.environ.get("CUDA_HOME"):
        folders.append(Path(os.environ["CUDA_HOME"]))
    return any(
        next(folder.glob("**/*nvvm*.so*"), None) or next(folder.glob("**/nvvm*.dll"), None) for folder in folders
    )


def _installed(name):
    return importlib.util.find_spec(name) is not None


def readable(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"
