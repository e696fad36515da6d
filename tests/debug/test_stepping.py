"""The stepper is backward() itself: same gradients, each op once, sums and additions told as they are."""

import io
import subprocess
import sys

import numpy as np
import pytest

import minigpt as mg
from minigpt.cli import main
from minigpt.debug.formula import formula
from minigpt.debug.stepping import summed_axes
from minigpt.models import GPT, GPTConfig

CONFIG = GPTConfig(vocab_size=11, block_size=6, n_layer=2, n_head=2, n_embd=8)
IDS = np.arange(12).reshape(2, 6) % 11


def tensor(shape, name):
    return mg.Tensor(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), requires_grad=True, name=name)


def test_the_gradients_are_those_of_backward():
    stepped, plain = GPT(CONFIG, seed=0), GPT(CONFIG, seed=0)
    steps = list(mg.debug.backward_steps(stepped(IDS, IDS)[1], stepped))
    plain(IDS, IDS)[1].backward()
    for (name, p), q in zip(plain.named_parameters(), stepped.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad, q.grad, err_msg=name)
    assert [step.number for step in steps] == list(range(1, steps[0].total + 1))
    leaves = {i.name for step in steps for i in step.inputs if i.leaf and i.gradient is not None}
    assert leaves == {name for name, _ in plain.named_parameters()}
    uses = [i for step in steps for i in step.inputs if i.name == "wte.weight"]  # head and embedding: tied
    assert [i.before is None for i in uses] == [True, False]
    np.testing.assert_array_equal(uses[-1].after, dict(plain.named_parameters())["wte.weight"].grad)


@pytest.mark.parametrize(
    ("shape", "result", "axes"),
    [((3,), (2, 3), (0,)), ((2, 1), (2, 3), (1,)), ((1, 1), (1, 3), (1,)), ((), (2, 3), (0, 1)), ((2, 3), (2, 3), ())],
)
def test_axes_that_broadcasting_repeated(shape, result, axes):
    assert summed_axes(shape, result) == axes
    a, b = tensor(shape, "a"), tensor(result, "b")
    first = next(s for s in mg.debug.backward_steps((a + b).sum()) if s.op == "Add")
    assert first.inputs[0].summed == axes
    np.testing.assert_array_equal(first.inputs[0].gradient, np.ones(result).sum(axis=axes).reshape(shape))


def test_a_bias_is_summed_over_rows():
    x, w, b = tensor((2, 4, 3), "x"), tensor((3, 5), "w"), tensor((5,), "b")
    steps = {s.op: s for s in mg.debug.backward_steps(mg.functional.linear(x, w, b).sum())}
    assert [i.summed for i in steps["Linear"].inputs] == [(), (), (0, 1)]


def test_a_leaf_used_twice_by_one_op_is_added_to_twice():
    x = tensor((2,), "x")
    steps = list(mg.debug.backward_steps((x * x).sum()))
    first, second = steps[-1].inputs
    assert first.before is None
    np.testing.assert_array_equal(first.after, [1.0, 2.0])
    np.testing.assert_array_equal(second.before, [1.0, 2.0])
    np.testing.assert_array_equal(second.after, [2.0, 4.0])


def test_what_was_yielded_does_not_change_later():
    x = tensor((3,), "x")
    y = x * 2.0
    steps, seen = [], []
    for step in mg.debug.backward_steps((y + y * y).sum()):
        steps.append(step)
        seen.append([g.copy() for _, g in step.outputs if g is not None])
    for step, before in zip(steps, seen, strict=True):
        for (_, now), then in zip(step.outputs, before, strict=True):
            np.testing.assert_array_equal(now, then)


def test_stopping_early_leaves_what_was_added_so_far():
    x, b = tensor((2,), "x"), tensor((2,), "b")
    for step in mg.debug.backward_steps(((x * 2.0) + b).sum()):
        if step.op == "Add":
            break
    assert x.grad is None
    np.testing.assert_array_equal(b.grad, [1.0, 1.0])


def test_text_and_names():
    x = mg.Tensor(np.ones(2), requires_grad=True)
    y = (x * mg.Tensor(np.ones(2), requires_grad=True)).sum()
    text = "\n".join(map(str, mg.debug.backward_steps(y)))
    assert "step 1 of 2: %2 = Sum(%1)" in text
    assert "%1 = Mul(a, b)" in text
    assert "y = a * b;  da = dy * b, db = dy * a" in text


def test_formulas_come_from_the_docstrings():
    from minigpt import ops

    assert formula(ops.Softmax).splitlines()[-1] == "Backward: dx = y * (dy - sum_j dy_j y_j)"
    assert "recomputed from lse" not in formula(ops.Softmax)
    assert formula(ops.Attention).count("dq = scale") == 1
    assert all(formula(op) for op in vars(ops).values() if isinstance(op, type) and op.__doc__ and op is not mg.Op)

    class Mine(mg.Op):
        pass

    assert formula(Mine) == ""  # not the docstring of Op


