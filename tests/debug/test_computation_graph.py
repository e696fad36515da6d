"""The graph drawn is the graph that backward walks."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.models import GPT, GPTConfig

CONFIG = GPTConfig(vocab_size=11, block_size=6, n_layer=2, n_head=2, n_embd=8)
IDS = np.arange(12).reshape(2, 6) % 11


def leaf(value, name):
    return mg.Tensor(np.array(value), requires_grad=True, name=name)


def labels(view):
    name = {node["id"]: node["label"] for node in view.nodes}
    return sorted((name[a], name[b]) for a, b in view.edges)


def test_a_small_graph_with_values_and_gradients():
    x, w = leaf(3.0, "x"), leaf(2.0, "w")
    y = x * w + x
    y.backward(retain_graph=True)
    view = mg.debug.graph(y)
    assert labels(view) == [("Mul", "Add"), ("w", "Mul"), ("x", "Add"), ("x", "Mul")]
    lines = {node["label"]: node["lines"] for node in view.nodes}
    assert lines["Mul"] == ["6"]
    assert lines["x"] == ["3", "grad 3"]


def test_a_model_by_parameter_names_and_by_module_calls():
    model = GPT(CONFIG, seed=0)
    with mg.debug.module_calls(model) as calls:
        _, loss = model(IDS, IDS)
    whole = mg.debug.graph(loss, calls)
    names = {node["label"] for node in whole.nodes}
    assert {name for name, _ in model.named_parameters()} < names
    small = mg.debug.graph(loss, calls, most=20)
    assert len(small.nodes) <= 20
    assert {"h.0", "h.1"} & {node["label"] for node in small.nodes}


def test_depth_cuts_and_says_so():
    x = leaf(1.0, "x")
    y = x
    for _ in range(5):
        y = y * 2.0
    view = mg.debug.graph(y, depth=2)
    assert sum(node["label"] == "Mul" for node in view.nodes) < 5
    assert "cut" in view.note


def test_refusals():
    x = leaf(1.0, "x")
    with pytest.raises(mg.GraphError, match="no graph"):
        mg.debug.graph(x)
    with pytest.raises(mg.ArgumentError, match="needs a Tensor"):
        mg.debug.graph(1.0)
    y = x
    for _ in range(200):
        y = y * 1.5 + 1.0
    with pytest.raises(mg.ArgumentError, match="boxes, at most 150 can be read"):
        mg.debug.graph(y)
    y.backward()
    with pytest.raises(mg.GraphError, match="freed"):
        mg.debug.graph(y)
