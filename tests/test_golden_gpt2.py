"""The whole model against the GPT-2 of Hugging Face Transformers (golden/gpt2.npz).

A tiny GPT-2 with random weights far from the usual start: logits, loss, every gradient, and the losses of ten
AdamW steps. In float64 both sides round so little that a wrong term anywhere would show.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from minigpt import optim
from minigpt.models import GPT, GPTConfig

with np.load(Path(__file__).parent / "golden" / "gpt2.npz") as stored:
    ARRAYS = dict(stored)
CONFIG = json.loads(ARRAYS["config"].tobytes())
STATE = {key.removeprefix("state/"): value for key, value in ARRAYS.items() if key.startswith("state/")}
TOLERANCE = {
    "float32": {"logits": 1e-4, "loss": 1e-5, "grad": 1e-3, "losses": 1e-4},
    "float64": {"logits": 1e-9, "loss": 1e-9, "grad": 1e-9, "losses": 1e-9},
}


def assert_close(actual, expected, tolerance, what):
    """max|actual - expected| <= tolerance * max|expected|, same shape and dtype."""
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, Transformers has {expected.shape}"
    assert actual.dtype == expected.dtype, f"{what}: dtype {actual.dtype}, Transformers has {expected.dtype}"
    error, scale = np.abs(actual - expected).max(), np.abs(expected).max()
    assert error <= tolerance * scale, f"{what}: off by {error:.3g}, allowed {tolerance * scale:.3g}"


def golden_model(dtype):
    sizes = dict(CONFIG["model"])
    model = GPT(GPTConfig(block_size=sizes.pop("n_positions"), **sizes), seed=0)
    model.load_state_dict(STATE)
    model.astype(dtype)
    return model


@pytest.fixture(scope="module", params=TOLERANCE)
def after_backward(request):
    """(dtype, logits, loss, {parameter name: gradient}) of the model on the golden ids and targets."""
    model = golden_model(request.param)
    logits, loss = model(ARRAYS["ids"], ARRAYS["targets"])
    loss.backward()
    return request.param, logits, loss, {name: p.grad for name, p in model.named_parameters()}


def test_logits(after_backward):
    dtype, logits, _, _ = after_backward
    assert_close(logits.numpy(), ARRAYS[f"logits.{dtype}"], TOLERANCE[dtype]["logits"], "logits")


def test_loss(after_backward):
    dtype, _, loss, _ = after_backward
    assert_close(loss.numpy(), ARRAYS[f"losses.{dtype}"][0], TOLERANCE[dtype]["loss"], "loss")


def test_names(after_backward):
    *_, grads = after_backward
    assert set(grads) == set(STATE)


@pytest.mark.parametrize("name", STATE)
def test_gradient(after_backward, name):
    dtype, _, _, grads = after_backward
    assert_close(grads[name], ARRAYS[f"grad/{name}.{dtype}"], TOLERANCE[dtype]["grad"], name)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_ten_adamw_steps(dtype):
    model = golden_model(dtype)
    optimizer = optim.AdamW(model.parameters(), **CONFIG["adamw"])
    losses = []
    for _ in range(10):
        _, loss = model(ARRAYS["ids"], ARRAYS["targets"])
        model.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    expected = ARRAYS[f"losses.{dtype}"]
    assert_close(np.array(losses, dtype), expected, TOLERANCE[dtype]["losses"], "losses")
    assert losses[-1] < losses[0]
