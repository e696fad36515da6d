"""Rows of a matrix shared by threads: each row once, errors reach the caller, nobody is left at work."""

import threading
import time

import numpy as np
import pytest

from kernels.cpu import threads
from kernels.cpu.threads import PIECE, over_rows


@pytest.fixture(params=[1, 2, 5])
def count(request, monkeypatch):
    monkeypatch.setattr(threads.numba, "get_num_threads", lambda: request.param)
    threads.helpers.cache_clear()
    yield request.param
    if threads.helpers()[0] is not None:
        threads.helpers()[0].shutdown()
    threads.helpers.cache_clear()


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("megabytes", [0, 0.1, 3])
def test_every_row_comes_once(rows, megabytes, count):
    matrix = np.zeros((rows, int(megabytes * 1e6 / max(rows, 1))), np.int8)
    seen = np.zeros(rows, int)

    def task(start, stop):
        assert start <= stop
        seen[start:stop] += 1

    for _ in range(20):
        over_rows(task, matrix)
    assert (seen == 20).all()


def test_small_matrices_stay_on_the_calling_thread(count):
    used = set()
    over_rows(lambda start, stop: used.add((threading.get_ident(), start, stop)), np.zeros((10, PIECE // 10), np.int8))
    assert used == {(threading.get_ident(), 0, 10)}


def test_the_others_take_part(count):
    used = set()

    def task(start, stop):
        used.add(threading.get_ident())
        time.sleep(0.02)

    over_rows(task, np.zeros((20, PIECE), np.int8))
    assert len(used) == count


@pytest.mark.parametrize("failing", [0, 13])
def test_an_error_in_any_piece_reaches_the_caller_when_all_have_stopped(failing, count):
    at_work = []

    def task(start, stop):
        at_work.append(start)
        time.sleep(0.001)
        at_work.remove(start)
        if start <= failing < stop:
            raise ZeroDivisionError(start)

    with pytest.raises(ZeroDivisionError):
        over_rows(task, np.zeros((20, PIECE), np.int8))
    assert not at_work


def test_nobody_waits_for_a_thread_that_has_not_begun(monkeypatch):
    monkeypatch.setattr(threads.numba, "get_num_threads", lambda: 2)
    threads.helpers.cache_clear()
    pool, _ = threads.helpers()
    hold = threading.Event()
    pool.submit(hold.wait)  # the only helper is busy with something else
    try:
        rows = []
        over_rows(lambda start, stop: rows.extend(range(start, stop)), np.zeros((20, PIECE), np.int8))
        assert rows == list(range(20))
    finally:
        hold.set()
        pool.shutdown()
        threads.helpers.cache_clear()
