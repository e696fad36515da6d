"""The cases of the golden files: which function, with which inputs and arguments. NumPy only.

Each case draws its inputs from a generator seeded with the case's own name, so that it depends neither on the
other cases nor on torch. make_golden.py, beside this file, computes the references.
"""

import json
import math
from itertools import chain

import numpy as np

# ---- packed files


def unpack(path):
    """The arrays of a packed file by name, read-only; see `pack` in make_golden.py."""
    with np.load(path) as packed:
        index = json.loads(packed["index"].tobytes())
        flat = {name: packed[name] for name in packed.files if name != "index"}
    arrays, used = {}, dict.fromkeys(flat, 0)
    for name, dtype, shape in index:
        start, used[dtype] = used[dtype], used[dtype] + math.prod(shape)
        arrays[name] = flat[dtype][start : used[dtype]].reshape(shape)
        arrays[name].flags.writeable = False
    return arrays


# ---- inputs: a maker takes a Generator and returns an array


def normal(*shape, scale=1.0, shift=0.0):
    return lambda rng: np.asarray(shift + scale * rng.standard_normal(shape), np.float32)


def positive(*shape):
    return lambda rng: np.asarray(rng.uniform(0.3, 2.0, shape), np.float32)


def few_values(*shape, scale=1):
    """Whole numbers from -2 to 2, times scale: many ties for max, many zeros for relu and powers."""
    return lambda rng: np.asarray(scale * rng.integers(-2, 3, shape), np.float32)


def ids(*shape, n, dtype=np.int64, ignore=None):
    """Ids below n; with `ignore`, the first and every third place hold that id instead."""

    def make(rng):
        out = np.asarray(rng.integers(0, n, shape), dtype)
        if ignore is not None:
            out.reshape(-1)[::3] = ignore
        return out

    return make


def allowed(*shape):
    """A boolean mask where every row allows its first key, so that no row is empty."""

    def make(rng):
        mask = rng.random(shape) < 0.6
        mask[..., 0] = True
        return mask

    return make


def booleans(*shape):
    return lambda rng: rng.random(shape) < 0.5


def swapped(maker, a, b):
    """The input is `base.swapaxes(a, b)`: right values, wrong strides."""
    return maker, ["swapaxes", a, b]


def every(step, maker, axis):
    """The input is every `step`-th entry of the base along one axis."""
    return maker, ["step", axis, step]


# ---- cases: (function, label, {input name: maker}, keyword arguments)


def case(function, label, inputs, **kwargs):
    return function, label, inputs, kwargs


def all_cases():
    return chain(
        operator_cases(),
        shape_cases(),
        reduction_cases(),
        function_cases(),
        cross_entropy_cases(),
        attention_cases(),
    )


