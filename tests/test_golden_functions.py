"""Every function of the library against PyTorch: outputs and gradients of all inputs, in both float dtypes.

The references lie in golden/functions.npz; golden/README.md says how they were made. A test id names
function, case and dtype. Where an input is a non-contiguous view, the case runs twice: once with the view
taken by our own ops (`by_op`, the gradient of the base is compared), once with a leaf whose array is the view
(`as_leaf`).
"""

import json
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import nn
from tests.golden import unpack

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


ARRAYS = unpack(Path(__file__).parent / "golden" / "functions.npz")
CASES = json.loads(ARRAYS["cases"].tobytes())


def parameters(attention_module):
    """(case, dtype, how views are made) with ids, for the nn.MultiHeadAttention cases or for all others."""
    out = []
    for case in CASES:
        if (case["function"] == "nn.MultiHeadAttention") == attention_module:
            for dtype in TOLERANCE:
                for how in ("by_op", "as_leaf") if case["views"] else ("whole",):
                    suffix = "" if how == "whole" else f"-{how}"
                    out.append(pytest.param(case, dtype, how, id=f"{case['id']}-{dtype}{suffix}"))
    return out


def view_of(base, view):
    """The view that the case describes, of an array or of a Tensor."""
    if view is None:
        return base
    if view[0] == "swapaxes":
        return base.swapaxes(view[1], view[2])
    return base[(slice(None),) * view[1] + (slice(None, None, view[2]),)]


def decode_index(items):
    """[["slice", 0, null, 2], ["array", [0, 0]], ["int", 1], ["none"]] -> an index."""
    kinds = {
        "slice": slice,
        "array": np.array,
        "int": int,
        "none": lambda: None,
        "ellipsis": lambda: Ellipsis,
    }
    return tuple(kinds[kind](*values) for kind, *values in items)


OURS = {
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
    "getitem": lambda x, index: x[decode_index(index)],
    "sum": lambda x, **where: x.sum(**where),
    "mean": lambda x, **where: x.mean(**where),
    "max": lambda x, **where: x.max(**where),
    "var": lambda x, **where: x.var(**where),
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "sqrt": lambda x: x.sqrt(),
    "tanh": lambda x: x.tanh(),
    "reshape": lambda x, shape: x.reshape(*shape),
    "transpose": lambda x, axes: x.transpose(*axes),
    "T": lambda x: x.T,
    "swapaxes": lambda x, axes: x.swapaxes(*axes),
    "concatenate": lambda axis, **parts: mg.concatenate(list(parts.values()), axis=axis),
    "stack": lambda axis, **parts: mg.stack(list(parts.values()), axis=axis),
    "where": lambda condition, a, b: mg.where(condition, a, b),
    "F.linear": F.linear,
    "F.relu": F.relu,
    "F.gelu": F.gelu,
    "F.sigmoid": F.sigmoid,
    "F.tanh": F.tanh,
    "F.softmax": F.softmax,
    "F.log_softmax": F.log_softmax,
    "F.layer_norm": lambda x, weight, bias=None, **eps: F.layer_norm(x, weight, bias, **eps),
    "F.embedding": F.embedding,
    "F.cross_entropy": F.cross_entropy,
    "F.scaled_dot_product_attention": F.scaled_dot_product_attention,
}


def assert_close(actual, expected, tolerance, what):
    """Same shape and dtype, and max|actual - expected| <= tolerance * max|expected|.

    Where the reference is zero everywhere, the difference itself must stay below the tolerance.
    """
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, PyTorch has {expected.shape}"
    assert actual.dtype == expected.dtype, f"{what}: dtype {actual.dtype}, PyTorch has {expected.dtype}"
    scale = np.abs(expected).max() or 1.0
    error = np.abs(np.asarray(actual, np.float64) - np.asarray(expected, np.float64)).max()
    assert error <= tolerance * scale, f"{what}: off by {error:.3g}, allowed {tolerance * scale:.3g}"


def arguments(case):
    """Keyword arguments; JSON knows only lists, where axes and shapes are tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in case["kwargs"].items()}


@pytest.mark.parametrize(("case", "dtype", "how"), parameters(attention_module=False))
def test_function(case, dtype, how):
    leaves, given = {}, {}
    for name in case["inputs"]:
        base, view = ARRAYS[f"{case['id']}/{name}"], case["views"].get(name)
        if base.dtype.kind != "f":
            given[name] = view_of(base, view)
        elif how == "as_leaf":
            given[name] = leaves[name] = mg.Tensor(view_of(base.astype(dtype), view), requires_grad=True)
        else:
            leaves[name] = mg.Tensor(base.astype(dtype), requires_grad=True)
            given[name] = view_of(leaves[name], view)

    out = OURS[case["function"]](**given, **arguments(case))
    order = "F" if how == "as_leaf" else "C"  # then the upstream gradient is not C-contiguous either
    out.backward(np.array(ARRAYS[f"{case['id']}/upstream0"], dtype, order=order))

    assert_close(out.numpy(), ARRAYS[f"{case['id']}/out0.{dtype}"], TOLERANCE[dtype], "output")
    for name, leaf in leaves.items():
        base, expected = ARRAYS[f"{case['id']}/{name}"], ARRAYS[f"{case['id']}/grad_{name}.{dtype}"]
        if how == "as_leaf":
            view = case["views"].get(name)
            base, expected = view_of(base, view), view_of(expected, view)
        assert leaf.grad is not None, f"no gradient reached {name}"
        assert_close(leaf.grad, expected, TOLERANCE[dtype], f"gradient of {name}")
        assert np.array_equal(leaf.numpy(), base), f"{name} was overwritten"


@pytest.mark.parametrize(("case", "dtype", "how"), parameters(attention_module=True))
def test_multi_head_attention(case, dtype, how):
    """Against torch.nn.MultiheadAttention; where weights are returned, gradient comes through them too."""
    arrays = {name: ARRAYS[f"{case['id']}/{name}"] for name in case["inputs"]}
    named = {name: name.replace("_weight", ".weight").replace("_bias", ".bias") for name in arrays}
    state = {named[name]: array for name, array in arrays.items() if name.startswith("c_")}
    kwargs = arguments(case)
    shown = kwargs.pop("return_weights", False)
    bias = "c_attn.bias" in state
    module = nn.MultiHeadAttention(arrays["x"].shape[-1], qkv_bias=bias, proj_bias=bias, rng=0, **kwargs)
    module.load_state_dict(state)
    module.astype(dtype)
    leaves = {name: mg.Tensor(arrays[name].astype(dtype), True) for name in ("x", "context") if name in arrays}

    outputs = module(**leaves, mask=arrays.get("mask"), return_weights=shown)
    outputs = outputs if shown else (outputs,)
    upstreams = [ARRAYS[f"{case['id']}/upstream{i}"].astype(dtype) for i in range(len(outputs))]
    if shown:
        sum((out * upstream).sum() for out, upstream in zip(outputs, upstreams, strict=True)).backward()
    else:
        outputs[0].backward(upstreams[0])

    for i, out in enumerate(outputs):
        expected = ARRAYS[f"{case['id']}/out{i}.{dtype}"]
        assert_close(out.numpy(), expected, TOLERANCE[dtype], ("output", "weights")[i])
    leaves |= {name.replace(".", "_"): parameter for name, parameter in module.named_parameters()}
    assert set(leaves) == set(arrays) - {"mask"}
    for name, leaf in leaves.items():
        expected = ARRAYS[f"{case['id']}/grad_{name}.{dtype}"]
        assert_close(leaf.grad, expected, TOLERANCE[dtype], f"gradient of {name}")
