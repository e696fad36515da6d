"""Steps that no other thread sees half of."""

import threading

import numpy as np
import pytest

from kernels.cpu.atomic import add, array_at, load, store, yield_core
from kernels.cpu.jit import kernel


@kernel
def count(words, times):
    for _ in range(times):
        add(words, 1, 1)
        yield_core()


@kernel
def exchange(words, value):
    before = add(words, 2, value)
    store(words, 3, before)
    return load(words, 2)


@kernel
def doubled(address, rows, columns):
    array = array_at(address, (rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            array[i, j] *= 2


def test_no_step_of_another_thread_is_lost():
    words, times = np.zeros(4, np.int64), 20_000
    count(words, 0)  # compiled before the threads begin
    threads = [threading.Thread(target=count, args=(words, times)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert words.tolist() == [0, 4 * times, 0, 0]


@pytest.mark.parametrize("run", [exchange, exchange.py_func], ids=["compiled", "python"])
def test_add_returns_what_was_there(run):
    words = np.array([7, 7, 2**40, 7])
    assert run(words, -3) == 2**40 - 3
    assert words.tolist() == [7, 7, 2**40 - 3, 2**40]


@pytest.mark.parametrize("run", [doubled, doubled.py_func], ids=["compiled", "python"])
def test_an_array_at_an_address_is_that_memory(run):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    run(x.ctypes.data, 2, 4)
    np.testing.assert_array_equal(x, [[0, 2, 4, 6], [8, 10, 12, 14], [8, 9, 10, 11]])