def operator_cases():
    N, P = normal, positive
    pairs = {
        "same": (N(3, 5), P(3, 5)),
        "right_broadcasts": (N(2, 3, 5), P(5)),
        "left_broadcasts": (N(5), P(3, 5)),
        "both_broadcast": (N(3, 1, 5), P(1, 4, 1)),
        "size_one_axes": (N(1, 1), P(1, 7, 1)),
        "zero_d": (N(3, 5), P()),
        "views": (swapped(N(5, 3), 0, 1), every(2, P(3, 9), 1)),
    }
    for label, (a, b) in pairs.items():
        for function in ("add", "sub", "mul", "div"):
            yield case(function, label, {"a": a, "b": b})
    yield case("pow", "same", {"a": P(3, 5), "b": N(3, 5)})
    yield case("pow", "broadcast", {"a": P(3, 1, 5), "b": N(4, 1)})
    yield case("pow", "one_exponent", {"a": P(7), "b": N(1)})
    yield case("pow", "views", {"a": swapped(P(5, 3), 0, 1), "b": every(2, N(3, 9), 1)})
    for function in ("add", "sub", "mul", "div"):
        yield case(f"{function}_scalar", "float", {"x": N(3, 5)}, c=2.5)
        yield case(f"scalar_{function}", "int", {"x": P(1, 7)}, c=3)
    for label, c in {"square": 2, "cube": 3, "first": 1, "zeroth": 0, "square_float": 2.0}.items():
        yield case("pow_scalar", f"{label}_with_zeros", {"x": few_values(3, 5)}, c=c)
    for label, c in {"root": 0.5, "inverse": -1, "inverse_root": -0.5, "fraction": 1.7}.items():
        yield case("pow_scalar", label, {"x": P(1, 5, 3)}, c=c)
    yield case("neg", "plain", {"x": N(3, 1, 5)})
    yield case("mul_itself", "plain", {"x": N(3, 5)})
    yield case("matmul_itself", "plain", {"x": N(2, 3, 5)})

    matmuls = {
        "2d": ((3, 4), (4, 5)),
        "outer": ((3, 1), (1, 5)),
        "batched": ((2, 3, 4), (2, 4, 5)),
        "right_2d": ((2, 3, 4), (4, 5)),
        "left_2d": ((3, 4), (2, 4, 5)),
        "broadcast_batch": ((2, 1, 3, 4), (3, 4, 5)),
        "size_one_batch": ((1, 3, 4), (2, 4, 1)),
        "1d_1d": ((7,), (7,)),
        "1d_2d": ((4,), (4, 5)),
        "2d_1d": ((3, 4), (4,)),
        "1d_batched": ((4,), (2, 4, 5)),
        "batched_1d": ((2, 3, 4), (4,)),
    }
    for label, (a, b) in matmuls.items():
        yield case("matmul", label, {"a": N(*a), "b": N(*b)})
    yield case("matmul", "views", {"a": swapped(N(2, 4, 3), 1, 2), "b": swapped(N(2, 5, 4), 1, 2)})
    yield case("matmul", "steps", {"a": every(2, N(5, 4), 0), "b": every(3, N(4, 7), 1)})


def shape_cases():
    N = normal
    everything, tail = ["slice", None, None, None], ["slice", 1, None, None]
    picks = {
        "int": [["int", 1]],
        "negative_int": [["int", -1], ["int", 0]],
        "slice": [["slice", 1, 3, None], ["slice", None, -1, None]],
        "step": [["slice", None, None, 2], ["slice", 1, None, 3]],
        "negative_step": [["slice", None, None, -1], ["slice", 4, 0, -2]],
        "none_and_ellipsis": [["none"], ["ellipsis"], ["int", 0], ["none"]],
        "array_with_repeats": [["array", [0, 2, 2, -1, 2]]],
        "array_2d": [["array", [[0, 1], [1, 1]]]],
        "two_arrays": [["array", [0, 3, 0]], ["array", [1, 4, 1]]],
        "arrays_broadcast": [["array", [[0], [2]]], ["array", [1, 1, 4]]],
        "slice_then_array": [tail, ["array", [0, 0, 3]], ["slice", None, None, 2]],
        "array_slice_array": [["array", [0, 1, 1]], everything, ["array", [2, 0, 0]]],
        "int_slice_array": [["int", 0], everything, ["array", [2, 0, 0]]],
        "array_and_none": [["array", [1, 1]], ["none"], tail],
        "boolean": [["array", [True, False, True, True]]],
        "boolean_second_axis": [everything, ["array", [False, True, True, False, True]]],
        "boolean_2d": [["array", (np.arange(20).reshape(4, 5) % 3 == 0).tolist()]],
    }
    for label, index in picks.items():
        yield case("getitem", label, {"x": N(4, 5, 3)}, index=index)
    yield case(
        "getitem",
        "of_view",
        {"x": swapped(N(5, 4), 0, 1)},
        index=[["array", [3, 3, 0]], ["slice", None, None, 2]],
    )

    views = {"": N(3, 5, 2), "_of_view": swapped(N(2, 5, 3), 0, 2), "_of_steps": every(2, N(3, 9, 2), 1)}
    for suffix, x in views.items():
        yield case("reshape", f"merge{suffix}", {"x": x}, shape=(3, 10))
        yield case("reshape", f"minus_one{suffix}", {"x": x}, shape=(-1,))
        yield case("transpose", f"axes{suffix}", {"x": x}, axes=(1, 2, 0))
        yield case("transpose", f"reverse{suffix}", {"x": x}, axes=())
        yield case("swapaxes", f"last{suffix}", {"x": x}, axes=(-1, 0))
    yield case("reshape", "size_one_axes", {"x": N(6)}, shape=(1, 2, 1, 3))
    yield case("T", "2d", {"x": N(3, 5)})
    for axis in (0, 1, -1):
        yield case("concatenate", f"axis{axis}", {n: N(3, 3, 3) for n in "abc"}, axis=axis)
        yield case("stack", f"axis{axis}", {n: N(3, 1) for n in "abc"}, axis=axis)
    yield case(
        "concatenate",
        "lengths",
        {"a": N(2, 1), "b": every(2, N(2, 7), 1), "c": swapped(N(3, 2), 0, 1)},
        axis=1,
    )
    for label, shape in {"same": (3, 5), "row": (5,), "column": (3, 1)}.items():
        yield case("where", label, {"condition": booleans(*shape), "a": N(3, 5), "b": N(3, 5)})
    yield case("where", "values_broadcast", {"condition": booleans(2, 3, 5), "a": N(5), "b": N(3, 1)})
    yield case("where", "scalar", {"condition": booleans(3, 5), "a": N(3, 5)}, b=-2.0)


