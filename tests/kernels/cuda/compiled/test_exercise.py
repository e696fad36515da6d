"""The exercise's kernel is one for real cards too, as its text says: numba-cuda compiles it, barriers and all."""

import numpy as np
import pytest

from minigpt.classroom.masters import read_master
from minigpt.classroom.places import EXERCISES

from .test_compile import lacking  # skips this file too where the compiler is lacking

if lacking():
    pytest.skip("pip install -e .[cuda-check]", allow_module_level=True)

from numba import cuda, types


def test_the_solution_compiles_for_a_card():
    master = read_master(EXERCISES / "ex_tiled_matmul.py")
    (source,) = (cell.source for cell in master.cells if cell.nbgrader.get("solution"))
    program = {"np": np, "cuda": cuda, "TILE": 4, "THREADS": 16}
    exec(compile(source, "ex_tiled_matmul", "exec"), program)  # noqa: S102
    floats = types.Array(types.float32, 1, "C")
    signature = types.void(floats, floats, floats, types.int64, types.int64, types.int64)
    ptx, _ = cuda.compile(program["tiled_matmul"], signature, output="ptx", cc=(9, 0), device=False, abi="numba")
    text = ptx if isinstance(ptx, str) else ptx.decode()
    assert text.count("bar.sync") >= 2
    assert ".shared" in text
