"""Write the golden files: what PyTorch and Transformers compute, for the tests to compare with.

    python -m tests.golden.make_golden            write the .npz files beside this script
    python -m tests.golden.make_golden --check    compute all again and compare with the files, write nothing

Run by hand, from the root of the repository, where torch and transformers are installed; the tests need
neither (see README.md). Inputs are stored once, in float32; the float64 reference widens the same numbers.
"""

import argparse
import json
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as TF

from tests.golden import all_cases, few_values, normal

FOLDER = Path(__file__).parent
DTYPES = ("float32", "float64")


def as_json(description):
    """A description as an array of bytes, so that it can lie in an .npz without pickle."""
    return np.frombuffer(json.dumps(description).encode("utf-8"), np.uint8)


# ---- what torch is asked to compute


def decode_index(items):
    """[["slice", 0, None, 2], ["array", [0, 0]], ["int", 1], ["none"]] -> an index for NumPy."""
    kinds = {
        "slice": slice,
        "array": np.array,
        "int": int,
        "none": lambda: None,
        "ellipsis": lambda: Ellipsis,
    }
    return tuple(kinds[kind](*values) for kind, *values in items)


def getitem(x, index):
    """NumPy says which places the index picks (torch lacks negative steps and mixes ints differently)."""
    places = np.arange(x.numel()).reshape(x.shape)[decode_index(index)]
    return x.reshape(-1)[torch.from_numpy(np.array(places))]


def attention_mask(mask, causal, Tq, Tk):
    """Boolean (…, Tq, Tk), True = may attend: the given mask AND keys j <= i + Tk - Tq."""
    seen = torch.ones(Tq, Tk, dtype=torch.bool)
    seen = seen.tril(Tk - Tq) if causal else seen
    return seen if mask is None else seen & mask


def sdpa(q, k, v, mask=None, causal=False, scale=None):
    Tq, Tk = q.shape[-2], k.shape[-2]
    if mask is None and (not causal or Tq == Tk):
        return TF.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)
    seen = attention_mask(mask, causal, Tq, Tk)
    some = seen.any(-1, keepdim=True)
    if some.all():
        return TF.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale)
    # a row that may attend to nothing gives zeros: let it see all keys, so that nothing is NaN, then drop it
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    weights = torch.softmax(scores.masked_fill(~(seen | ~some), -torch.inf), -1)
    return weights.masked_fill(~some, 0.0) @ v


def multi_head_attention(
    x,
    c_attn_weight,
    c_proj_weight,
    n_head,
    context=None,
    mask=None,
    causal=False,
    return_weights=False,
    **bias,
):
    """torch.nn.MultiheadAttention with its weights taken from our layout: c_attn (C, 3C), c_proj (C, C)."""
    (B, Tq, C), Tk = x.shape, (x if context is None else context).shape[1]
    module = torch.nn.MultiheadAttention(C, n_head, bias=bool(bias), batch_first=True, dtype=x.dtype)
    state = {"in_proj_weight": c_attn_weight.T, "out_proj.weight": c_proj_weight.T}
    if bias:
        state |= {"in_proj_bias": bias["c_attn_bias"], "out_proj.bias": bias["c_proj_bias"]}
    blocked = ~attention_mask(mask, causal, Tq, Tk).expand(B, n_head, Tq, Tk).reshape(B * n_head, Tq, Tk)
    y, weights = torch.func.functional_call(
        module,
        state,
        (x, x, x) if context is None else (x, context, context),
        {"attn_mask": blocked, "average_attn_weights": False},
    )
    return (y, weights) if return_weights else y


def cross_entropy(logits, targets, reduction="mean", **kwargs):
    V = logits.shape[-1]
    loss = TF.cross_entropy(logits.reshape(-1, V), targets.long().reshape(-1), reduction=reduction, **kwargs)
    return loss.reshape(targets.shape) if reduction == "none" else loss