def test_what_cannot_be_stepped_through():
    with pytest.raises(mg.GraphError, match="nothing led to this tensor"):
        list(mg.debug.backward_steps(mg.Tensor(1.0, requires_grad=True)))
    with pytest.raises(mg.ArgumentError, match="needs a Tensor, got float"):
        list(mg.debug.backward_steps(1.0))
    with pytest.raises(mg.GraphError, match="single number"):
        list(mg.debug.backward_steps(tensor((2,), "x") * 2.0))


def test_plain_recursion_is_wrong_where_a_tensor_is_used_twice():
    example = mg.debug.recursion_example()
    assert (example.right, example.plain) == (24.0, 36.0)
    assert example.finite_difference == pytest.approx(24.0)
    assert "x.grad = 12 + 24 = 36" in str(example)
    x = tensor((2,), "x")
    chain = (x * 3.0).exp().sum()
    np.testing.assert_allclose(mg.debug.plain_recursion(chain)["x"], 3 * np.exp(3 * x.data))  # a chain: right
    chain.backward()
    np.testing.assert_allclose(x.grad, 3 * np.exp(3 * x.data))


def test_unused_parameters():
    model = GPT(CONFIG, seed=0)
    assert mg.debug.unused_parameters(model(IDS, IDS)[1], model) == []
    hidden = model.h[0](model.wte(IDS))
    unused = mg.debug.unused_parameters(hidden.sum(), model)
    assert {"wpe.weight", "h.1.attn.c_attn.weight", "ln_f.weight"} < set(unused)
    assert "h.0.mlp.c_fc.weight" not in unused
    cut = (model.h[1](hidden.detach())).sum()
    assert "h.0.mlp.c_fc.weight" in mg.debug.unused_parameters(cut, model)
    with mg.no_grad(), pytest.raises(mg.GraphError, match="no graph"):
        mg.debug.unused_parameters(model(IDS, IDS)[1], model)
    loss = model(IDS, IDS)[1]
    loss.backward()
    with pytest.raises(mg.GraphError, match="freed"):
        mg.debug.unused_parameters(loss, model)


# --- the command ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", ["neuron", "broadcast", "softmax", "attention"])
def test_examples_from_a_pipe(example, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["step", "--example", example]) == 0
    assert "step 1 of " in (shown := capsys.readouterr().out)
    assert f"step {(n := shown.split()[3].rstrip(':'))} of {n}" in shown


def test_keys(capsys, monkeypatch):
    answers = iter(["what?", "2", "q"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    assert main(["step"]) == 0
    assert capsys.readouterr().out.count("step ") == 3


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.py"

    def step(text, *more):
        path.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "minigpt", "step", str(path), *more]
        return subprocess.run(command, capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL, timeout=60)

    head = "import minigpt as mg\nx = mg.Tensor([1.0, 2.0], requires_grad=True, name='x')\n"
    assert "%2 = Sum(%1)" in step(head + "loss = (x * x).sum()").stdout
    assert "%1 = Sum(x)" in step(head + "mine = x.sum()", "--loss", "mine").stdout
    other = step(head + "mine = x.sum()")
    assert other.returncode == 2
    assert other.stderr == (
        "error: mine.py leaves no Tensor in the variable 'loss'; it has the Tensors x, mine: choose with --loss\n"
    )
    broken = step("a = 1\nb = a / 0\n")
    assert broken.stderr == "error: mine.py stopped in line 2: ZeroDivisionError: division by zero\n"
    deep = step("import json\n\njson.loads('{')\n")  # the error is raised in another file
    assert deep.stderr.startswith("error: mine.py stopped in line 3: json.decoder.JSONDecodeError")
    assert step("loss = (").stderr.startswith("error: mine.py stopped: ")
    used = step(head + "loss = x.sum()\nloss.backward()")
    assert used.returncode == 2
    assert "Traceback" not in used.stderr


def test_a_file_finds_its_neighbours_as_it_does_without_us(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    path_before, argv_before = list(sys.path), list(sys.argv)
    (tmp_path / "beside_mine.py").write_text("FACTOR = 3.0\n", encoding="utf-8")
    path = tmp_path / "mine.py"
    path.write_text(
        "import sys\nimport minigpt as mg\nfrom beside_mine import FACTOR\nassert sys.argv == [__file__]\n"
        "x = mg.Tensor([1.0, 2.0], requires_grad=True, name='x')\nloss = (x * FACTOR).sum()\n",
        encoding="utf-8",
    )
    monkeypatch.delitem(sys.modules, "beside_mine", raising=False)
    assert main(["step", str(path)]) == 0, capsys.readouterr().err
    assert "Sum" in capsys.readouterr().out
    sys.modules.pop("beside_mine", None)
    assert (sys.path, sys.argv) == (path_before, argv_before)


def test_no_such_file(capsys):
    assert main(["step", "nowhere.py"]) == 2
    assert "there is no file 'nowhere.py'" in capsys.readouterr().err
