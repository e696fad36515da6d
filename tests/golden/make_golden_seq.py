"""Write seq.npz: what PyTorch's encoder and decoder layers compute, for the tests to compare with.

    python -m tests.golden.make_golden_seq            write seq.npz beside this script
    python -m tests.golden.make_golden_seq --check    compute all again and compare with the file, write nothing

Run by hand, from the root of the repository, where torch is installed; the tests do not need it (README.md).
Names and layouts in the file are ours: weights (in, out), masks True where a token may be attended to.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as TF

from tests.golden import normal
from tests.golden.make_golden import DTYPES, asked_to_check, refuse_ill_conditioned, store

PATH = Path(__file__).parent / "seq.npz"
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
B, S, T, C, HEADS, HIDDEN = 3, 7, 5, 12, 3, 20
# ours -> torch's; weights of linear layers are transposed
PARTS = {
    "attn.c_attn.weight": "self_attn.in_proj_weight", "attn.c_attn.bias": "self_attn.in_proj_bias",
    "attn.c_proj": "self_attn.out_proj", "mlp.c_fc": "linear1", "mlp.c_proj": "linear2", "ln_1": "norm1",
    "ln_2": "norm2", "cross.c_attn.weight": "multihead_attn.in_proj_weight",
    "cross.c_attn.bias": "multihead_attn.in_proj_bias", "cross.c_proj": "multihead_attn.out_proj", "ln_3": "norm3",
}  # fmt: skip


def torch_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    return PARTS[name] if name in PARTS else f"{PARTS[stem]}.{kind}"


def names(kind: str) -> list[str]:
    """Our parameters of a block."""
    linear = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj", "ln_1", "ln_2"]
    linear += ["cross.c_attn", "cross.c_proj", "ln_3"] if kind == "decoder" else []
    return [f"{part}.{what}" for part in linear for what in ("weight", "bias")]


def tanh_gelu(x):
    return TF.gelu(x, approximate="tanh")


def layer(kind: str, norm: str, activation: str):
    make = torch.nn.TransformerEncoderLayer if kind == "encoder" else torch.nn.TransformerDecoderLayer
    function = TF.relu if activation == "relu" else tanh_gelu
    return make(C, HEADS, HIDDEN, dropout=0.0, activation=function, batch_first=True, norm_first=norm == "pre")


def make() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2017)
    inputs = {"x_encoder": normal(B, S, C)(rng), "x_decoder": normal(B, T, C)(rng), "memory": normal(B, S, C)(rng)}
    src_mask = np.arange(S) < np.array([7, 4, 1])[:, None]  # (B, S)
    tgt_mask = np.arange(T) < np.array([3, 5, 1])[:, None]  # (B, T)
    arrays = {**inputs, "src_mask": src_mask, "tgt_mask": tgt_mask}
    arrays |= {f"dy_{kind}": normal(B, n, C)(rng) for kind, n in (("encoder", S), ("decoder", T))}
    for kind in ("encoder", "decoder"):
        for name in names(kind):
            shape = layer(kind, "pre", "relu").get_parameter(torch_name(name)).shape[::-1]
            shift = 1.0 if name.startswith("ln_") and name.endswith("weight") else 0.0
            arrays[f"{kind}/{name}"] = normal(*shape, scale=0.3, shift=shift)(rng)
    for kind in ("encoder", "decoder"):
        for norm in ("pre", "post"):
            for activation in ("relu", "gelu"):
                for padded in (False, True):
                    case = f"{kind}-{norm}-{activation}-{'padded' if padded else 'full'}"
                    for dtype in DTYPES:
                        results = run(arrays, kind, norm, activation, padded, dtype)
                        arrays |= {f"{case}/{key}.{dtype}": value for key, value in results.items()}
    return arrays


def run(arrays, kind, norm, activation, padded, dtype) -> dict[str, np.ndarray]:
    """Output and all gradients of one layer."""
    module = layer(kind, norm, activation).to(getattr(torch, dtype)).train()
    for name in names(kind):
        module.get_parameter(torch_name(name)).data = torch.from_numpy(arrays[f"{kind}/{name}"].T.astype(dtype).copy())
    given = {"x": f"x_{kind}", **({"memory": "memory"} if kind == "decoder" else {})}
    leaves = {key: torch.from_numpy(arrays[name].astype(dtype)).requires_grad_() for key, name in given.items()}
    src_padding, tgt_padding = (torch.from_numpy(~arrays[name]) for name in ("src_mask", "tgt_mask"))
    if kind == "encoder":
        y = module(leaves["x"], src_key_padding_mask=src_padding if padded else None)
    else:
        padding = {"tgt_key_padding_mask": tgt_padding, "memory_key_padding_mask": src_padding} if padded else {}
        later = torch.ones(T, T, dtype=torch.bool).triu(1)
        y = module(leaves["x"], leaves["memory"], tgt_mask=later, **padding)
    y.backward(torch.from_numpy(arrays[f"dy_{kind}"].astype(dtype)))
    grads = {f"grad_{key}": leaf.grad.numpy() for key, leaf in leaves.items()}
    grads |= {f"grad_{name}": module.get_parameter(torch_name(name)).grad.numpy().T for name in names(kind)}
    return {"y": y.detach().numpy(), **grads}


def main():
    check, arrays = asked_to_check(__doc__), make()
    refuse_ill_conditioned(PATH, arrays, TOLERANCE["float32"])
    store(PATH, arrays, check)


if __name__ == "__main__":
    main()
