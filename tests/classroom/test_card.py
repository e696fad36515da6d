"""The simulated card of exercises: one that needs no card and no settings, beside whatever the cuda row runs on."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt import backend
from minigpt.errors import ArgumentError, BackendError

pytest.importorskip("greenlet")
cuda, launch = mg.classroom.simulated_card()
ROOT = Path(mg.__file__).parents[1]


def double(x, y, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = 2 * x[i]


def test_a_kernel_runs_for_all_threads_and_its_reads_are_counted():
    x, y = np.arange(7, dtype=np.float32), np.zeros(7, np.float32)
    assert launch(double, 2, 4, x, y, 7) == {"x": 7, "y": 0}
    np.testing.assert_array_equal(y, 2 * x)
    assert cuda.trace is None


def test_blocks_of_two_axes():
    def places(y, width):
        i, j = cuda.blockIdx.y * 2 + cuda.threadIdx.y, cuda.blockIdx.x * 3 + cuda.threadIdx.x
        y[i * width + j] = 10 * i + j

    y = np.zeros(4 * 9, np.float32)
    launch(places, (3, 2), (3, 2), y, 9)
    np.testing.assert_array_equal(y.reshape(4, 9), 10 * np.arange(4)[:, None] + np.arange(9))


def test_what_a_card_would_not_forgive():
    def some_wait(x):
        if cuda.threadIdx.x < 3:
            cuda.syncthreads()

    x = np.zeros(4, np.float32)
    with pytest.raises(BackendError, match="3 of 4 threads wait at a barrier"):
        launch(some_wait, 1, 4, x)
    with pytest.raises(IndexError, match="read of element 4 of x, which has 4"):
        launch(double, 1, 5, x, np.zeros(5, np.float32), 5)
    assert cuda.trace is None, "also after a fault"


def test_arguments_that_do_not_fit():
    x = np.zeros((2, 2), np.float32)
    with pytest.raises(ArgumentError, match=r"the kernel takes \(x, y, n\); it is launched with 2 arguments"):
        launch(double, 1, 4, x, x)
    with pytest.raises(ArgumentError, match=r"x has shape \(2, 2\): a kernel gets flat arrays"):
        launch(double, 1, 4, x, x, 4)
    with pytest.raises(ArgumentError, match="in one piece"):
        launch(double, 1, 4, np.zeros(8, np.float32)[::2], np.zeros(4, np.float32), 4)


def test_without_greenlet_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendError, match="needs greenlet: python -m pip install greenlet"):
        backend.simulated_card()


def test_it_needs_neither_the_setting_nor_numba():
    program = (
        "import sys, minigpt as mg; mg.classroom.simulated_card(); "
        "print('kernels.cuda.machine' in sys.modules, 'numba' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MINIGPT_CUDA_SIMULATOR"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120,
                          env={**environment, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.stdout == "False False\n", done.stderr
