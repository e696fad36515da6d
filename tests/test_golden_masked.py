"""MaskedLM and EncoderClassifier against torch.nn.TransformerEncoder with the same weights (golden/masked.npz).

Rows of different lengths, padding masked: hidden vectors, logits, loss, and the gradient of every parameter.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt.models import ClassifierConfig, EncoderClassifier, EncoderConfig, MaskedLM

with np.load(Path(__file__).parent / "golden" / "masked.npz") as stored:
    ARRAYS = dict(stored)
CONFIG = json.loads(ARRAYS["config"].tobytes())
STATE = {key.removeprefix("state/"): value for key, value in ARRAYS.items() if key.startswith("state/")}
IDS, MASK, TARGETS, LABELS = (ARRAYS[name] for name in ("ids", "mask", "targets", "labels"))
TASKS = ("masked", "mean", "first")
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def golden_model(task, dtype):
    if task == "masked":
        model = MaskedLM(EncoderConfig(**CONFIG["sizes"]), seed=0)
    else:
        settings = {"classes": ("a", "b", "c"), "pooling": task, "class_weights": CONFIG["class_weights"]}
        model = EncoderClassifier(ClassifierConfig(**CONFIG["sizes"], **settings), seed=0)
        model.head.load_state_dict({name: ARRAYS[f"head/{task}.{name}"] for name in ("weight", "bias")})
    model.encoder.load_state_dict(STATE)
    return model.astype(dtype)


def close(actual, key, dtype):
    expected = ARRAYS[f"{key}.{dtype}"]
    assert actual.shape == expected.shape, key
    assert actual.dtype == expected.dtype == dtype, key
    error, scale = np.abs(actual - expected).max(), np.abs(expected).max()
    assert error <= TOLERANCE[dtype] * scale, f"{key}: off by {error:.3g}, allowed {TOLERANCE[dtype] * scale:.3g}"


def targets_of(task):
    return TARGETS if task == "masked" else LABELS


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("task", TASKS)
def test_logits_and_loss(task, dtype):
    model = golden_model(task, dtype)
    logits, loss = model(IDS, targets_of(task), mask=MASK)
    close(logits.numpy()[MASK] if task == "masked" else logits.numpy(), f"{task}/logits", dtype)
    close(loss.numpy(), f"{task}/loss", dtype)
    if task == "masked":
        close(model.encoder(IDS, MASK).numpy()[MASK], "masked/hidden", dtype)


@pytest.mark.parametrize("task", TASKS)
def test_gradients_of_the_cpu_row(task):
    if mg.backends()["cpu"] is not True:
        pytest.skip("no cpu row here")
    model = golden_model(task, "float32")
    with mg.use("cpu"):
        _, loss = model(IDS, targets_of(task), mask=MASK)
        loss.backward()
    for name, p in model.named_parameters():
        close(p.grad, f"{task}/grad/{name.removeprefix('encoder.')}", "float32")


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("way", ["forward", "loss_sum", "mask from pad_id"])
def test_every_gradient(task, dtype, way):
    """forward works out all logits, loss_sum those of the blanks only; both have the gradients of torch."""
    model = golden_model(task, dtype)
    if way == "forward":
        _, loss = model(IDS, targets_of(task), mask=MASK)
    else:
        total, count = model.loss_sum(IDS, targets_of(task), mask=MASK if way == "loss_sum" else None)
        loss = total / count
    loss.backward()
    close(loss.numpy(), f"{task}/loss", dtype)
    names = {name.removeprefix("encoder."): p.grad for name, p in model.named_parameters()}
    assert set(names) == set(STATE) | (set() if task == "masked" else {"head.weight", "head.bias"})
    for name, grad in names.items():
        close(grad, f"{task}/grad/{name}", dtype)