def reduction_cases():
    for function in ("sum", "mean", "max", "var"):
        for axis in (None, 0, -1, (0, 2)):
            for keepdims in (False, True):
                given = {} if axis is None else {"axis": axis}
                label = f"axis_{axis}_keepdims_{keepdims}".replace("(0, 2)", "0_2").replace("-1", "last")
                yield case(function, label, {"x": normal(3, 5, 2)}, keepdims=keepdims, **given)
        yield case(function, "size_one_axis", {"x": normal(3, 1)}, axis=1)
        yield case(function, "of_view", {"x": swapped(normal(5, 3), 0, 1)}, axis=1)
        yield case(function, "of_steps", {"x": every(2, normal(9, 3), 0)}, axis=0)
    yield case("max", "ties_last", {"x": few_values(4, 9)}, axis=-1)
    yield case("max", "ties_two_axes", {"x": few_values(3, 5, 4)}, axis=(1, 2))
    yield case("max", "ties_all", {"x": few_values(5, 7)})


def function_cases():
    N = normal
    shapes = {"plain": (3, 5), "size_one_axes": (1, 7, 1), "zero_d": ()}
    for function in ("exp", "log", "sqrt", "tanh", "F.relu", "F.sigmoid", "F.tanh"):
        make = positive if function in ("log", "sqrt") else N
        for label, shape in shapes.items():
            yield case(function, label, {"x": make(*shape)})
        yield case(function, "of_view", {"x": swapped(make(5, 3), 0, 1)})
        yield case(function, "of_steps", {"x": every(2, make(3, 9), 1)})
    yield case("F.relu", "zeros", {"x": few_values(5, 7)})
    for function in ("F.sigmoid", "F.tanh"):
        yield case(function, "saturated", {"x": N(33, scale=10.0)})
    for approximate in ("tanh", "none"):
        for label, shape in shapes.items():
            yield case("F.gelu", f"{approximate}_{label}", {"x": N(*shape, scale=2.0)}, approximate=approximate)
        yield case("F.gelu", f"{approximate}_of_view", {"x": swapped(N(5, 3), 0, 1)}, approximate=approximate)
        yield case("F.gelu", f"{approximate}_far_out", {"x": N(33, scale=10.0)}, approximate=approximate)
    for function in ("F.softmax", "F.log_softmax"):
        for axis in (-1, 0, 1):
            yield case(function, f"axis_{axis}", {"x": N(3, 5, 7)}, axis=axis)
            yield case(function, f"axis_{axis}_of_view", {"x": swapped(N(7, 5, 3), 0, 2)}, axis=axis)
            yield case(function, f"axis_{axis}_far_from_zero", {"x": N(3, 5, 2, shift=1e4)}, axis=axis)
            yield case(function, f"axis_{axis}_large", {"x": few_values(3, 5, 2, scale=10000)}, axis=axis)
        yield case(function, "size_one_axis", {"x": N(3, 1)}, axis=-1)
        yield case(function, "past_a_block", {"x": N(2, 33)}, axis=-1)
        yield case(function, "of_steps", {"x": every(2, N(3, 9), 1)}, axis=-1)

    for label, shape in {"2d": (5, 4), "batched": (2, 3, 4), "one_row": (1, 4), "1d": (4,)}.items():
        yield case("F.linear", label, {"x": N(*shape), "weight": N(4, 3), "bias": N(3)})
        yield case("F.linear", f"{label}_no_bias", {"x": N(*shape), "weight": N(4, 3)})
    yield case("F.linear", "size_one", {"x": N(3, 1), "weight": N(1, 1), "bias": N(1)})
    tied = {"x": swapped(N(3, 2, 4), 0, 1), "weight": swapped(N(7, 4), 0, 1), "bias": every(2, N(13), 0)}
    yield case("F.linear", "views", tied)
    for eps in (1e-5, 1e-12, 1e-1):
        for label, shape in {"2d": (3, 8), "batched": (2, 3, 7), "past_a_block": (2, 33)}.items():
            C = shape[-1]
            x = {"x": N(*shape, scale=2.0, shift=1.0), "weight": N(C, shift=1.0), "bias": N(C)}
            yield case("F.layer_norm", f"{label}_eps_{eps:g}", x, eps=eps)
    yield case("F.layer_norm", "no_bias", {"x": N(2, 3, 8), "weight": N(8, shift=1.0)})
    yield case("F.layer_norm", "1d", {"x": N(8), "weight": N(8), "bias": N(8)})
    yield case("F.layer_norm", "views", {"x": swapped(N(8, 3), 0, 1), "weight": every(2, N(15), 0), "bias": N(8)})
    for label, shape in {"1d": (9,), "2d": (2, 7), "one": (1, 1)}.items():
        for dtype in (np.int64, np.int32, np.uint16):
            id_maker = ids(*shape, n=5, dtype=dtype)
            yield case("F.embedding", f"{label}_{dtype.__name__}", {"ids": id_maker, "weight": N(5, 3)})
    yield case("F.embedding", "view", {"ids": ids(2, 7, n=5), "weight": swapped(N(3, 5), 0, 1)})


