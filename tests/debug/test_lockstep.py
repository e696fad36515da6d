"""diff_runs: what is the same agrees, the first difference is named, and rounding is told from a bug."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import planted_ops
import pytest
from planted_models import cached_gpt, library_gpt, student_gpt

import minigpt as mg
from minigpt import backend, nn
from minigpt import functional as F
from minigpt.debug import diff_runs
from minigpt.debug.lockstep import Side, lockstep
from minigpt.inspect import capture
from minigpt.models import GPT, GPTConfig, RecurrentConfig, RecurrentLM

numba_is_here = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs Numba")
IDS = np.array([[1, 2, 3, 0], [0, 1, 2, 6]])
GOLDEN = Path(mg.__file__).parents[1] / "tests/golden"


def changed(change):
    model = library_gpt()
    change(model)
    return model


# --- the same on both sides -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["op", "module"])
def test_a_model_agrees_with_itself_and_is_left_alone(by):
    model = library_gpt()
    before = model.state_dict()
    found = diff_runs(model, model, IDS, IDS, by=by)
    assert found.ok
    assert found.first is None
    assert {c.error for c in found.compared} == {0.0}
    assert any(c.where == "h.1.attn.c_attn.weight.grad" for c in found.compared)
    assert "tensors agree" in str(found)
    assert "h.1.mlp" in found.table()
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@numba_is_here
def test_rows_and_dtypes_agree_within_rounding():
    model = library_gpt()
    found = diff_runs(model, model, IDS, IDS, rows=("numpy", "cpu"))
    assert found.ok
    assert found.sides == ("numpy", "cpu")
    assert 0 < max(c.error for c in found.compared) < 1e-5
    found = diff_runs(model, model, IDS, IDS, dtypes=("float64", "float32"))
    assert found.ok
    assert found.sides == ("float64", "float32")
    assert 0 < max(c.error for c in found.compared) < 1e-5


def test_dropout_draws_the_same_on_both_sides():
    model = GPT(GPTConfig(vocab_size=7, block_size=4, n_layer=1, n_head=2, n_embd=8, dropout=0.5), seed=0)
    assert diff_runs(model, model, IDS, IDS).ok


def test_functions_inputs_of_every_kind_and_no_gradients(rng):
    x = rng.standard_normal((3, 4)).astype(np.float32)
    weight = mg.Tensor(rng.standard_normal((4, 2)).astype(np.float32), requires_grad=True, name="weight")
    found = diff_runs(lambda x, w, s: (x @ w * s).tanh(), lambda x, w, s: (x @ w * s).tanh(), x, weight, 2.0)
    assert found.ok
    assert [c.op for c in found.compared] == [
        "MatMul", "Mul", "Tanh", "Tanh.backward", "Mul.backward", "MatMul.backward", "", "",
    ]  # fmt: skip
    assert [c.where for c in found.compared[-2:]] == ["input 0.grad", "weight.grad"]
    assert weight.grad is None
    with mg.no_grad():
        assert [c.op for c in diff_runs(F.softmax, F.softmax, x[:1]).compared] == ["Softmax"]


# --- one op is wrong ------------------------------------------------------------------------------------------------


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


# --- not the same ops -----------------------------------------------------------------------------------------------


def test_where_two_runs_part_is_said():
    x = np.ones((2, 3), np.float32) / 3
    first = diff_runs(lambda x: (x.exp() * 2.0).sqrt(), lambda x: x.exp().sqrt(), x).first
    assert first.verdict == "parted"
    assert first.number == 1
    assert "a runs Mul -> (2, 3); b runs Sqrt -> (2, 3)" in str(first)
    assert "by='module'" in first.reason
    first = diff_runs(lambda x: x.exp(), lambda x: x.exp().sqrt(), x).first
    assert "a runs Exp.backward -> (2, 3); b runs Sqrt -> (2, 3)" in str(first)
    with mg.no_grad():
        first = diff_runs(lambda x: x.exp().sqrt(), lambda x: x.exp(), x).first
        assert "a runs Sqrt -> (2, 3); b has ended" in str(first)
        first = diff_runs(lambda x: x.exp(), lambda x: x.exp().sqrt(), x).first
        assert "a has ended; b runs Sqrt" in str(first)


def test_ops_of_other_names_are_compared_while_they_agree():
    """A student's op in the place of the library's: no difference of structure as long as it computes the same."""
    assert diff_runs(library_gpt(), student_gpt("mlp"), IDS, IDS, parts=True).ok

    class Shifted(planted_ops.Bend):
        @staticmethod
        def forward(ctx, x):
            return planted_ops.Bend.forward(ctx, x) + 0.1

    first = diff_runs(F.gelu, Shifted.apply, np.array([[1.0, -1.0, 0.5]], np.float32)).first
    assert first.verdict == "bug"
    assert "a runs GELU, b Shifted" in first.reason


def test_models_that_are_built_differently_are_compared_by_module():
    found = diff_runs(library_gpt(), cached_gpt(), IDS, IDS)
    assert found.first.verdict == "parted"
    found = diff_runs(library_gpt(), cached_gpt(), IDS, IDS, by="module")
    assert found.ok
    assert {"h.0.attn.weights", "h.1.mlp", "output", "wte.weight.grad"} <= {c.where for c in found.compared}
    assert "drop" in found.not_compared


def test_a_path_that_is_cut_is_found_by_its_gradient():
    first = diff_runs(
        lambda x, w: (x @ w).sum(), lambda x, w: (x.detach() @ w).sum(), np.ones((2, 3)), np.ones((3, 2))
    ).first
    assert first.tensor == "gradient of input 0"
    assert "in b no gradient goes to that input" in first.reason
    found = diff_runs(library_gpt(), student_gpt("block", "detached residual", 1), IDS, IDS, by="module")
    assert found.first.where.endswith(".grad")
    assert found.first.verdict == "bug"


def test_a_loss_of_ones_own():
    model = library_gpt()
    found = diff_runs(model, model, IDS, loss=lambda out: (out[0] * out[0]).mean())
    assert found.ok
    assert any(c.op == "Mean.backward" for c in found.compared)


def test_the_second_run_ends_at_the_first_difference():
    ran = []

    class Loud(nn.Module):
        def forward(self, x):
            try:
                y = x * 3.0
            except Exception:  # noqa: BLE001, a model that swallows everything does not keep the difference
                ran.append("swallowed")
                y = x
            ran.append("after")
            return y.exp()

    class Quiet(Loud):
        def forward(self, x):
            return (x * 2.0).exp()

    assert not diff_runs(Quiet(), Loud(), np.ones(3, np.float32)).ok
    assert ran == []


# --- arrays of another program --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpt2():
    """(model, ids, activations of Transformers by their names there, names there -> here)"""
    with np.load(GOLDEN / "gpt2.npz") as stored:
        sizes = json.loads(stored["config"].tobytes())["model"]
        state = {key.removeprefix("state/"): stored[key] for key in stored.files if key.startswith("state/")}
        ids = stored["ids"]
    model = GPT(GPTConfig(block_size=sizes.pop("n_positions"), **sizes), seed=0)
    model.load_state_dict(state)
    with np.load(GOLDEN / "activations.npz") as stored:
        arrays = dict(stored)
    names = {name: name.removeprefix("transformer.") for name in arrays} | {"lm_head": "output"}
    return model, ids, arrays, names


def test_activations_of_transformers(gpt2):
    model, ids, arrays, names = gpt2
    found = diff_runs(model, arrays, ids, names=names)
    assert found.ok
    assert len(found.compared) == len(arrays) == 19
    assert 0 < max(c.error for c in found.compared) < 1e-5
    found = diff_runs(model, arrays, ids, names=names, tolerance=0)
    assert found.first.verdict == "rounding"


def test_a_wrong_part_is_found_against_transformers(gpt2):
    model, ids, arrays, names = gpt2
    wrong = GPT(model.config, seed=0)
    wrong.load_state_dict(model.state_dict())
    wrong.h[1].ln_2.eps = 1e-2
    first = diff_runs(wrong, arrays, ids, names=names).first
    assert first.where == "h.1.ln_2"
    assert first.verdict == "bug"
    assert "the two do not compute the same" in first.reason
    assert first.a != first.b


def test_gradients_of_another_program(gpt2):
    model, ids, _, _ = gpt2
    with np.load(GOLDEN / "gpt2.npz") as stored:
        targets = stored["targets"]
        gradients = {
            key.removeprefix("grad/").replace(".float32", ".grad"): stored[key]
            for key in stored.files if key.startswith("grad/") and key.endswith(".float32")
        }  # fmt: skip

    def loss(returned):
        return returned[1]

    found = diff_runs(model, gradients, ids, targets, loss=loss)
    assert found.ok
    assert len(found.compared) == len(gradients)
    gradients["h.2.mlp.c_fc.weight.grad"] = gradients["h.2.mlp.c_fc.weight.grad"] * 2
    first = diff_runs(model, gradients, ids, targets, loss=loss).first
    assert first.where == "h.2.mlp.c_fc.weight.grad"
    assert first.hint == "arrays is 2 times model, everywhere"
    assert first.verdict == "bug"


def test_names_and_shapes_of_arrays(gpt2):
    model, ids, _, _ = gpt2
    with capture(model, copy=True) as acts:
        model(ids)
    assert diff_runs(model, {"h.0.attn.weights": acts["h.0.attn.weights"]}, ids).ok
    assert diff_runs(model, {"wpe": acts["wpe"][None]}, ids).ok  # with a batch of one in front
    first = diff_runs(model, {"h.0": acts["h.0"][0]}, ids).first
    assert "model has shape (3, 13, 24), arrays has shape (13, 24)" in str(first)
    with pytest.raises(mg.ArgumentError, match=r"no activation is called 'h\.0\.atn'; nearest: .*h\.0\.attn"):
        diff_runs(model, {"h.0.atn": acts["h.0"]}, ids)
    with pytest.raises(mg.ArgumentError, match="speaks of 'blocks', which is not among"):
        diff_runs(model, {"h.0": acts["h.0"]}, ids, names={"blocks": "h"})


# --- how it shows itself, and wrong calls ---------------------------------------------------------------------------


def test_shown_in_a_notebook_and_as_a_table():
    found = diff_runs(library_gpt(), student_gpt("norm", "variance by n - 1"), IDS, IDS, by="module")
    assert "<pre" in found._repr_html_()
    assert "max|Δ|" in found._repr_html_()
    assert found.table().rstrip().endswith(f"before it {str(found).split('before it ')[1]}")
    assert repr(found) == f"<RunDifference: {found}>"
    assert [c.where for c in found.compared] == ["wte", "wpe", "drop"]


def test_wrong_calls():
    model = library_gpt()
    with pytest.raises(mg.ArgumentError, match="by is 'op' or 'module'"):
        diff_runs(model, model, IDS, by="modules")
    with pytest.raises(mg.ArgumentError, match="rows are two"):
        diff_runs(model, model, IDS, rows=("numpy",))
    with pytest.raises(mg.ArgumentError, match="dtypes are two"):
        diff_runs(model, model, IDS, dtypes="float64")
    with pytest.raises(mg.ArgumentError, match="tolerance is a number from 0 up"):
        diff_runs(model, model, IDS, tolerance=-1)
    with pytest.raises(mg.ArgumentError, match="names= is for arrays"):
        diff_runs(model, model, IDS, names={})
    with pytest.raises(mg.ArgumentError, match="must return a Tensor"):
        diff_runs(lambda x: 3, lambda x: 3, IDS)
    with pytest.raises(mg.ArgumentError, match="no named point in common"):
        diff_runs(lambda x: x.exp(), lambda x: x.exp(), np.ones(2), by="module")
    with pytest.raises(mg.ShapeError):
        diff_runs(model, model, IDS[0])


def test_it_is_loaded_late():
    assert "torch" not in sys.modules
    assert {"diff_runs", "check_model", "RunDifference"} <= set(dir(mg.debug))
