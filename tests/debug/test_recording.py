"""A recorded backward pass is backward itself, and says of each op where it ran and which box it is."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt.models import GPT, GPTConfig

CONFIG = GPTConfig(vocab_size=11, block_size=6, n_layer=2, n_head=2, n_embd=8)
IDS = np.arange(12).reshape(2, 6) % 11


def leaf(value, name):
    return mg.Tensor(np.array(value), requires_grad=True, name=name)


def recorded(model):
    with mg.debug.module_calls(model) as calls:
        _, loss = model(IDS, IDS)
    return mg.debug.record_backward(loss, model, calls), loss


def numbers(array):
    return [[float(text) for text in row] for row in array["rows"]]


def test_gradients_are_those_of_backward():
    model, plain = GPT(CONFIG, seed=0), GPT(CONFIG, seed=0)
    view, loss = recorded(model)
    plain(IDS, IDS)[1].backward()
    for (name, p), q in zip(plain.named_parameters(), model.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad, q.grad, err_msg=name)
    with pytest.raises(mg.GraphError, match="second time"):
        loss.backward()  # it was freed, as backward() does
    after = {i["name"]: i["after"] for step in view.steps for i in step["inputs"] if i["leaf"]}
    np.testing.assert_allclose(
        numbers(after["ln_f.bias"]), [dict(plain.named_parameters())["ln_f.bias"].grad], rtol=1e-4
    )


def test_where_each_op_ran_and_its_box():
    view, _ = recorded(GPT(CONFIG, seed=0))
    step = next(step for step in view.steps if "h.0.attn.c_attn.weight" in step["text"])
    assert step["where"].startswith("in h.0.attn.c_attn, at test_recording.py:")
    assert step["where"].endswith(": _, loss = model(IDS, IDS)")
    boxes = view.graph.nodes
    assert boxes[step["box"]]["label"] == f"{step['text'].split(' = ')[0]} = Linear"
    assert [boxes[i["box"]]["label"] for i in step["inputs"]][1:] == ["h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias"]
    assert boxes[step["inputs"][0]["box"]]["label"] == f"{step['inputs'][0]['name']} = LayerNorm"
    assert not any("Label" in step["text"] for step in view.steps)  # names for observers are no ops


def test_ops_of_a_module_in_one_box():
    model = GPT(GPTConfig(vocab_size=11, block_size=6, n_layer=8, n_head=2, n_embd=8), seed=0)
    with pytest.raises(mg.ArgumentError, match=r"at most 150 can be read.*record_backward\(loss, model, calls\)"):
        mg.debug.record_backward(model(IDS, IDS)[1], model)
    assert all(p.grad is None for p in model.parameters())  # refused before anything ran
    view, _ = recorded(model)
    labels = [node["label"] for node in view.graph.nodes]
    mlps = {labels[step["box"]] for step in view.steps if "h.3.mlp.c_fc.weight" in step["text"]}
    assert mlps <= {"h.3", "h.3.mlp", "h.3.mlp.c_fc", "%30 = LinearGELU"}
    grouped = [node["label"] for node in view.graph.nodes if node["kind"] == "group"]
    assert grouped
    assert not any("=" in label for label in grouped)


def test_what_waits_for_its_turn_and_what_was_summed():
    x, b = leaf([[1.0, 2.0], [3.0, 4.0]], "x"), leaf([10.0, 20.0], "b")
    y = x + b
    view = mg.debug.record_backward((y * y).sum())
    (mul,) = [step for step in view.steps if "Mul" in step["text"]]
    first, second = mul["inputs"]
    assert (first["before"], numbers(first["after"])) == (None, [[11.0, 22.0], [13.0, 24.0]])
    assert numbers(second["after"]) == [[22.0, 44.0], [26.0, 48.0]]
    add = view.steps[-1]
    assert [i["summed"] for i in add["inputs"]] == [[], [0]]
    assert numbers(add["inputs"][1]["after"]) == [[48.0, 92.0]]


def test_a_label_changes_neither_names_nor_numbers():
    x = leaf([1.0, 2.0], "x")
    with mg.debug.module_calls() as calls:
        loss = F.label((F.label(x, "in") * F.label(x * 3.0, "tripled")).sum(), "loss")
    steps = list(mg.debug.backward_steps(loss, calls=calls, retain_graph=True))
    assert [step.application for step in steps] == [
        "%4 = Sum(%3)", "%3 = Mul(%1, %2)", "%2 = Mul(x, a)", "%1 = Label(x)",
    ]  # fmt: skip
    assert [step.number for step in steps] == [1, 2, 3, 4]
    assert steps[0].total == 4
    np.testing.assert_array_equal(x.grad, [6.0, 12.0])
    assert len(mg.debug.record_backward(loss, calls=calls).steps) == 4


def test_refused():
    with pytest.raises(mg.ArgumentError, match=r"record_backward\(\) needs a Tensor, got float"):
        mg.debug.record_backward(1.0)
    with pytest.raises(mg.GraphError, match="nothing to step through"):
        mg.debug.record_backward(leaf(1.0, "x"))
    with pytest.raises(mg.GraphError, match="no graph"):
        mg.debug.record_plain_recursion(leaf(1.0, "x"))
    with pytest.raises(mg.GraphError, match="single number"):
        mg.debug.record_backward(leaf([1.0, 2.0], "x") * 2.0)


def test_plain_recursion_step_by_step():
    wrong, right = mg.debug.recursion_example().views()
    assert [step["text"] for step in wrong.steps] == [
        "%2 = Mul(%1, %1) hands on to %1",
        "%1 = Mul(x, a) hands on to x",
        "%2 = Mul(%1, %1) hands on to %1",
        "%1 = Mul(x, a) hands on to x",
    ]
    handed = [(numbers(step["inputs"][0]["gradient"]), numbers(step["inputs"][0]["after"])) for step in wrong.steps]
    assert handed == [([[6]], [[6]]), ([[12]], [[12]]), ([[6]], [[12]]), ([[24]], [[36]])]
    assert [step["text"] for step in right.steps] == ["%2 = Mul(%1, %1)", "%1 = Mul(x, a)"]
    assert numbers(right.steps[-1]["inputs"][0]["after"]) == [[24]]
    shown = mg.debug.recursion_example()._repr_html_()
    assert shown.count('class="mg-view"') == 2
    assert "x.grad = 12 + 24 = 36" in shown


def test_plain_recursion_through_several_outputs_and_tables():
    cell = leaf(np.full((1, 8), 0.5), "a")
    h, c = F.lstm_cell(cell, leaf(np.ones((1, 2)), "c0"))
    chain = (h.sum() + c.sum()).exp()
    found = mg.debug.plain_recursion(chain)
    assert set(found) == {"a", "c0"}
    table = leaf(np.arange(6.0).reshape(3, 2), "table")
    looked = F.embedding(np.array([2, 0, 2]), table * 2.0).sum()
    np.testing.assert_array_equal(mg.debug.plain_recursion(looked)["table"], [[2, 2], [0, 0], [4, 4]])
