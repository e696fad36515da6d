"""compare_backends: rows agree where they should, and a wrong kernel is named, forward or backward."""

import importlib
import importlib.util
from dataclasses import replace

import numpy as np
import pytest

import minigpt as mg
from minigpt import backend, nn
from minigpt import functional as F
from minigpt.debug import compare_backends
from minigpt.debug.comparison import NO_JIT, SIMULATOR, relative_error
from minigpt.models import GPT, GPTConfig

numba_is_here = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs Numba")
CONFIG = GPTConfig(vocab_size=7, block_size=4, n_layer=2, n_head=2, n_embd=8)
IDS = np.array([[1, 2, 3, 0]])


def loss(model, ids, targets):
    return model(ids, targets)[1]


@numba_is_here
def test_a_gpt_on_numpy_and_cpu(capsys):
    model = GPT(CONFIG, seed=0)
    before = model.state_dict()
    found = compare_backends(loss, model, IDS, IDS, rows=["cpu"])
    assert found.ok
    assert list(found.runs) == ["numpy", "cpu"]
    assert 0 < found.worst("cpu") < 1e-5
    names = {f"input 0.{name}" for name, _ in model.named_parameters()}
    assert set(found.gradients["cpu"]) == names
    assert [op.op for op in found.ops[:3]] == ["Embedding", "Embedding", "Add"]
    assert len(found.ops) == 2 * (3 + 2 * 7 + 3)
    out = capsys.readouterr().out
    assert out.strip() == found.table().strip()
    assert "h.1.attn.c_attn" in out
    assert all(p.grad is None for p in model.parameters())  # it worked on copies
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def with_wrong_kernel(monkeypatch, name, wrong):
    row = backend.load("cpu")
    right = getattr(row, name)
    monkeypatch.setitem(backend._LOADED, "cpu", replace(row, **{name: lambda *a, **k: wrong(right(*a, **k))}))


@numba_is_here
def test_a_wrong_forward_is_found_where_it_is(monkeypatch):
    with_wrong_kernel(monkeypatch, "layernorm_forward", lambda result: (result[0] * 1.01, *result[1:]))
    found = compare_backends(loss, GPT(CONFIG, seed=0), IDS, IDS, rows=["cpu"], show=False)
    assert not found.ok
    wrong = found.first_wrong("cpu")
    assert (wrong.op, wrong.direction, wrong.module) == ("LayerNorm", "forward", "h.0.ln_1")
    assert wrong.errors["cpu"] == pytest.approx(0.01, rel=0.1)
    assert "the first op that is off: 3 LayerNorm in h.0.ln_1" in found.table()
    assert "!" in repr(found)


@numba_is_here
def test_a_wrong_backward_is_found_where_it_is(monkeypatch):
    with_wrong_kernel(monkeypatch, "linear_gelu_backward", lambda result: (result[0], result[1] * 2, result[2]))
    found = compare_backends(loss, GPT(CONFIG, seed=0), IDS, IDS, rows=["cpu"], show=False)
    wrong = found.first_wrong("cpu")
    assert (wrong.op, wrong.direction, wrong.module) == ("LinearGELU", "backward", "h.1.mlp")
    off = {name for name, error in found.gradients["cpu"].items() if error > 1e-4}
    assert off == {f"input 0.h.{i}.mlp.c_fc.weight" for i in range(2)}
    assert found.outputs["cpu"] < 1e-5


@numba_is_here
def test_nan_on_one_row_only_is_an_infinite_error(monkeypatch):
    with_wrong_kernel(monkeypatch, "softmax_forward", lambda y: y * np.nan)
    found = compare_backends(F.softmax, np.ones((2, 3), np.float32), rows=["cpu"], show=False)
    assert found.worst("cpu") == np.inf
    assert not found.ok


@numba_is_here
def test_other_ops_on_a_row_are_said():
    def forked(x):
        return x.exp() if backend.current_row().name == "numpy" else x.sqrt() + 1.0

    found = compare_backends(forked, np.ones(3, np.float32), rows=["cpu"], show=False)
    assert found.differ["cpu"] == "op 0 is Exp forward on numpy and Sqrt forward here"
    assert not found.ok
    assert found.differ["cpu"] in found.table()


@numba_is_here
def test_inputs_of_every_kind(rng):
    x = mg.Tensor(rng.normal(size=(2, 3)).astype(np.float32), requires_grad=True, name="x")
    fixed = mg.Tensor(rng.normal(size=(2, 3)).astype(np.float32))
    weight = rng.normal(size=(3, 3))  # float64, on numpy and cpu

    def run(x, fixed, weight, scale, keep):
        return (x * fixed) @ weight * scale, None, x.max()

    found = compare_backends(run, x, fixed, weight, 2.0, None, rows=["cpu"], show=False)
    assert found.ok
    assert set(found.gradients["cpu"]) == {"x", "input 2"}
    assert x.grad is None
    reference = found.runs["numpy"].gradients["input 2"]
    assert reference.dtype == np.float64
    assert len(found.runs["numpy"].outputs) == 2


