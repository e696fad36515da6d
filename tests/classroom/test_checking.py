"""What a student is told: the place, both numbers, the line of his own that failed; and nothing on stderr."""

import sys
import warnings

import numpy as np
import pytest

import minigpt as mg
from minigpt.classroom import Case, Exercise, check, examine, exercise
from minigpt.classroom.comparing import difference, same
from minigpt.classroom.outcome import outcomes


def right(x, axis=-1):
    return exercise("softmax").right(x, axis)


def first_problem(answer, name="softmax"):
    return next(part.problem for part in examine(name, answer).parts if part.problem)


def test_a_right_answer_prints_and_returns_its_points(capsys):
    assert check("softmax", right) == 6
    out = capsys.readouterr().out
    assert out.startswith("softmax: 6 of 6 points\n")
    assert "WRONG" not in out


def test_both_names_are_the_same_exercise():
    assert examine("ex_softmax", right) == examine("softmax", right)


def test_an_unknown_exercise_lists_those_there_are():
    with pytest.raises(mg.ArgumentError, match=r"no exercise 'softmx'; there are .*softmax"):
        check("softmx", right)


def test_a_misconception_is_named_with_the_place_and_both_numbers(capsys):
    def over_columns(x, axis=-1):
        e = np.exp(x)
        return e / e.sum(axis=0, keepdims=True)

    assert check("softmax", over_columns) < 6
    out = capsys.readouterr().out
    assert "two rows: softmax(x)" in out
    assert "x (2, 3) float64 = [[" in out
    assert "y[0, 0]: expected 0.2902" in out
    assert "You took the softmax over axis 0" in out


def test_an_explanation_is_given_once(capsys):
    check("softmax", lambda x, axis=-1: x)
    check("softmax", lambda x, axis=-1: x / x.sum(axis, keepdims=True))
    out = capsys.readouterr().out
    assert out.count("=> You divided x itself by its sum") == 1
    assert out.count("=> the same mistake as above") == 4


def test_of_two_mistakes_at_once_the_larger_one_is_named():
    """Statistics taken for constants, and no eps: no stored mistake gives exactly these numbers."""

    def dx_only(dy, x, weight, eps=1e-5):
        dx = dy * weight / x.std(-1, keepdims=True)
        _, dweight, dbias = exercise("layernorm_backward").right(dy, x, weight, eps)
        return dx, dweight, dbias

    (told,) = (part.misconception for part in examine("layernorm_backward", dx_only).parts if part.title == "dx")
    assert told.startswith("Probably: You took mean and standard deviation for constants.")


def test_a_wrong_answer_that_is_like_no_mistake_gets_no_guess():
    report = examine("softmax", lambda x, axis=-1: right(x, axis) ** 1.5)
    assert report.points < report.possible
    assert not any(part.misconception for part in report.parts)


def test_a_buffer_used_again_is_no_mistake():
    buffers = {}

    def reuses(x, axis=-1):
        out = buffers.setdefault((x.shape, x.dtype), np.empty_like(x))
        out[...] = right(x, axis)
        return out

    assert examine("softmax", reuses).passed


def test_partial_credit_for_what_is_right():
    def naive(x, axis=-1):
        e = np.exp(x)
        return e / e.sum(axis, keepdims=True)

    report = examine("softmax", naive)
    assert [part.title for part in report.parts if part.problem] == ["large numbers", "masked and other edges"]
    assert report.points == report.possible - 2


def test_an_exception_is_told_with_the_students_line_and_no_traceback():
    def broken(x, axis=-1):
        half = len(x) // 0
        return half

    problem = first_problem(broken)
    assert "ZeroDivisionError" in problem
    assert "test_checking.py:" in problem
    assert "half = len(x) // 0" in problem
    assert "Traceback" not in problem
    assert "checking.py:" not in problem.replace("test_checking.py:", "")


def test_a_wrong_signature_is_told_with_the_right_one():
    assert "possible to call it as softmax(x, axis=-1)" in examine("softmax", lambda x: right(x)).parts[1].problem


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x, axis=-1: None, "y is None; does the function end with `return`?"),
        (lambda x, axis=-1: mg.Tensor(right(x, axis)), "y is a Tensor; return its array, t.numpy()"),
        (lambda x, axis=-1: right(x, axis).tolist(), "y is a list of 2; wanted is a NumPy array (2, 3) float64"),
        (lambda x, axis=-1: right(x, axis).T, "transposed"),
        (lambda x, axis=-1: right(x, axis).ravel(), "a reshape away"),
        (lambda x, axis=-1: right(x, axis)[:1], "y has shape (1, 3), expected (2, 3)"),
        (lambda x, axis=-1: right(x, axis) > 0, "y holds booleans (bool), wanted are floats (float64)"),
        (lambda x, axis=-1: 3 * right(x, axis), "all your numbers are 3 times the expected ones"),
        (lambda x, axis=-1: right(x, axis) - 1, "all your numbers are the expected ones - 1"),
        (lambda x, axis=-1: np.full_like(x, np.nan), "nan is what"),
        (lambda x, axis=-1: sys.exit(0), "SystemExit: 0"),
    ],
    ids=["none", "tensor", "list", "transposed", "flat", "short", "booleans", "factor", "shift", "nan", "exit"],
)
def test_patterns_that_any_exercise_may_meet(answer, words):
    assert words in first_problem(answer)


