"""EncoderBlock and DecoderBlock against PyTorch's layers (golden/seq.npz): outputs and all gradients."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn
from minigpt.backend import backends

with np.load(Path(__file__).parent / "golden" / "seq.npz") as stored:
    ARRAYS = dict(stored)
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
HEADS, HIDDEN = 3, 20
CHOICES = (("encoder", "decoder"), ("pre", "post"), ("relu", "gelu"), ("full", "padded"))
CASES = ["-".join(case) for case in product(*CHOICES)]
ROWS = [row for row in ("numpy", "cpu") if backends()[row] is True]


def results(case, dtype):
    """Output, gradients of the inputs and of the parameters of our block, under the names of the file."""
    kind, norm, activation, padding = case.split("-")
    x = ARRAYS[f"x_{kind}"]
    make = nn.EncoderBlock if kind == "encoder" else nn.DecoderBlock
    block = make(x.shape[-1], HEADS, HIDDEN, norm=norm, activation=activation, rng=0)
    block.load_state_dict({k.split("/")[1]: a for k, a in ARRAYS.items() if k.startswith(f"{kind}/")})
    block.astype(dtype)
    src_mask, tgt_mask = (
        ARRAYS[name][:, None, None] if padding == "padded" else None for name in ("src_mask", "tgt_mask")
    )
    leaves = {"x": mg.Tensor(x.astype(dtype), requires_grad=True)}
    if kind == "encoder":
        y = block(leaves["x"], mask=src_mask)
    else:
        leaves["memory"] = mg.Tensor(ARRAYS["memory"].astype(dtype), requires_grad=True)
        y = block(leaves["x"], leaves["memory"], src_mask, tgt_mask)
    y.backward(ARRAYS[f"dy_{kind}"].astype(dtype))
    grads = {f"grad_{name}": leaf.grad for name, leaf in {**leaves, **dict(block.named_parameters())}.items()}
    return {"y": y.numpy(), **grads}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_block(case, dtype, row):
    with mg.use(row):
        found = results(case, dtype)
    wanted = {
        key.split("/")[1].removesuffix(f".{dtype}"): array
        for key, array in ARRAYS.items()
        if key.startswith(f"{case}/") and key.endswith(dtype)
    }
    assert set(found) == set(wanted)
    for name, reference in wanted.items():
        assert found[name].dtype == reference.dtype
        error, scale = np.abs(found[name] - reference).max(), np.abs(reference).max()
        assert error <= TOLERANCE[dtype] * scale, f"{name}: off by {error:.2g} of {scale:.2g}"