TORCH = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "matmul": lambda a, b: a @ b,
    "neg": lambda x: -x,
    "add_scalar": lambda x, c: x + c,
    "sub_scalar": lambda x, c: x - c,
    "mul_scalar": lambda x, c: x * c,
    "div_scalar": lambda x, c: x / c,
    "scalar_add": lambda x, c: c + x,
    "scalar_sub": lambda x, c: c - x,
    "scalar_mul": lambda x, c: c * x,
    "scalar_div": lambda x, c: c / x,
    "pow_scalar": lambda x, c: x**c,
    "mul_itself": lambda x: x * x,
    "matmul_itself": lambda x: x @ x.swapaxes(-1, -2),
    "getitem": getitem,
    "sum": lambda x, axis=None, keepdims=False: torch.sum(x, axis, keepdims),
    "mean": lambda x, axis=None, keepdims=False: torch.mean(x, axis, keepdims),
    "max": lambda x, axis=(), keepdims=False: torch.amax(x, axis, keepdims),
    "var": lambda x, axis=None, keepdims=False: torch.var(x, axis, correction=0, keepdim=keepdims),
    "exp": lambda x: torch.exp(x),
    "log": lambda x: torch.log(x),
    "sqrt": lambda x: torch.sqrt(x),
    "tanh": lambda x: torch.tanh(x),
    "reshape": lambda x, shape: x.reshape(shape),
    "transpose": lambda x, axes: x.permute(axes or tuple(range(x.ndim))[::-1]),
    "T": lambda x: x.permute(tuple(range(x.ndim))[::-1]),
    "swapaxes": lambda x, axes: x.swapaxes(*axes),
    "concatenate": lambda axis, **parts: torch.cat(tuple(parts.values()), axis),
    "stack": lambda axis, **parts: torch.stack(tuple(parts.values()), axis),
    "where": lambda condition, a, b: torch.where(condition, a, b),
    "F.linear": lambda x, weight, bias=None: TF.linear(x, weight.T, bias),
    "F.relu": lambda x: TF.relu(x),
    "F.gelu": lambda x, approximate: TF.gelu(x, approximate=approximate),
    "F.sigmoid": lambda x: torch.sigmoid(x),
    "F.tanh": lambda x: torch.tanh(x),
    "F.softmax": lambda x, axis: TF.softmax(x, axis),
    "F.log_softmax": lambda x, axis: TF.log_softmax(x, axis),
    "F.layer_norm": lambda x, weight=None, bias=None, eps=1e-5: TF.layer_norm(x, x.shape[-1:], weight, bias, eps),
    "F.embedding": lambda ids, weight: TF.embedding(ids.long(), weight),
    "F.cross_entropy": cross_entropy,
    "F.scaled_dot_product_attention": sdpa,
    "nn.MultiHeadAttention": multi_head_attention,
}


def view_of(base, view):
    """Make the described view; NumPy arrays, torch tensors and our Tensors all understand these two lines."""
    if view is None:
        return base
    if view[0] == "swapaxes":
        return base.swapaxes(view[1], view[2])
    return base[(slice(None),) * view[1] + (slice(None, None, view[2]),)]


# ---- computing the references


