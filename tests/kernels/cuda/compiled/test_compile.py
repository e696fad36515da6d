"""Every CUDA kernel, compiled for two generations of cards on a machine without one."""

import importlib.util
import os

import pytest

NEEDED = ("numba_cuda", "cuda.bindings.nvjitlink", "nvidia")


def lacking() -> list[str]:
    missing = []
    for name in NEEDED:
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            found = None
        if found is None:
            missing.append(name)
    return missing


if os.environ.get("MINIGPT_CUDA_SIMULATOR") == "1":
    pytest.skip("the simulator replaces the compiler in this process", allow_module_level=True)
if lacking() and os.environ.get("MINIGPT_REQUIRE_CUDA_CHECK") == "1":
    raise ModuleNotFoundError(f"MINIGPT_REQUIRE_CUDA_CHECK is set, but {', '.join(lacking())} cannot be found")
if lacking():
    pytest.skip(f"pip install -e .[cuda-check]: missing {', '.join(lacking())}", allow_module_level=True)

from kernels import cuda  # noqa: E402
from kernels.cuda import timing  # noqa: E402
from kernels.cuda.machine import KERNELS  # noqa: E402

from .offline import compile_offline  # noqa: E402

STATIC_SHARED = 48 * 1024  # bytes; more needs an opt-in at launch

assert cuda.MODULES  # importing them is what makes the kernels
assert timing.multiply_and_add


@pytest.mark.parametrize("capability", [(8, 0), (9, 0)], ids=["sm_80", "sm_90"])
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
def test_no_spills_no_float64_within_the_budget(kernel, capability):
    compiled = compile_offline(kernel, capability)
    assert compiled.spilled == 0
    assert not compiled.uses_float64
    assert compiled.shared <= STATIC_SHARED
    assert compiled.registers <= kernel.registers