def test_a_widened_dtype_costs_only_its_own_part():
    report = examine("softmax", lambda x, axis=-1: right(x, axis).astype(np.float64))
    assert [part.title for part in report.parts if part.problem] == ["float32 stays float32"]
    assert "y is float64, expected float32" in report.parts[-1].problem


def test_overwriting_an_argument_is_told():
    def in_place(x, axis=-1):
        x -= x.max(axis, keepdims=True)
        np.exp(x, out=x)
        x /= x.sum(axis, keepdims=True)
        return x

    assert "overwrote its argument x" in first_problem(in_place)


def test_overwriting_a_list_is_told_too():
    def in_place(tokens, merges):
        joined = exercise("bpe_merge").right(tokens, merges)
        tokens[:] = joined
        return tokens

    problem = first_problem(in_place, "bpe_merge")
    assert "overwrote its argument tokens" in problem
    assert "`list(a)` makes a copy" in problem


def test_a_pair_is_asked_for_and_half_of_it_has_half_the_points():
    def loss_only(logits, targets):
        return exercise("cross_entropy").right(logits, targets)[0]

    def loss_and_none(logits, targets):
        return loss_only(logits, targets), None

    assert "wanted is `return loss, dlogits`" in first_problem(loss_only, "cross_entropy")
    report = examine("cross_entropy", loss_and_none)
    assert [part.title for part in report.parts if part.points] == ["loss"]
    assert "dlogits is None" in report.parts[1].problem


def test_nothing_is_written_to_stderr(capsys):
    """nbgrader gives 0 points to a cell that writes there."""

    def noisy(x, axis=-1):
        warnings.warn("never mind", stacklevel=1)
        print("to stderr", file=sys.stderr)
        return right(np.log(x - 1e9) * 0 + x, axis)

    check("softmax", noisy)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "to stderr" in captured.out


def test_an_answer_that_is_half_a_stub_keeps_its_points():
    def half(x, axis=-1):
        if axis != -1:
            raise NotImplementedError("other axes")
        return right(x, axis)

    report = examine("softmax", half)
    assert not report.unwritten
    assert report.points == 5


def test_a_result_in_place_of_the_function_is_told():
    assert "pass softmax itself" in first_problem(right(np.zeros(3)))


def test_other_seeds_give_other_numbers_and_the_same_verdict():
    seen = [outcomes(exercise("softmax"), right, seed)[0].outputs[0] for seed in (0, 1)]
    assert not np.allclose(*seen)
    assert examine("softmax", right, seed=1).passed


def test_an_answer_cannot_spoil_the_arrays_of_another():
    kept = []

    def keeps(x, axis=-1):
        kept.append(x)
        return right(x, axis)

    assert examine("softmax", keeps).passed
    for x in kept:
        x[...] = 0
    assert examine("softmax", right).passed


def test_lists_and_numbers_are_compared_too():
    assert difference([1, 2, 4], [1, 2, 3], "y") == "y[2]: expected 3, got 4"
    assert difference([1, 2], [1, 2, 3], "y") == "y has 2 elements, expected 3: [1, 2, 3], got [1, 2]"
    assert difference("ab", ["a", "b"], "y") == "y is a str; wanted is a list"
    assert difference([("a", "b")], [("a", "c")], "y") == "y[0][1]: expected 'c', got 'b'"
    assert difference(0.5, 0.25, "y") == "y: expected 0.25, got 0.5"
    assert difference({"a": 1}, {"a": 2}, "y") == "y: expected {'a': 2}, got {'a': 1}"
    assert difference([1, 2], [1, 2], "y") == ""
    assert difference(np.float64(2.0), 2.0, "y") == ""
    assert difference(2, 2.0, "y") == ""
    assert same((1, [2.0]), (1, [2.0]))
    assert not same((1, [2.0]), (1, [2.5]))


def test_an_answer_that_is_run_for_several_steps_is_told_how_it_is_called_itself():
    """A case has the gradients of all steps, the function gets one of them at a time."""
    problem = first_problem(lambda p, g: p, "adam")
    assert "one step: adam tried with p, grads\n" in problem
    assert "possible to call it as adam(p, g, m, v, t, lr=0.1, betas=(0.9, 0.999), eps=1e-08)" in problem
    assert "wanted is `return p, m, v`" in first_problem(lambda p, *rest: p, "adam")


def test_values_have_their_point_before_backward_is_written():
    class Value(exercise("scalar_autograd").right):
        def backward(self):
            raise NotImplementedError("backward")

    assert [part.title for part in examine("scalar_autograd", Value).parts if part.points] == ["values"]


def test_an_exercise_about_a_class_has_a_runner_and_may_write_into_an_argument():
    ex = Exercise("counter", answer="Counter", outputs=("total",), in_place=("log",))

    @ex.runner
    def run(cls, steps, log):
        counter = cls()
        for step in steps:
            counter.add(step)
        log[:] = counter.total
        return np.array(counter.total)

    @ex.reference
    class Counter:
        def __init__(self):
            self.total = 0.0

        def add(self, step):
            self.total += step

    @ex.part("sums", points=2)
    def sums(rng):
        yield Case("three steps", rng.normal(size=3), np.zeros(2))

    assert ex.signature == "Counter()"
    (outcome,) = outcomes(ex, Counter, 0)
    assert outcome.error is None
    assert not outcome.note
