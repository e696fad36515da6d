"""Computing without writing down: no_grad as block and decorator, nested and in threads; detach."""

import threading

import numpy as np
import pytest

import minigpt as mg


def leaf(*values):
    return mg.Tensor(list(values), requires_grad=True)


def test_no_grad_nests_and_is_restored():
    x = leaf(1.0)

    @mg.no_grad()
    def inside(depth):
        return inside(depth - 1) if depth else (x * 2.0).requires_grad

    with mg.no_grad():
        with mg.no_grad():
            assert not (x * 2.0).requires_grad
        assert not (x * 2.0).requires_grad
    assert not inside(3)
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        _ = 1 / 0
    assert (x * 2.0).requires_grad


def test_no_grad_holds_for_its_own_thread_only():
    x, seen, inside, done = leaf(1.0), [], threading.Event(), threading.Event()

    def other():
        inside.wait(10)
        seen.append((x * 2.0).requires_grad)
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with mg.no_grad():
        inside.set()
        done.wait(10)
    thread.join()
    assert seen == [True]


def test_a_decorated_function_may_run_in_two_threads_at_once():
    """They leave in the order in which they came; each must give back its own thread's mode."""
    first_left, both_inside, results = threading.Event(), threading.Barrier(2), {}
    second_entered = threading.Event()

    @mg.no_grad()
    def inside(name):
        if name == "first":
            second_entered.wait(10)
        else:
            second_entered.set()
            first_left.wait(10)
        return (leaf(1.0) * 2.0).requires_grad

    def work(name):
        both_inside.wait(10)
        if name == "second":
            threading.Event().wait(0.05)  # enters after the first
        try:
            results[name] = inside(name), (leaf(1.0) * 2.0).requires_grad
        except ValueError as error:
            results[name] = error
        first_left.set()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"first": (False, True), "second": (False, True)}


def test_detach_shares_the_array_and_leaves_the_graph():
    x = leaf(2.0)
    y = x * 3.0
    cut = y.detach()
    assert cut.data is y.data
    assert (cut.requires_grad, cut.op) == (False, None)
    (y * cut).sum().backward()
    np.testing.assert_array_equal(x.grad, [18])