def run_case(function, bases, views, kwargs, seed, dtype):
    """One case in one dtype -> upstream gradients (always float32), outputs, gradients of the bases."""
    leaves, given = {}, {}
    for name, base in bases.items():
        kind = base.dtype.kind
        leaf = torch.from_numpy(base.astype({"f": dtype, "b": bool}.get(kind, np.int64)))
        given[name] = view_of(leaf.requires_grad_(kind == "f"), views.get(name))
        if kind == "f":
            leaves[name] = leaf
    outputs = TORCH[function](**given, **kwargs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    rng = np.random.default_rng(seed)
    upstreams = [normal(*out.shape)(rng) for out in outputs]
    torch.autograd.backward(outputs, [torch.from_numpy(u.astype(dtype)) for u in upstreams])
    results = {f"out{i}.{dtype}": out.detach().numpy() for i, out in enumerate(outputs)}
    results |= {f"grad_{name}.{dtype}": leaf.grad.numpy() for name, leaf in leaves.items()}
    return results | {f"upstream{i}": upstream for i, upstream in enumerate(upstreams)}


def make_functions():
    """All cases of `tests/golden/__init__.py` -> {array name: array}; "cases" describes them."""
    arrays, described = {}, []
    for function, label, inputs, kwargs in all_cases():
        case = f"{function}-{label}"
        seed = zlib.crc32(case.encode())
        rng = np.random.default_rng(seed)
        views = {name: made[1] for name, made in inputs.items() if isinstance(made, tuple)}
        bases = {name: (m[0] if isinstance(m, tuple) else m)(rng) for name, m in inputs.items()}
        results = bases
        for dtype in DTYPES:
            results = results | run_case(function, bases, views, kwargs, seed + 1, dtype)
        arrays |= {f"{case}/{key}": value for key, value in results.items()}
        entry = {"id": case, "function": function, "inputs": list(bases), "views": views, "kwargs": kwargs}
        described.append(entry)
    return arrays | {"cases": as_json(described)}


def make_optim():
    """Ten steps of each optimizer on parameters w, b, s with prescribed gradients; clipping by the norm."""
    rng = np.random.default_rng(20)
    shapes = {"w": (3, 4), "b": (5,), "s": (1,)}
    start = {name: normal(*shape)(rng) for name, shape in shapes.items()}
    # from step to step the gradients change in size by up to a factor of 100, and some are exactly zero
    sizes = 10 ** rng.uniform(-1, 1, 10)
    grads = {
        name: np.stack([few_values(*s)(rng) * normal(*s, scale=c)(rng) for c in sizes]) for name, s in shapes.items()
    }
    arrays = {f"start/{name}": value for name, value in start.items()}
    arrays |= {f"grads/{name}": value for name, value in grads.items()}  # (10, …)
    runs = {
        "SGD-plain": {"lr": 0.1},
        "SGD-weight_decay": {"lr": 0.1, "weight_decay": 0.05},
        "SGD-momentum": {"lr": 0.1, "momentum": 0.9},
        "SGD-momentum_weight_decay": {"lr": 0.03, "momentum": 0.5, "weight_decay": 0.2},
        "Adam-plain": {"lr": 0.01},
        "Adam-weight_decay": {"lr": 0.01, "weight_decay": 0.1},
        "Adam-betas_eps": {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-2},
        "AdamW-defaults": {"lr": 0.01},
        "AdamW-weight_decay": {"lr": 0.1, "weight_decay": 0.1, "betas": (0.9, 0.95), "eps": 1e-3},
        "AdamW-groups": {"lr": 0.1, "weight_decay": 0.1, "groups": [["w"], ["b", "s"]], "undecayed": 1},
    }
    for run, options in runs.items():
        for dtype in DTYPES:
            parameters = {n: torch.tensor(v.astype(dtype), requires_grad=True) for n, v in start.items()}
            given = {k: v for k, v in options.items() if k not in ("groups", "undecayed")}
            params = list(parameters.values())
            if "groups" in options:
                params = [{"params": [parameters[n] for n in names]} for names in options["groups"]]
                params[options["undecayed"]]["weight_decay"] = 0.0
            optimizer = getattr(torch.optim, run.split("-")[0])(params, **given)
            history = {name: [] for name in parameters}
            for step in range(len(sizes)):
                for name, p in parameters.items():
                    p.grad = torch.tensor(grads[name][step].astype(dtype))
                optimizer.step()
                for name, p in parameters.items():
                    history[name].append(p.detach().numpy().copy())
            arrays |= {f"{run}/{name}.{dtype}": np.stack(values) for name, values in history.items()}
    clips = {"clip-shrinks": (3, 1.0), "clip-leaves_alone": (3, 1000.0), "clip-tiny_norm": (1e-4, 1e-5)}
    for clip, (size, max_norm) in clips.items():
        gradients = {name: (size * grads[name][0] / sizes[0]).astype(np.float32) for name in shapes}
        arrays |= {f"{clip}/grad_{name}": value for name, value in gradients.items()}
        for dtype in DTYPES:
            parameters = [torch.zeros(shape, dtype=getattr(torch, dtype)) for shape in shapes.values()]
            for p, g in zip(parameters, gradients.values(), strict=True):
                p.grad = torch.tensor(g.astype(dtype))
            arrays[f"{clip}/norm.{dtype}"] = torch.nn.utils.clip_grad_norm_(parameters, max_norm).numpy()
            for name, p in zip(shapes, parameters, strict=True):
                arrays[f"{clip}/clipped_{name}.{dtype}"] = p.grad.numpy()
    described = {"runs": runs, "clips": {clip: max_norm for clip, (_, max_norm) in clips.items()}}
    return arrays | {"cases": as_json(described)}


def make_gpt2():
    """A tiny GPT-2 of Transformers: logits, loss, every gradient, and the losses of ten AdamW steps."""
    from transformers import GPT2Config, GPT2LMHeadModel

    V, block, C, layers, heads, B, T = 61, 16, 24, 3, 3, 3, 13
    dropouts = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    sizes = {"vocab_size": V, "n_positions": block, "n_layer": layers, "n_head": heads, "n_embd": C}
    config = GPT2Config(**sizes, **dropouts, attn_implementation="eager", bos_token_id=0, eos_token_id=0)
    rng = np.random.default_rng(1337)
    names = [name for name, _ in GPT2LMHeadModel(config).named_parameters()]
    tokens = rng.integers(0, V, (B, T + 1))
    ids, targets = tokens[:, :-1], tokens[:, 1:].copy()  # (B, T) each, the targets already shifted
    targets[0, -3:] = targets[2, 5] = -100  # places without a target
    training = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}
    arrays = {"ids": ids, "targets": targets, "config": as_json({"model": sizes, "adamw": training})}
    state = {}
    for dtype in DTYPES:
        model = GPT2LMHeadModel(config).to(getattr(torch, dtype)).train()
        for name in names:  # far from the usual start, so that no part is too quiet to be seen
            parameter = model.get_parameter(name)
            if name not in state:
                shift = 1.0 if ".ln_" in name and name.endswith("weight") else 0.0
                state[name] = normal(*parameter.shape, scale=0.2, shift=shift)(rng)
                arrays[f"state/{name.removeprefix('transformer.')}"] = state[name]
            parameter.data = torch.tensor(state[name].astype(dtype))
        model.tie_weights()
        optimizer = torch.optim.AdamW(model.parameters(), **training)
        losses = []
        for step in range(10):
            logits = model(torch.from_numpy(ids)).logits  # (B, T, V)
            loss = TF.cross_entropy(logits.reshape(-1, V), torch.from_numpy(targets).reshape(-1), ignore_index=-100)
            optimizer.zero_grad()
            loss.backward()
            if step == 0:
                arrays[f"logits.{dtype}"] = logits.detach().numpy()
                for name in names:
                    grad = model.get_parameter(name).grad.numpy().copy()
                    arrays[f"grad/{name.removeprefix('transformer.')}.{dtype}"] = grad
            optimizer.step()
            losses.append(loss.item())
        arrays[f"losses.{dtype}"] = np.array(losses, dtype)
    return arrays