def cross_entropy_cases():
    for smoothing in (0.0, 0.1):
        for reduction in ("mean", "sum", "none"):
            options = {"reduction": reduction, "label_smoothing": smoothing}
            places = {"2d": (7,), "3d": (2, 3), "one_row": (1,), "single": ()}
            for label, shape in places.items():
                name = f"{label}_{reduction}_smoothing_{smoothing:g}"
                yield case(
                    "F.cross_entropy",
                    name,
                    {"logits": normal(*shape, 5), "targets": ids(*shape, n=5)},
                    **options,
                )
            cases = {
                "ignored": (normal(3, 4, 5), ids(3, 4, n=5, ignore=-100)),
                "far_from_zero": (normal(7, 5, shift=1e4), ids(7, n=5, dtype=np.int32)),
                "large": (normal(7, 5, scale=1e4), ids(7, n=5)),
                "view": (swapped(normal(5, 3, 4), 0, 2), ids(4, 3, n=5)),
                "past_a_block": (normal(3, 33), ids(3, n=33)),
            }
            for label, (logits, targets) in cases.items():
                inputs = {"logits": logits, "targets": targets}
                yield case("F.cross_entropy", f"{label}_{reduction}_smoothing_{smoothing:g}", inputs, **options)
            inputs = {"logits": normal(9, 5), "targets": ids(9, n=5, ignore=3)}
            name = f"ignore_index_3_{reduction}_smoothing_{smoothing:g}"
            yield case("F.cross_entropy", name, inputs, ignore_index=3, **options)


