"""Kernels that do little with each element: how many instructions the machine code has around it.

A loop that counts in 64 bits, or divides to find out how often it goes round, makes ten times as many: see machine.py.
"""

import pytest

from .disassembly import listing, nvdisasm
from .test_compile import lacking  # skips this file too where the compiler is lacking

if lacking() or nvdisasm() is None:
    pytest.skip("pip install -e .[cuda-check]: missing nvidia-cuda-nvdisasm", allow_module_level=True)

from kernels.cuda import elementwise
from kernels.cuda.device import add_floats_into, fill_floats
from kernels.cuda.machine import KERNELS

from .offline import compile_offline

assert elementwise
ADD_TWO = next(kernel for kernel in KERNELS if kernel.name == "add_two")
# at most a third more than was measured: 25, 33, 63
CASES = [(fill_floats, 33), (add_floats_into, 44), (ADD_TWO, 84)]


@pytest.mark.parametrize(("kernel", "most"), CASES, ids=lambda x: getattr(x, "name", ""))
def test_instructions(kernel, most, tmp_path):
    instructions, _ = listing(compile_offline(kernel, (9, 0)).code, tmp_path)
    instructions = [line for line in instructions if not line.startswith("NOP")]
    assert len(instructions) <= most
    assert not any("CALL" in line for line in instructions)  # of a division