def make_generate():
    """What Transformers' generate writes with the model of gpt2.npz, in float64.

    Greedy, plain and with a repetition penalty, for three prompts of different lengths at once; the four best
    hypotheses of beam search with their scores, with and without an end token.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    with np.load(FOLDER / "gpt2.npz") as stored:
        sizes = json.loads(stored["config"].tobytes())["model"]
        state = {key: stored[key] for key in stored.files if key.startswith("state/")}
        ids = stored["ids"]  # (3, 13)
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None)).double().eval()
    for name, array in state.items():
        model.get_parameter(f"transformer.{name.removeprefix('state/')}").data = torch.tensor(array.astype("float64"))
    model.tie_weights()
    padding, new = (0, 3, 1), 10
    prompts = torch.from_numpy(np.stack([np.pad(row[: 6 - p], (p, 0)) for p, row in zip(padding, ids, strict=True)]))
    seen = torch.arange(6) >= torch.tensor(padding)[:, None]  # (3, 6)
    arrays = {"prompts": prompts.numpy(), "padding": np.array(padding)}
    greedy = {"do_sample": False, "max_new_tokens": new, "pad_token_id": 0}
    for penalty in (1.0, 1.3, 0.8):
        out = model.generate(prompts, attention_mask=seen.long(), repetition_penalty=penalty, **greedy)
        arrays[f"greedy-{penalty}"] = out.numpy()[:, 6:]  # (3, new)
    end = int(arrays["greedy-1.0"][0, 4])
    arrays["end"] = np.array(end)
    for eos in (None, end):
        for length_penalty in (0.0, 1.0, 2.0):
            out = model.generate(
                prompts[:1],
                attention_mask=torch.ones(1, 6, dtype=torch.long),
                **{**greedy, "eos_token_id": eos, "pad_token_id": sizes["vocab_size"] - 1},
                num_beams=4,
                num_return_sequences=4,
                length_penalty=length_penalty,
                early_stopping="never",
                return_dict_in_generate=True,
                output_scores=True,
            )
            case = f"beam-{'plain' if eos is None else 'end'}-{length_penalty}"
            arrays[f"{case}/ids"] = out.sequences.numpy()[:, 6:]  # (4, new or fewer), padded with V - 1
            arrays[f"{case}/scores"] = out.sequences_scores.double().numpy()  # (4,)
    return arrays


# name: sizes, settings of save_pretrained, torch's dtype of the file, and whether it is written without the head
FOLDERS = {
    "single": ({"vocab_size": 61, "n_positions": 12, "n_embd": 16, "n_layer": 2, "n_head": 2}, {}, "float32", False),
    "sharded": (
        {"vocab_size": 50, "n_positions": 20, "n_embd": 24, "n_layer": 3, "n_head": 3, "layer_norm_epsilon": 1e-3},
        {"max_shard_size": "30KB"}, "float32", False,
    ),
    "no_prefix": ({"vocab_size": 33, "n_positions": 9, "n_embd": 20, "n_layer": 1, "n_head": 5}, {}, "float32", True),
    "float16": ({"vocab_size": 40, "n_positions": 16, "n_embd": 32, "n_layer": 2, "n_head": 4}, {}, "float16", False),
    "bfloat16": ({"vocab_size": 40, "n_positions": 16, "n_embd": 32, "n_layer": 2, "n_head": 1}, {}, "bfloat16", False),
    "float64": ({"vocab_size": 11, "n_positions": 5, "n_embd": 8, "n_layer": 1, "n_head": 2}, {}, "float64", False),
}  # fmt: skip


def make_pretrained():
    """Folders as Transformers writes them, byte for byte, and the logits of the models that it reads from them."""
    import tempfile

    from transformers import GPT2Config, GPT2LMHeadModel

    arrays = {"cases": as_json(list(FOLDERS))}
    for case, (sizes, saving, stored, bare) in FOLDERS.items():
        rng = np.random.default_rng(zlib.crc32(case.encode()))
        model = GPT2LMHeadModel(GPT2Config(**sizes, attn_implementation="eager", bos_token_id=0, eos_token_id=0))
        for name, parameter in model.named_parameters():  # far from the usual start
            shift = 1.0 if ".ln_" in name and name.endswith("weight") else 0.0
            parameter.data = torch.from_numpy(normal(*parameter.shape, scale=0.2, shift=shift)(rng))
        model.tie_weights()
        ids = rng.integers(0, sizes["vocab_size"], (2, sizes["n_positions"]))
        arrays[f"{case}/ids"] = ids
        with tempfile.TemporaryDirectory() as folder:
            part = model.transformer if bare else model
            part.to(getattr(torch, stored)).save_pretrained(folder, **saving)
            for path in sorted(Path(folder).iterdir()):
                if path.name != "generation_config.json":
                    arrays[f"{case}/file/{path.name}"] = np.frombuffer(path.read_bytes(), np.uint8)
            for dtype in DTYPES:
                loaded = GPT2LMHeadModel.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
                with torch.no_grad():
                    arrays[f"{case}/logits.{dtype}"] = loaded(torch.from_numpy(ids)).logits.numpy()  # (2, T, V)
    return arrays


# ---- checking and writing

# each file with its maker and the tolerance of its float32 tests, relative to the largest entry
FILES = {
    "functions.npz": (make_functions, 1e-5),
    "optim.npz": (make_optim, 1e-5),
    "gpt2.npz": (make_gpt2, 1e-3),
    "generate.npz": (make_generate, None),
    "pretrained.npz": (make_pretrained, 1e-4),
}


def ill_conditioned(arrays, tolerance):
    """Float32 references further from their float64 ones than a third of the tolerance the tests use."""
    bad = []
    for key, narrow in arrays.items():
        if key.endswith(".float32"):
            wide = arrays[key.removesuffix("32") + "64"]
            if not np.abs(narrow - wide).max() <= tolerance / 3 * np.abs(wide).max():
                bad.append(f"{key}: {np.abs(narrow - wide).max():.2g} of {np.abs(wide).max():.2g}")
    return bad


def pack(arrays):
    """Many small arrays -> one long array per dtype, and "index": [[name, dtype, shape], …] in their order.

    As entries of their own they would make the file almost three times as large.
    """
    index = [[name, str(array.dtype), array.shape] for name, array in arrays.items()]
    packed = {"index": as_json(index)}
    for dtype in sorted({dtype for _, dtype, _ in index}):
        packed[dtype] = np.concatenate([a.reshape(-1) for a in arrays.values() if a.dtype == dtype])
    return packed


def asked_to_check(doc) -> bool:
    """Reads the command line of a script that makes golden files: whether --check is given."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with what is stored instead of writing it")
    torch.set_num_threads(1)  # one order of summation
    return parser.parse_args().check


def store(path, entries, check, count=None):
    """Write the entries, unless `check`; then hold the file against them. count: of arrays, if entries are packed."""
    if not check:
        np.savez_compressed(path, **entries)
    with np.load(path) as stored:
        differ = sorted(set(entries) ^ set(stored.files))
        differ += [k for k in stored.files if k in entries and not np.array_equal(stored[k], entries[k])]
    if differ:
        raise SystemExit(f"{path.name} differs from what was computed now, in {', '.join(differ)}")
    print(f"{path.name}: {count or len(entries)} arrays, {path.stat().st_size / 1024:.0f} KiB, as computed now")


def refuse_ill_conditioned(path, arrays, tolerance):
    if bad := ill_conditioned(arrays, tolerance):
        raise SystemExit(f"{path.name}: choose better inputs, float32 is too far off in\n" + "\n".join(bad))


def main():
    check = asked_to_check(__doc__)
    for file, (make, tolerance) in FILES.items():
        arrays, path = make(), FOLDER / file
        refuse_ill_conditioned(path, arrays, tolerance)
        store(path, pack(arrays) if make is make_functions else arrays, check, len(arrays))


if __name__ == "__main__":
    main()
