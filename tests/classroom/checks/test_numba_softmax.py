"""What Numba made of a student's function, and what it says when it makes nothing, in one line."""

import numpy as np
import pytest

from minigpt.classroom import examine
from minigpt.classroom import exercise as exercise_of

numba = pytest.importorskip("numba")


def wrong_parts(answer):
    return {part.title: part for part in examine("numba_softmax", answer).parts if part.problem}


def test_plain_python_costs_only_its_own_part():
    wrong = wrong_parts(lambda x: exercise_of("numba_softmax").right(x))
    assert list(wrong) == ["compiled"]
    assert "nothing: it is plain Python" in wrong["compiled"].problem
    assert wrong["compiled"].misconception.startswith("The function is plain Python")


def test_object_mode_is_told():
    @numba.jit(forceobj=True)
    def softmax(x):
        e = np.exp(x - np.maximum(x.max(axis=1, keepdims=True, initial=-np.inf), -1e300))
        return e / np.maximum(e.sum(axis=1, keepdims=True), np.finfo(x.dtype).tiny)

    wrong = wrong_parts(softmax)
    assert list(wrong) == ["compiled"]
    assert "got 'object mode'" in wrong["compiled"].problem
    assert wrong["compiled"].misconception.startswith("Compiled in object mode")


def test_what_numba_cannot_compile_is_told_in_a_line():
    @numba.njit
    def softmax(x):
        return x - x.max(axis=1, keepdims=True)

    problem = wrong_parts(softmax)["numbers"].problem
    assert "Numba cannot compile the function: got an unexpected keyword argument" in problem
    assert "x.max(axis=1, keepdims=True)" in problem, "the student's line"
    assert "\x1b" not in problem
    assert len(problem.splitlines()) <= 4


def test_where_jit_is_disabled_nothing_is_said_to_be_compiled(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    wrong = wrong_parts(lambda x: exercise_of("numba_softmax").right(x))
    assert "NUMBA_DISABLE_JIT is set" in wrong["compiled"].problem


def test_without_numba_the_check_says_what_to_install(monkeypatch):
    ex = exercise_of("numba_softmax")
    monkeypatch.setattr(ex, "needs", ("numba", "no_such_package"))
    report = examine("numba_softmax", ex.right)
    assert report.points == 0
    assert "needs no_such_package: python -m pip install no_such_package" in str(report)
