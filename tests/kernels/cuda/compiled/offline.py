"""Compile a kernel to machine code with no card and no driver, and read what the compiler says about it.

    kernel --numba-cuda, libnvvm--> LTO IR --nvJitLink--> machine code, with a log: registers, spills, shared memory

The PTX of the same kernel shows whether float64 has crept in. Needs the extra [cuda-check].
"""

import functools
import re
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock


class Compiled(NamedTuple):
    """What became of a kernel. spilled and shared in bytes; code: what the card gets, an ELF file."""

    registers: int
    spilled: int
    shared: int
    ptx: str
    code: bytes

    @property
    def uses_float64(self) -> bool:
        return ".f64" in self.ptx


@functools.cache
def compile_offline(kernel, capability: tuple[int, int]) -> Compiled:
    """The kernel for a card of this compute capability, (9, 0) say."""
    from cuda.bindings import nvjitlink
    from numba import cuda

    from kernels.cuda.numba_cuda import numba_type, options

    signature = tuple(numba_type(kind) for kind in kernel.kinds.values())
    card = SimpleNamespace(compute_capability=capability)  # kernels that call device functions ask for the card
    settings = {"cc": capability, "device": False, "abi": "numba", **options(kernel)}
    with mock.patch("numba.cuda.dispatcher.get_current_device", return_value=card):
        ltoir, _ = cuda.compile(kernel.function, signature, output="ltoir", **settings)
        ptx, _ = cuda.compile(kernel.function, signature, output="ptx", **settings)
    linker = nvjitlink.create(3, [f"-arch=sm_{capability[0]}{capability[1]}", "-verbose", "-lto"])
    try:
        nvjitlink.add_data(linker, nvjitlink.InputType.LTOIR, ltoir, len(ltoir), kernel.name)
        nvjitlink.complete(linker)
        log = bytearray(nvjitlink.get_info_log_size(linker))
        nvjitlink.get_info_log(linker, log)
        code = bytearray(nvjitlink.get_linked_cubin_size(linker))
        nvjitlink.get_linked_cubin(linker, code)
    finally:
        nvjitlink.destroy(linker)
    text = log.decode()
    return Compiled(
        registers=int(re.search(r"Used (\d+) registers", text)[1]),
        spilled=sum(int(n) for n in re.findall(r"(\d+) bytes spill", text)),
        shared=sum(int(n) for n in re.findall(r"(\d+) bytes smem", text)),
        ptx=ptx if isinstance(ptx, str) else ptx.decode(),
        code=bytes(code),
    )
