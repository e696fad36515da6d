"""Named points against arrays of another program: PyTorch's GPT-2 by the names that its modules have there."""

import json
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt.debug import diff_runs
from minigpt.inspect import capture
from minigpt.models import GPT, GPTConfig

GOLDEN = Path(mg.__file__).parents[1] / "tests/golden"


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
