"""SGD, Adam, AdamW and clipping against PyTorch: ten steps with prescribed gradients (golden/optim.npz)."""

import json
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn, optim

with np.load(Path(__file__).parent / "golden" / "optim.npz") as stored:
    ARRAYS = dict(stored)
CASES = json.loads(ARRAYS["cases"].tobytes())
NAMES = ("w", "b", "s")
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def assert_close(actual, expected, tolerance, what):
    """max|actual - expected| <= tolerance * max|expected|, same shape and dtype."""
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, PyTorch has {expected.shape}"
    assert actual.dtype == expected.dtype, f"{what}: dtype {actual.dtype}, PyTorch has {expected.dtype}"
    error, scale = np.abs(actual - expected).max(), np.abs(expected).max()
    assert error <= tolerance * scale, f"{what}: off by {error:.3g}, allowed {tolerance * scale:.3g}"


def set_gradient(parameter, grad):
    """The gradient of sum(p * g) is g: it arrives in .grad the way every gradient does."""
    parameter.grad = None
    (parameter * mg.Tensor(grad.astype(parameter.dtype))).sum().backward()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("run", CASES["runs"])
def test_ten_steps(run, dtype):
    """Parameters after each step; the gradients change in size and some entries of them are zero."""
    options = dict(CASES["runs"][run])
    parameters = {name: nn.Parameter(ARRAYS[f"start/{name}"].astype(dtype)) for name in NAMES}
    groups, undecayed = options.pop("groups", None), options.pop("undecayed", None)
    params = list(parameters.values())
    if groups is not None:
        params = [{"params": [parameters[name] for name in names]} for names in groups]
        params[undecayed]["weight_decay"] = 0.0
    optimizer = getattr(optim, run.split("-")[0])(params, **options)
    for step in range(10):
        for name, parameter in parameters.items():
            set_gradient(parameter, ARRAYS[f"grads/{name}"][step])
        optimizer.step()
        for name, parameter in parameters.items():
            expected = ARRAYS[f"{run}/{name}.{dtype}"][step]
            assert_close(parameter.numpy(), expected, TOLERANCE[dtype], f"{name} after step {step + 1}")


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("clip", CASES["clips"])
def test_clip_grad_norm(clip, dtype):
    """The norm before clipping is returned; all gradients shrink by one common factor."""
    parameters = {name: nn.Parameter(np.zeros(ARRAYS[f"start/{name}"].shape, dtype)) for name in NAMES}
    for name, parameter in parameters.items():
        set_gradient(parameter, ARRAYS[f"{clip}/grad_{name}"])
    norm = optim.clip_grad_norm_(parameters.values(), CASES["clips"][clip])
    assert isinstance(norm, float)
    assert norm == pytest.approx(float(ARRAYS[f"{clip}/norm.{dtype}"]), rel=TOLERANCE[dtype], abs=0)
    for name, parameter in parameters.items():
        expected = ARRAYS[f"{clip}/clipped_{name}.{dtype}"]
        assert_close(parameter.grad, expected, TOLERANCE[dtype], f"clipped gradient of {name}")
