"""RNN, LSTM and GRU against PyTorch with the same weights: outputs, states and every gradient. See golden/README.md."""

import json
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import nn
from minigpt.tensor import Tensor
from tests.golden import unpack

FILE = Path(__file__).parent / "golden" / "recurrent.npz"
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
ARRAYS = unpack(FILE)
CASES = json.loads(ARRAYS.pop("cases").tobytes())
ROWS = ["numpy", *(["cpu"] if mg.backends()["cpu"] is True else [])]


def assert_close(ours, golden, dtype, what):
    assert ours.shape == golden.shape, what
    worst, largest = np.abs(ours - golden).max(), np.abs(golden).max()
    assert worst <= TOLERANCE[dtype] * largest, f"{what}: max|Δ| {worst:.3g}, max|reference| {largest:.3g}"


def run(name, dtype):
    """Our side of a case: (outputs by name, gradients by name)."""
    case, prefix = CASES[name], f"{name}/"
    given = {k.removeprefix(prefix): a for k, a in ARRAYS.items() if k.startswith(prefix) and ".float" not in k}
    weights = {k: a for k, a in given.items() if "_l" in k}
    kind, *nonlinearity = case["kind"].split("-")
    options = {"nonlinearity": nonlinearity[0]} if nonlinearity else {}
    module = getattr(nn, kind)(given["x"].shape[2], given["dy"].shape[2], case["layers"], rng=0, **options)
    module.load_state_dict(weights)
    module.astype(dtype)
    leaves = {k: Tensor(given[k].astype(dtype), requires_grad=True) for k in ("x", "h0", "c0") if k in given}
    state = [leaves[k] for k in ("h0", "c0") if k in leaves]
    y, end = module(leaves["x"], None if not state else tuple(state) if len(state) > 1 else state[0], case["lengths"])
    ends = list(end) if isinstance(end, tuple) else [end]
    loss = (y * given["dy"].astype(dtype)).sum()
    for part, upstream in zip(ends, ("dh_n", "dc_n"), strict=False):
        loss = loss + (part * given[upstream].astype(dtype)).sum()
    loss.backward()
    outputs = {"y": y, **dict(zip(("h_n", "c_n"), ends, strict=False))}
    every = leaves | dict(module.named_parameters())
    return {k: t.numpy() for k, t in outputs.items()}, {k: t.grad for k, t in every.items()}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", CASES)
def test_outputs_states_and_gradients(name, dtype, row):
    with mg.use(row):
        outputs, gradients = run(name, dtype)
    wanted = {k.split("/")[1].removesuffix(f".{dtype}"): a for k, a in ARRAYS.items()
              if k.startswith(f"{name}/") and k.endswith(dtype)}  # fmt: skip
    assert set(wanted) == {*outputs, *(f"grad_{k}" for k in gradients)}
    for key, golden in wanted.items():
        ours = gradients[key.removeprefix("grad_")] if key.startswith("grad_") else outputs[key]
        assert ours.dtype == dtype
        assert_close(ours, golden, dtype, key)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_cell_alone(dtype):
    """F.lstm_cell on pre-activations, the element-wise half of torch.nn.LSTMCell."""
    given = {k.split("/")[1]: a.astype(dtype) for k, a in ARRAYS.items() if k.startswith("LSTM-cell/")}
    leaves = {k: Tensor(given[k], requires_grad=True) for k in ("x", "h0", "c0", "weight_ih_l0", "weight_hh_l0")}
    bias = given["bias_ih_l0"] + given["bias_hh_l0"]
    a = F.linear(leaves["x"][:, 0], leaves["weight_ih_l0"], bias, transposed=True)  # (B, 4 hidden)
    a = a + F.linear(leaves["h0"][0], leaves["weight_hh_l0"], transposed=True)
    h, c = F.lstm_cell(a, leaves["c0"][0])
    ((h * (given["dy"][:, 0] + given["dh_n"][0])).sum() + (c * given["dc_n"][0]).sum()).backward()
    assert_close(h.numpy(), given[f"h_n.{dtype}"][0], dtype, "h")
    assert_close(c.numpy(), given[f"c_n.{dtype}"][0], dtype, "c")
    for name, leaf in leaves.items():
        assert_close(leaf.grad, given[f"grad_{name}.{dtype}"], dtype, name)
