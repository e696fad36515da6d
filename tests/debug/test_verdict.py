"""Verdicts: a wrong kernel, formula, setting or number is a bug, and whose it is; rounding is none."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from planted_models import library_gpt, student_gpt

from minigpt import backend
from minigpt import functional as F
from minigpt.debug import diff_runs
from minigpt.debug.lockstep import Side, lockstep
from minigpt.models import GPT, GPTConfig, RecurrentConfig, RecurrentLM

numba_is_here = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs Numba")
IDS = np.array([[1, 2, 3, 0], [0, 1, 2, 6]])


def changed(change):
    model = library_gpt()
    change(model)
    return model


def with_wrong_kernel(monkeypatch, name, wrong):
    row = backend.load("cpu")
    right = getattr(row, name)
    monkeypatch.setitem(backend._LOADED, "cpu", replace(row, **{name: lambda *a, **k: wrong(right(*a, **k))}))


@numba_is_here
def test_a_wrong_kernel_is_a_bug_of_its_row_forward(monkeypatch):
    with_wrong_kernel(monkeypatch, "layernorm_forward", lambda result: (result[0] * 1.01, *result[1:]))
    first = diff_runs(library_gpt(), library_gpt(), IDS, IDS, rows=("numpy", "cpu")).first
    assert (first.number, first.op, first.where, first.direction) == (3, "LayerNorm", "h.0.ln_1", "forward")
    assert (first.verdict, first.off) == ("bug", "cpu")
    assert first.b == pytest.approx(1.01 * first.a)
    assert first.hint == "cpu is 1.01 times numpy, everywhere"
    assert first.error == pytest.approx(0.01, rel=1e-3)


@numba_is_here
def test_a_wrong_kernel_is_a_bug_of_its_row_backward(monkeypatch):
    with_wrong_kernel(monkeypatch, "linear_gelu_backward", lambda result: (result[0], result[1] * 2, result[2]))
    for rows, off in ((("numpy", "cpu"), "cpu"), (("cpu", "numpy"), "cpu")):
        first = diff_runs(library_gpt(), library_gpt(), IDS, IDS, rows=rows).first
        assert (first.op, first.where) == ("LinearGELU.backward", "h.1.mlp")
        assert first.tensor == "gradient of input 1 (h.1.mlp.c_fc.weight)"
        assert (first.verdict, first.off) == ("bug", off)


@numba_is_here
def test_nan_on_one_row_is_a_bug(monkeypatch):
    with_wrong_kernel(monkeypatch, "softmax_forward", lambda y: np.where(y > 0.5, np.nan, y))
    first = diff_runs(F.softmax, F.softmax, np.array([[0.0, 3.0]], np.float32), rows=("numpy", "cpu")).first
    assert (first.index, first.verdict, first.off) == ((0, 1), "bug", "cpu")
    assert np.isnan(first.b)
    assert first.error == np.inf


def test_of_two_formulas_a_finite_difference_says_which_gradient_is_wrong():
    for models, off in (((library_gpt(), student_gpt("mlp", "gelu slope")), "b"),
                        ((student_gpt("mlp", "gelu slope"), library_gpt()), "a")):  # fmt: skip
        first = diff_runs(*models, IDS, IDS, parts=True).first
        assert (first.verdict, first.off) == ("bug", off)
        assert f"so {off} is off" in first.reason
        right = first.a if off == "b" else first.b
        assert f"a finite difference there gives {right:.5g}," in first.reason


def test_settings_that_differ_are_named():
    def at(eps):
        return lambda x: F.layer_norm(x, eps=eps) * 2.0

    first = diff_runs(at(1e-5), at(1e-2), np.array([[0.1, 0.2, 0.4]])).first
    assert first.verdict == "bug"
    assert "eps is 1e-05 in a, 0.01 in b" in first.reason
    assert first.tolerance == 1e-9  # float64 on both sides


def test_masks_that_differ_are_named(rng):
    x = rng.standard_normal((1, 1, 3, 2)).astype(np.float32)
    masks = np.tri(3, dtype=bool), np.tri(3, dtype=bool) | np.eye(3, k=1, dtype=bool)
    a, b = (lambda q, m=mask: F.scaled_dot_product_attention(q, q, q, mask=m) for mask in masks)
    assert diff_runs(a, b, x).first.reason.endswith(": another mask")


def test_a_weight_that_differs_is_named_and_the_op_not_blamed():
    def push(model):
        model.h[1].mlp.c_fc.weight.data[2, 3] += 1

    first = diff_runs(library_gpt(), changed(push), IDS, IDS).first
    assert first.where == "h.1.mlp"
    assert first.verdict == "bug"
    assert first.off == ""
    assert "input 1 (h.1.mlp.c_fc.weight), which no op computed, differs between a and b" in first.reason


def test_a_constant_that_differs_is_shown():
    first = diff_runs(lambda x: x * 0.5, lambda x: x * 0.25, np.ones((2, 3), np.float32)).first
    assert "which no op computed, is 0.5 in a, 0.25 in b" in first.reason
    assert first.hint == "b is 0.5 times a, everywhere"


# --- rounding -------------------------------------------------------------------------------------------------------


def test_rounding_is_no_bug(rng):
    """A sum of large numbers that cancel: float32 keeps two digits, which the two dtypes show."""
    x = (1e4 + rng.standard_normal((1, 64))).astype(np.float32)
    first = diff_runs(lambda x: (x - 1e4).mean(), lambda x: (x - 1e4).mean(), x, dtypes=("float64", "float32")).first
    assert first is None  # the subtraction is exact

    def centred(x):
        return (x * 1.1).var(axis=-1) - 1.21 * x.var(axis=-1)

    first = diff_runs(centred, centred, x, dtypes=("float64", "float32")).first
    assert first.verdict == "rounding"
    assert first.off == ""
    assert "rounding" in str(first)


@numba_is_here
def test_rounding_between_rows_at_tolerance_zero():
    first = diff_runs(library_gpt(), library_gpt(), IDS, IDS, rows=("numpy", "cpu"), tolerance=0).first
    assert first.verdict == "rounding"
    assert first.origin is None


def test_a_gradient_that_is_nothing_but_rounding_can_be_passed(rng):
    """softmax(x + b) does not depend on b, so its gradient is what is left by rounding, another thing in each dtype."""
    x, b = rng.standard_normal((3, 5)).astype(np.float32), np.ones((3, 1), np.float32)
    both = (lambda x, b: F.softmax(x + b) ** 2,) * 2
    first = diff_runs(*both, x, b, dtypes=("float64", "float32")).first
    assert first.tensor == "gradient of input 1"
    assert first.verdict == "rounding"
    found = diff_runs(*both, x, b, dtypes=("float64", "float32"), past_rounding=True)
    assert found.ok
    assert [passed.tensor for passed in found.rounding] == ["gradient of input 1"]
    assert "1 difference that is rounding was passed" in str(found)


@pytest.mark.parametrize("by", ["op", "module"])
def test_a_small_bug_that_looks_like_rounding_is_traced_to_its_origin(by):
    """eps of the first norm is off by so little that its own result is within tolerance; below, it is not any more."""

    def other_eps(model):
        model.h[0].ln_1.eps = 1.03e-5

    reference = library_gpt()
    errors = {
        c.where: c.error for c in diff_runs(reference, changed(other_eps), IDS, IDS, by="module", tolerance=1).compared
    }
    tolerance = errors["h.0.ln_1"] * 1.01
    assert max(errors.values()) > tolerance
    first = diff_runs(reference, changed(other_eps), IDS, IDS, by=by, tolerance=tolerance).first
    assert first.where != "h.0.ln_1"
    assert first.verdict == "bug"
    assert first.origin.where == "h.0.ln_1"
    assert "in float64 the first difference is at" in str(first)
    if by == "op":  # nor is it passed by as rounding
        first = diff_runs(reference, changed(other_eps), IDS, IDS, tolerance=tolerance, past_rounding=True).first
        assert (first.where, first.verdict) == ("h.0.ln_1", "bug")


@numba_is_here
@pytest.mark.parametrize("kind", ["gpt", "lstm", "gru"])
def test_no_op_of_a_model_is_called_a_bug_for_its_rounding(kind):
    """At tolerance 0 every op that differs in its last digit is judged, forward and backward, with dropout."""
    if kind == "gpt":
        model = GPT(GPTConfig(vocab_size=7, block_size=4, n_layer=1, n_head=2, n_embd=8, dropout=0.2), seed=0)
    else:
        sizes = {"vocab_size": 7, "n_embd": 6, "n_hidden": 5, "n_layer": 2, "block_size": 4, "tied": False}
        model = RecurrentLM(RecurrentConfig(**sizes, cell=kind), seed=0)
    for p in model.parameters():
        p.data *= 5
    targets = np.array([[2, 3, -100, 1], [-100, -100, 0, 0]])
    for rows, dtypes in ((("numpy", "cpu"), (None, None)), ((None, None), ("float64", "float32"))):
        runs = (Side(model, (IDS, targets), None, row, dtype, False) for row, dtype in zip(rows, dtypes, strict=True))
        found = lockstep(*runs, ("a", "b"), 0.0, past_rounding=True)
        assert (
            found.first.direction == "gradient"
        )  # all ops are behind it; what leaves hold is compared without verdict
        assert len(found.rounding) > 10


@numba_is_here
def test_a_kernel_that_is_off_by_little_more_than_rounding_is_a_bug(monkeypatch):
    with_wrong_kernel(monkeypatch, "layernorm_forward", lambda result: (result[0] * (1 + 1e-4), *result[1:]))
    first = diff_runs(library_gpt(), library_gpt(), IDS, IDS, rows=("numpy", "cpu"), tolerance=1e-5).first
    assert (first.where, first.verdict, first.off) == ("h.0.ln_1", "bug", "cpu")
