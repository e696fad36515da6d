"""Write recurrent.npz: what PyTorch's RNN, LSTM and GRU compute, layers and cells, for the tests to compare with.

    python -m tests.golden.make_golden_recurrent            write the file beside this script
    python -m tests.golden.make_golden_recurrent --check    compute all again and compare with the file, write nothing

Run by hand, from the root of the repository, where torch is installed; see README.md. Inputs are stored once, in
float32; the float64 reference widens the same numbers. Packed cases go through pack_padded_sequence with
enforce_sorted=False, and the gradient of x at steps that a row does not have is zero.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.golden.make_golden import as_json, pack

PATH = Path(__file__).parent / "recurrent.npz"
DTYPES = ("float32", "float64")
KINDS = {"RNN-tanh": (torch.nn.RNN, {}), "RNN-relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
         "LSTM": (torch.nn.LSTM, {}), "GRU": (torch.nn.GRU, {})}  # fmt: skip
CELLS = {"RNN-tanh": torch.nn.RNNCell, "LSTM": torch.nn.LSTMCell, "GRU": torch.nn.GRUCell}
SIZES = {"B": 4, "T": 7, "input": 5, "hidden": 6}
LAYERS = (1, 2)


def cases():
    """Name -> what it is: kind, layers, whether a state is given, lengths or None, a cell or a layer."""
    for kind in KINDS:
        for layers in LAYERS:
            for with_state, lengths in ((False, None), (True, None), (True, [3, 7, 1, 5]), (False, [2, 2, 6, 4])):
                name = f"{kind}-{layers}{'-state' if with_state else ''}{'-packed' if lengths else ''}"
                yield name, {"kind": kind, "layers": layers, "state": with_state, "lengths": lengths, "cell": False}
    for kind in CELLS:
        yield f"{kind}-cell", {"kind": kind, "layers": 1, "state": True, "lengths": None, "cell": True}


def inputs(name, case):
    """Random numbers of the case's own: x (B, T, input), states (layers, B, hidden), upstream gradients."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    B, T, C, H = (SIZES[key] for key in ("B", "T", "input", "hidden"))
    T = 1 if case["cell"] else T
    states = ["h", "c"] if case["kind"] == "LSTM" else ["h"]
    arrays = {"x": (B, T, C), "dy": (B, T, H), **{f"d{s}_n": (case["layers"], B, H) for s in states}}
    if case["state"]:
        arrays |= {f"{s}0": (case["layers"], B, H) for s in states}
    gates = {"LSTM": 4, "GRU": 3}.get(case["kind"], 1)
    for layer in range(case["layers"]):
        arrays |= {f"weight_ih_l{layer}": (gates * H, H if layer else C), f"weight_hh_l{layer}": (gates * H, H),
                   f"bias_ih_l{layer}": (gates * H,), f"bias_hh_l{layer}": (gates * H,)}  # fmt: skip
    scale = {"x": 1.0, "dy": 1.0}
    return {k: (rng.normal(size=s) * scale.get(k, 0.6)).astype(np.float32) for k, s in arrays.items()}


def answer(case, arrays, dtype):
    """y, the last states, and the gradients of everything that was given."""
    given = {k: torch.from_numpy(a.astype(dtype)) for k, a in arrays.items()}
    leaves = {k: t.requires_grad_() for k, t in given.items() if not k.startswith("d")}
    states = [leaves[s] for s in ("h0", "c0") if s in leaves]
    weights = {k: t for k, t in leaves.items() if "_l" in k}
    y, ends = run_cell(case, leaves, weights, states) if case["cell"] else run_layer(case, leaves, weights, states)
    upstream = [given["dy"], *(given[k] for k in ("dh_n", "dc_n") if k in given)]
    torch.autograd.backward([y, *ends], upstream)
    results = {"y": y, **{f"{s}_n": end for s, end in zip("hc", ends, strict=False)}}
    out = {f"{k}.{dtype}": t.detach().numpy() for k, t in results.items()}
    return out | {f"grad_{k}.{dtype}": t.grad.numpy() for k, t in leaves.items()}


def run_layer(case, leaves, weights, states):
    cls, options = KINDS[case["kind"]]
    module = cls(SIZES["input"], SIZES["hidden"], case["layers"], batch_first=True, dtype=leaves["x"].dtype, **options)
    state = None if not states else tuple(states) if len(states) > 1 else states[0]
    x = leaves["x"]
    if case["lengths"]:
        x = pack_padded_sequence(x, torch.tensor(case["lengths"]), batch_first=True, enforce_sorted=False)
    y, ends = torch.func.functional_call(module, weights, (x, state))
    if case["lengths"]:
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=SIZES["T"])
    return y, list(ends) if isinstance(ends, tuple) else [ends]


def run_cell(case, leaves, weights, states):
    module = CELLS[case["kind"]](SIZES["input"], SIZES["hidden"], dtype=leaves["x"].dtype)
    named = {k.removesuffix("_l0"): t for k, t in weights.items()}
    given = tuple(s[0] for s in states)
    ends = torch.func.functional_call(module, named, (leaves["x"][:, 0], given if len(given) > 1 else given[0]))
    ends = list(ends) if isinstance(ends, tuple) else [ends]
    return ends[0][:, None], [end[None] for end in ends]


def make():
    arrays, described = {}, {}
    for name, case in cases():
        given = inputs(name, case)
        found = {}
        for dtype in DTYPES:
            found |= answer(case, given, dtype)
        for key in [k for k in found if k.endswith(".float32")]:  # rounding alone may not decide a test
            exact = found[key.replace("32", "64")]
            assert np.abs(found[key] - exact).max() <= 1e-5 / 3 * np.abs(exact).max(), (name, key)
        arrays |= {f"{name}/{k}": a for k, a in (given | found).items()}
        described[name] = case
    return pack(arrays | {"cases": as_json(described)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    arrays = make()
    if not parser.parse_args().check:
        np.savez_compressed(PATH, **arrays)
        print(f"{PATH.name}: {len(arrays)} arrays, {PATH.stat().st_size / 1e3:.0f} kB")
        return
    with np.load(PATH) as stored:
        same = set(stored.files) == set(arrays) and all(np.array_equal(stored[k], a) for k, a in arrays.items())
    print(f"{PATH.name}: {'the same' if same else 'differs'}")
    raise SystemExit(not same)


if __name__ == "__main__":
    main()
