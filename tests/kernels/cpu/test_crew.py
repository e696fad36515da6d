"""A product shared by threads: each row once, nobody is waited for who has not begun, nobody is left at work."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from kernels.cpu import threads
from kernels.cpu.atomic import add, yield_core
from kernels.cpu.jit import kernel
from kernels.cpu.threads import TASK, Crew, crew, leave, offer, take, wait_for_others, wait_for_work

ADDS, SEEN = TASK, TASK + 1  # this product: add the number in words[ADDS] to words[SEEN + piece]
LONG = TASK + 15  # each piece lets others go first so many times


@kernel
def piece_of_work(words, piece):
    for _ in range(words[LONG]):
        yield_core()
    add(words, SEEN + piece, words[ADDS])


@kernel
def help_adding(words, looks):
    while wait_for_work(words, looks):
        piece = take(words)
        while piece >= 0:
            piece_of_work(words, piece)
            piece = take(words)
        leave(words)


@kernel
def add_with_help(words, pieces, value):
    words[ADDS] = value
    offer(words, pieces)
    own, piece = 0, take(words)
    while piece >= 0:
        piece_of_work(words, piece)
        own += 1
        piece = take(words)
    wait_for_others(words)
    return own


@kernel
def many_products(words, pieces, products):
    """How many pieces were not done, or not once, when a product was thought to be finished."""
    wrong = 0
    for value in range(1, products + 1):
        for piece in range(pieces):
            words[SEEN + piece] = 0
        add_with_help(words, pieces, value)
        for piece in range(pieces):
            wrong += words[SEEN + piece] != value
    return wrong


@pytest.fixture(params=[1, 2, 4])
def helpers(request):
    made = Crew(request.param, help_adding)
    yield made
    made.close()
    assert not any(thread.is_alive() for thread in made._threads)


@pytest.mark.parametrize("pieces", [0, 1, 2, 13])
def test_every_piece_comes_once_in_each_of_many_products(helpers, pieces):
    """A helper that is late for one product must not begin with the next before all of it is written down."""
    for _ in range(20):
        helpers.wake()
        assert many_products(helpers.words, pieces, 500) == 0


def test_helpers_take_part_also_when_they_have_slept(helpers):
    helpers.words[LONG] = 2000
    for pause in (0, 0.05):  # far more than they stay awake
        for _ in range(20):
            time.sleep(pause)
            helpers.wake()
            if add_with_help(helpers.words, 13, 1) < 13:
                break
        else:
            pytest.fail(f"nobody came in 20 products, {pause} s apart")


def test_helpers_sleep_when_there_is_nothing_to_do(helpers):
    helpers.wake()
    deadline = time.monotonic() + 20
    while not all(helpers._asleep) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert all(helpers._asleep)
    before = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - before < 0.1  # of each core


def test_nobody_waits_for_helpers_that_are_not_there():
    words = np.zeros(threads.WORDS, np.int64)  # nobody looks at these
    assert add_with_help(words, 13, 5) == 13
    assert (words[SEEN : SEEN + 13] == 5).all()


def test_as_plain_python_the_caller_does_it_alone():
    words = np.zeros(threads.WORDS, np.int64)
    words[ADDS] = 3
    offer.py_func(words, 4)
    assert [take.py_func(words) for _ in range(5)] == [3, 2, 1, 0, -1]
    wait_for_others.py_func(words)
    assert not wait_for_work.py_func(words, 3)
    offer.py_func(words, 1)
    assert wait_for_work.py_func(words, 3)
    assert words[threads.AT_WORK] == 1
    leave.py_func(words)
    assert words[threads.AT_WORK] == 0


def test_pieces_are_as_many_for_each_thread(helpers):
    count = len(helpers._threads) + 1
    for megabytes in (0.01, 0.5, 2, 40):
        pieces = helpers.pieces(np.zeros((1, int(megabytes * 1e6)), np.int8))
        assert pieces % count == 0
        assert pieces >= count


def test_one_core_has_no_crew(monkeypatch):
    monkeypatch.setattr(threads.numba, "get_num_threads", lambda: 1)
    crew.cache_clear()
    try:
        assert crew(help_adding) is None
    finally:
        crew.cache_clear()


AFTER_A_FORK = """
import os, sys
import numpy as np
from kernels.cpu import int8, threads
threads.numba.get_num_threads = lambda: 2
q, scale, x = np.ones((700, 700), np.int8), np.ones(700, np.float32), np.ones((1, 700), np.float32)
for _ in range(3):
    assert (int8.int8_linear_forward(x, q, scale) == 700).all()
parent = threads.crew(int8._help)
if FORK:
    parent.words[threads.AT_WORK] = 1  # as if a helper had held a piece when the other process was made
    child = os.fork()
    if child == 0:
        ok = (int8.int8_linear_forward(x, q, scale) == 700).all() and threads.crew(int8._help) is not parent
        os._exit(0 if ok else 1)
    parent.words[threads.AT_WORK] = 0
    assert os.waitpid(child, 0)[1] == 0
    assert (int8.int8_linear_forward(x, q, scale) == 700).all()
print("done")
"""


@pytest.mark.parametrize("fork", [False, pytest.param(True, marks=pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system has no fork"))])  # fmt: skip
def test_a_process_with_helpers_ends_and_a_fork_gets_its_own(fork):
    for _ in range(1 if fork else 5):
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", f"FORK = {fork}\n{AFTER_A_FORK}"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


def test_two_callers_at_once_get_their_own_numbers():
    from kernels.cpu import int8

    rng = np.random.default_rng(0)
    q, scale = rng.integers(-127, 128, (900, 600)).astype(np.int8), np.ones(900, np.float32)
    inputs = rng.normal(size=(4, 1, 600)).astype(np.float32)
    wanted = [int8.int8_linear_forward(x, q, scale) for x in inputs]
    wrong = []

    def call(x, y):
        for _ in range(200):
            if not np.array_equal(int8.int8_linear_forward(x, q, scale), y):
                wrong.append(x)

    callers = [threading.Thread(target=call, args=pair) for pair in zip(inputs, wanted, strict=True)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong
