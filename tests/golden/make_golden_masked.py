"""Write masked.npz: what PyTorch computes for an encoder with padding, for a masked LM and for a classifier on it.

    python -m tests.golden.make_golden_masked            write the file beside this script
    python -m tests.golden.make_golden_masked --check    compute it again and compare, write nothing

The reference is torch.nn.TransformerEncoder (pre-norm, GELU in its tanh form, a final layer norm, padding by
src_key_padding_mask) between two torch.nn.Embedding and the transposed token table as head; the class weights are those
of torch.nn.functional.cross_entropy. Gradients come back under our names and in our (in, out) layout.
"""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as TF

from tests.golden import normal
from tests.golden.make_golden import DTYPES, FOLDER, as_json, asked_to_check, refuse_ill_conditioned, store

SIZES = {"vocab_size": 23, "block_size": 12, "n_layer": 2, "n_head": 3, "n_embd": 12, "mask_id": 22, "pad_id": 21}
CLASSES = {"mean": 3, "first": 3}  # pooling -> classes
CLASS_WEIGHTS = (0.5, 1.0, 2.5)
LENGTHS = (11, 4, 7, 1)  # of the rows; what is left of 11 tokens is padding
TOLERANCE = 1e-5


def shapes():
    """Our parameter names -> shapes."""
    V, T, C = SIZES["vocab_size"], SIZES["block_size"], SIZES["n_embd"]
    result = {"wte.weight": (V, C), "wpe.weight": (T, C)}
    for i in range(SIZES["n_layer"]):
        for name, shape in {
            "ln_1.weight": (C,), "ln_1.bias": (C,), "attn.c_attn.weight": (C, 3 * C), "attn.c_attn.bias": (3 * C,),
            "attn.c_proj.weight": (C, C), "attn.c_proj.bias": (C,), "ln_2.weight": (C,), "ln_2.bias": (C,),
            "mlp.c_fc.weight": (C, 4 * C), "mlp.c_fc.bias": (4 * C,), "mlp.c_proj.weight": (4 * C, C),
            "mlp.c_proj.bias": (C,),
        }.items():  # fmt: skip
            result[f"h.{i}.{name}"] = shape
    return result | {"ln_f.weight": (C,), "ln_f.bias": (C,)}


# ours -> theirs, in a layer of nn.TransformerEncoder
LAYER = {
    "ln_1": "norm1", "ln_2": "norm2", "attn.c_attn.weight": "self_attn.in_proj_weight",
    "attn.c_attn.bias": "self_attn.in_proj_bias", "attn.c_proj": "self_attn.out_proj", "mlp.c_fc": "linear1",
    "mlp.c_proj": "linear2",
}  # fmt: skip


def theirs(name):
    if name.startswith("ln_f"):
        return name.replace("ln_f", "encoder.norm")
    if not name.startswith("h."):
        return name
    _, i, rest = name.split(".", 2)
    ours = next(key for key in LAYER if rest.startswith(key))
    return f"encoder.layers.{i}.{LAYER[ours]}{rest.removeprefix(ours)}"


def turned(name, array):
    """Our matrices are (in, out), torch's (out, in); tables have the same layout in both."""
    return array.T if array.ndim == 2 and not name.startswith(("wte", "wpe")) else array


class Reference(torch.nn.Module):
    def __init__(self):
        super().__init__()
        C = SIZES["n_embd"]
        self.wte, self.wpe = torch.nn.Embedding(SIZES["vocab_size"], C), torch.nn.Embedding(SIZES["block_size"], C)
        layer = torch.nn.TransformerEncoderLayer(
            C, SIZES["n_head"], 4 * C, dropout=0.0, activation=partial(TF.gelu, approximate="tanh"), batch_first=True,
            norm_first=True,
        )  # fmt: skip
        self.encoder = torch.nn.TransformerEncoder(
            layer, SIZES["n_layer"], norm=torch.nn.LayerNorm(C), enable_nested_tensor=False
        )

    def forward(self, ids, mask):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        return self.encoder(x, src_key_padding_mask=~mask)


def make_masked():
    rng = np.random.default_rng(1907)
    state = {}
    for name, shape in shapes().items():
        shift = 1.0 if "ln_" in name and name.endswith("weight") else 0.0
        state[name] = normal(*shape, scale=0.3, shift=shift)(rng)
    heads = {pooling: (normal(SIZES["n_embd"], k, scale=0.3)(rng), normal(k)(rng)) for pooling, k in CLASSES.items()}
    mask = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    ids = np.where(mask, rng.integers(0, 21, mask.shape), SIZES["pad_id"])
    learned = mask & (rng.random(mask.shape) < 0.4)
    learned[:, 0] = True
    targets = np.where(learned, rng.integers(0, 21, mask.shape), -100)
    ids[learned & (rng.random(mask.shape) < 0.8)] = SIZES["mask_id"]
    labels = np.array([2, 0, 1, 2])
    arrays = {"config": as_json({"sizes": SIZES, "class_weights": CLASS_WEIGHTS}), "ids": ids, "mask": mask}
    arrays |= {"targets": targets, "labels": labels}
    arrays |= {f"state/{name}": array for name, array in state.items()}
    for pooling, (weight, bias) in heads.items():
        arrays |= {f"head/{pooling}.weight": weight, f"head/{pooling}.bias": bias}

    for dtype in DTYPES:
        for task in ("masked", *CLASSES):
            model = Reference().to(getattr(torch, dtype)).train()  # no dropout; eval mode would take another path
            own = dict(model.named_parameters())
            for name, array in state.items():
                own[theirs(name)].data = torch.from_numpy(np.ascontiguousarray(turned(name, array)).astype(dtype))
            hidden = model(torch.from_numpy(ids), torch.from_numpy(mask))  # (B, T, C)
            head = []
            if task == "masked":
                out = hidden @ model.wte.weight.T  # (B, T, V)
                loss = TF.cross_entropy(out.reshape(-1, out.shape[-1]), torch.from_numpy(targets).reshape(-1))
                arrays[f"masked/hidden.{dtype}"] = hidden.detach().numpy()[mask]  # of tokens alone (n, C)
                arrays[f"masked/logits.{dtype}"] = out.detach().numpy()[mask]
            else:
                head = [torch.from_numpy(part.astype(dtype)).requires_grad_() for part in heads[task]]
                m = torch.from_numpy(mask)[..., None]
                pooled = hidden[:, 0] if task == "first" else (hidden * m).sum(1) / m.sum(1)
                out = pooled @ head[0] + head[1]  # (B, K)
                weights = torch.tensor(CLASS_WEIGHTS, dtype=out.dtype)
                loss = TF.cross_entropy(out, torch.from_numpy(labels), weight=weights)
                arrays[f"{task}/logits.{dtype}"] = out.detach().numpy()
            loss.backward()
            arrays[f"{task}/loss.{dtype}"] = loss.detach().numpy()
            for name in state:
                grad = turned(name, own[theirs(name)].grad.numpy())
                arrays[f"{task}/grad/{name}.{dtype}"] = np.ascontiguousarray(grad)
            for name, part in zip(("weight", "bias"), head, strict=False):
                arrays[f"{task}/grad/head.{name}.{dtype}"] = part.grad.numpy()
    return arrays


def main():
    check, path = asked_to_check(__doc__), FOLDER / "masked.npz"
    arrays = make_masked()
    refuse_ill_conditioned(path, arrays, TOLERANCE)
    store(path, arrays, check)


if __name__ == "__main__":
    main()