@numba_is_here
def test_a_module_itself_and_no_gradients():
    layer = nn.Linear(3, 2, rng=0)
    found = compare_backends(layer, np.ones((1, 3), np.float32), rows=["cpu"], show=False)
    assert set(found.gradients["cpu"]) == {"input 0", "weight", "bias"}
    with mg.no_grad():
        found = compare_backends(layer, np.ones((1, 3), np.float32), rows=["cpu"], show=False)
    assert [op.op for op in found.ops] == ["Linear"]
    assert found.gradients["cpu"] == {}
    assert found.ok


@numba_is_here
def test_processes_of_their_own_run_plain_python_and_the_simulated_card(tmp_path, monkeypatch):
    """Everything that is available without a card; the function stands in a file, as it must."""
    pytest.importorskip("greenlet")
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    (tmp_path / "functions_to_compare.py").write_text(
        "import os\n\ndef bend(x, w):\n    print('noise')\n    return (x @ w).tanh()\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    bend = importlib.import_module("functions_to_compare").bend
    x, w = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3), np.ones((3, 2), np.float32)
    found = compare_backends(bend, x, w, show=False)
    assert found.ok
    assert {"cpu", NO_JIT} <= set(found.compared)
    if "cuda" not in found.compared:
        assert SIMULATOR in found.compared
        assert found.runs[SIMULATOR].ops[0].row == "cuda"
        assert "no NVIDIA driver" in found.skipped["cuda"] or "driver" in found.skipped["cuda"]
    assert [op.op for op in found.ops] == ["MatMul", "Tanh", "Tanh", "MatMul"]
    quick = compare_backends(bend, x, w, rows=[NO_JIT], seconds=0.01, show=False)
    assert "stopped after 0.01 s" in quick.skipped[NO_JIT]
    with pytest.raises(mg.ArgumentError, match=r"was not compared: stopped"):
        quick.worst(NO_JIT)


@numba_is_here
def test_what_another_process_cannot_import_is_left_out_with_the_reason():
    found = compare_backends(lambda x: x.exp(), np.ones(2, np.float32), rows=[NO_JIT], show=False)
    assert "cannot import fn" in found.skipped[NO_JIT]
    assert "cannot import fn" in found.table()

    def in_main(x):
        return x.exp()

    in_main.__module__ = "__main__"
    found = compare_backends(in_main, np.ones(2, np.float32), rows=[NO_JIT], show=False)
    assert "put it into a file" in found.skipped[NO_JIT]


@numba_is_here
def test_an_error_of_the_other_process_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    (tmp_path / "functions_that_fail.py").write_text(
        "import os\n\ndef fail(x):\n    if os.environ.get('NUMBA_DISABLE_JIT'):\n"
        "        raise RuntimeError('only there')\n    return x.exp()\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    fail = importlib.import_module("functions_that_fail").fail
    found = compare_backends(fail, np.ones(2, np.float32), rows=[NO_JIT], show=False)
    assert found.skipped[NO_JIT] == "RuntimeError: only there"


def test_wrong_calls():
    with pytest.raises(mg.ArgumentError, match=r"unknown rows \['gpu'\]; there are numpy"):
        compare_backends(F.softmax, np.ones(2), rows=["gpu"])
    with pytest.raises(mg.ArgumentError, match="must return a Tensor"):
        compare_backends(lambda x: 3, np.ones(2), show=False)
    with pytest.raises(mg.ShapeError):
        compare_backends(lambda x: x @ x, np.ones((2, 3)), show=False)


def test_relative_errors():
    a = np.array([1.0, 2.0, np.inf])
    assert relative_error(a, a) == 0
    assert relative_error(a, np.array([1.0, 2.5, np.inf])) == pytest.approx(0.2)
    assert relative_error(a, np.array([1.0, 2.0, np.nan])) == np.inf
    assert relative_error(np.array([np.nan, 1.0]), np.array([1.0, 1.0])) == np.inf
    assert relative_error(np.full(2, np.nan), np.full(2, np.nan)) == 0
    assert relative_error(np.zeros(2), np.zeros(2)) == 0
    assert relative_error(np.ones(2), np.zeros(2)) == np.inf
    assert relative_error(np.ones(2), np.ones(3)) == np.inf
    assert relative_error(None, None) == 0
    assert relative_error(None, np.ones(1)) == np.inf
    assert relative_error(np.zeros((0, 2)), np.zeros((0, 2))) == 0
    assert relative_error(np.array([True]), np.array([False])) == np.inf
