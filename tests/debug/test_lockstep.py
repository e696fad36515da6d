"""diff_runs: what is the same agrees, the first difference is named, and where two runs part is said."""

import importlib.util

import numpy as np
import planted_ops
import pytest
from planted_models import cached_gpt, library_gpt, student_gpt

import minigpt as mg
from minigpt import functional as F
from minigpt import nn
from minigpt.debug import diff_runs
from minigpt.models import GPT, GPTConfig

numba_is_here = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs Numba")
IDS = np.array([[1, 2, 3, 0], [0, 1, 2, 6]])


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