def attention_cases():
    def qkv(B, H, Tq, Tk, D, **more):
        return {"q": normal(B, H, Tq, D), "k": normal(B, H, Tk, D), "v": normal(B, H, Tk, D), **more}

    sdpa, square, cross = "F.scaled_dot_product_attention", (2, 3, 5, 5, 4), (2, 3, 4, 7, 3)
    yield case(sdpa, "plain", qkv(*square))
    yield case(sdpa, "plain_cross", qkv(*cross))
    yield case(sdpa, "one_token", qkv(1, 1, 1, 1, 1))
    yield case(sdpa, "scale", qkv(*square), scale=0.7)
    yield case(sdpa, "causal", qkv(*square), causal=True)
    yield case(sdpa, "causal_scale", qkv(*square), causal=True, scale=0.1)
    yield case(sdpa, "causal_more_keys", qkv(*cross), causal=True)
    yield case(sdpa, "causal_one_query", qkv(2, 3, 1, 6, 4), causal=True)
    yield case(sdpa, "causal_past_a_block", qkv(1, 2, 33, 33, 2), causal=True)
    yield case(sdpa, "causal_more_queries_empty_rows", qkv(2, 2, 5, 3, 4), causal=True)
    yield case(
        sdpa,
        "causal_large",
        {n: normal(1, 2, 5, 4, scale=10.0 if n == "q" else 1.0) for n in "qkv"},
        causal=True,
    )
    for label, shape in {
        "full": (2, 3, 4, 7),
        "keys": (2, 1, 1, 7),
        "2d": (4, 7),
        "heads": (3, 1, 7),
    }.items():
        yield case(sdpa, f"mask_{label}", qkv(*cross, mask=allowed(*shape)))
        yield case(sdpa, f"mask_{label}_causal", qkv(*cross, mask=allowed(*shape)), causal=True)
    yield case(sdpa, "mask_causal_square", qkv(*square, mask=allowed(2, 1, 1, 5)), causal=True)
    yield case(sdpa, "mask_empty_rows", qkv(*square, mask=booleans(2, 1, 5, 1)))
    yield case(sdpa, "mask_causal_empty_rows", qkv(*square, mask=booleans(2, 1, 1, 5)), causal=True)
    views = {n: swapped(normal(2, 5, 3, 4), 1, 2) for n in "qkv"}  # (B, T, H, D) seen as (B, H, T, D)
    yield case(sdpa, "views", views)
    yield case(sdpa, "views_causal", views, causal=True)

    mha, B, T, C = "nn.MultiHeadAttention", 2, 5, 6
    weights = {"x": normal(B, T, C), "c_attn_weight": normal(C, 3 * C), "c_proj_weight": normal(C, C)}
    biases = {"c_attn_bias": normal(3 * C), "c_proj_bias": normal(C)}
    context = {"context": normal(B, 7, C)}
    for suffix, shown in {"": False, "_weights": True}.items():
        yield case(mha, f"self{suffix}", weights | biases, n_head=2, return_weights=shown)
        yield case(mha, f"self_no_bias{suffix}", weights, n_head=3, return_weights=shown)
        yield case(mha, f"self_causal{suffix}", weights | biases, n_head=2, causal=True, return_weights=shown)
        masked = weights | biases | {"mask": allowed(B, 1, 1, T)}
        yield case(mha, f"self_causal_mask{suffix}", masked, n_head=1, causal=True, return_weights=shown)
        yield case(mha, f"cross{suffix}", weights | biases | context, n_head=2, return_weights=shown)
        yield case(mha, f"cross_no_bias{suffix}", weights | context, n_head=6, return_weights=shown)
        masked = weights | biases | context | {"mask": allowed(B, 1, T, 7)}
        yield case(mha, f"cross_mask{suffix}", masked, n_head=2, return_weights=shown)
        yield case(
            mha,
            f"cross_causal{suffix}",
            weights | biases | context,
            n_head=2,
            causal=True,
            return_weights=shown,
        )
