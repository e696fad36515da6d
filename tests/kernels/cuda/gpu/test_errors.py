"""What a card refuses, and how that is said: too little memory, a fault in a kernel."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt.backend import card_timing, load

from .card import needs_card

pytestmark = [pytest.mark.gpu, needs_card]

ROOT = Path(mg.__file__).parents[1]
FAULT = """
from kernels.cuda.device import full
from kernels.cuda.machine import Count, Floats, kernel, synchronize
import numpy as np

@kernel(threads=32)
def writes_far_outside(y: Floats, step: Count):
    y[np.uint64(step) * np.uint64(step)] = np.float32(1)  # 2^40 elements further on

y = full((4,), 0.0, np.float32)
writes_far_outside(1, 1, y.whole, 1 << 20)
synchronize()
"""


def test_out_of_memory_says_how_much_was_asked_for_and_what_to_lower():
    row, free = load("cuda"), card_timing().free_bytes()
    with pytest.raises(mg.BackendError, match=r"out of memory on the card: \d+ MB asked for, \d+ MB free.*batch_size"):
        row.full((2 * free // 4,), 0.0, np.float32)
    x = row.full((1000,), 2.0, np.float32)  # and the card goes on
    assert row.to_host(x).sum() == 2000


@pytest.mark.parametrize("debug", ["1", "0"])
def test_a_fault_is_reported_with_its_kernel_if_one_asks(debug):
    """In a process of its own, whose context of the card is lost with the fault."""
    environment = {**os.environ, "MINIGPT_CUDA_DEBUG": debug, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", FAULT], capture_output=True, text=True, env=environment, check=False, cwd=ROOT
    )
    assert done.returncode != 0
    assert ("kernel writes_far_outside, grid (1, 1, 1)" in done.stderr) == (debug == "1")


def test_arrays_of_the_host_and_of_the_card_do_not_mix():
    with mg.use("cuda"):
        x = mg.Tensor(np.ones(3, np.float32))
    with pytest.raises(mg.BackendError):
        _ = x + mg.Tensor(np.ones(3, np.float32))
