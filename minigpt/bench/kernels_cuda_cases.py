"""The problems on which the CUDA kernels are measured, and what float64 on the host says about their results.

Sizes are those of a training step of GPT-2 (C 768, V 50257) with thousands of tokens, so that a card has work for all
of its multiprocessors. Work is counted as in kernels_cases.py, whose problems these are, only larger. Attention counts
its matrix products alone, the causal half of them, as is usual for cards.

Large results are compared in part: rows of a softmax or heads of attention can each be computed alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import load
from .kernels_cases import (
    Case,
    adam,
    blank,
    cross_entropy,
    dropout,
    embedding,
    floats,
    gelu,
    layernorm,
    matmul,
    softmax,
)

RETURNED = ""  # the name of what a rung returns rather than writes
LOOSE = {("matmul", 5): 2e-3}  # rungs that may be off by more than TOLERANCE: products of numbers with 11 bits


@dataclass(frozen=True)
class CardCase(Case):
    """A Case with what its results should be.

    expected(given, part) -> {output: float64}, where `part` numbers elements of the outputs' first axis; `checked` of
    them are looked at. Outputs in `whole` are not cut, and a number stands for the sum of its output.
    """

    expected: Callable[[dict[str, Any], np.ndarray], dict[str, Any]] = lambda given, part: {}
    checked: int = 64
    whole: tuple[str, ...] = ()


def f64(x, part=slice(None)):
    return x[part].astype(np.float64)


def checked(case: Case, expected, **settings) -> CardCase:
    return CardCase(**vars(case), expected=expected, **settings)


# --- what is expected: float64, by the formulas of kernels/reference ---------------------------------------------


def expected_matmul(g, part):
    return {"y": f64(g["a"], part) @ f64(g["b"])}


def expected_gelu(direction, g, part):
    if direction == "forward":
        return {"y": load("numpy").gelu_forward(f64(g["x"], part))}
    return {"dx": load("numpy").gelu_backward(f64(g["dy"], part), f64(g["x"], part))}


def expected_softmax(direction, g, part):
    if direction == "forward":
        return {"y": load("numpy").softmax_forward(f64(g["x"], part))}
    return {"dx": load("numpy").softmax_backward(f64(g["dy"], part), f64(g["y"], part))}


def expected_attention(direction, g, part):
    q, k, v = (f64(g[name], part)[None] for name in "qkv")  # (1, heads of the part, T, D)
    y, lse = load("numpy").attention_forward(q, k, v, None, g["causal"], g["scale"])
    if direction == "forward":
        return {"y": y[0], "lse": lse[0]}
    dy = f64(g["dy"], part)[None]
    gradients = load("numpy").attention_backward(dy, q, k, v, y, lse, None, g["causal"], g["scale"])
    return {name: x[0] for name, x in zip(("dq", "dk", "dv"), gradients, strict=True)}


def expected_layernorm(direction, g, part):
    weight, bias = f64(g["weight"]), f64(g["bias"])
    if direction == "forward":
        results = load("numpy").layernorm_forward(f64(g["x"], part), weight, bias, g["eps"])
        return dict(zip(("y", "mean", "rstd"), results, strict=True))
    given = (f64(g[name]) for name in ("dy", "x", "weight", "mean", "rstd"))
    dx, dweight, dbias = load("numpy").layernorm_backward(*given)
    return {"dx": dx[part], "dweight": dweight, "dbias": dbias}


def expected_cross_entropy(direction, g, part):
    logits, targets = f64(g["logits"], part), g["targets"][part]
    losses, maxima, log_sums = load("numpy").cross_entropy_forward(logits, targets)
    if direction == "forward":
        return {"losses": losses, "maxima": maxima, "log_sums": log_sums}
    dlogits = load("numpy").cross_entropy_backward(f64(g["dloss"], part), logits, targets, maxima, log_sums)
    return {"dlogits": dlogits}


def expected_embedding(direction, g, part):
    if direction == "forward":
        return {"y": f64(g["weight"], g["ids"][part])}
    return {"dweight": f64(g["dweight"]) + load("numpy").embedding_backward(f64(g["dy"]), g["ids"], len(g["dweight"]))}


def expected_dropout(g, part):
    p = int(g["threshold"]) / 2**32
    return {"y": load("numpy").dropout_forward(f64(g["x"]), p, int(g["key"]))[part]}


def expected_adam(g, part):
    p, grad, m, v = (f64(g[name], part) for name in "pgmv")
    settings = (g[name] for name in ("step", "lr", "beta1", "beta2", "eps", "weight_decay", "decoupled"))
    load("numpy").adam_step(p, grad, m, v, *settings)
    return {"p": p, "m": m, "v": v}


def expected_sgd(g, part):
    p, grad, velocity = (f64(g[name], part) for name in ("p", "g", "velocity"))
    load("numpy").sgd_step(p, grad, velocity, g["lr"], g["momentum"], g["weight_decay"])
    return {"p": p, "velocity": velocity}


# --- problems that the CPU's do not have ------------------------------------------------------------------------


def attention(direction, batch, heads, t, d):
    """Causal; arrays (batch * heads, T, D). For backward, y and lse are those of the kernels in use."""
    scale = d**-0.5

    def arguments(rng):
        q, k, v, dy = (floats(rng, batch * heads, t, d) for _ in range(4))
        given = {"q": q, "k": k, "v": v, "causal": True, "scale": scale}
        if direction == "forward":
            return {**given, "y": blank(batch * heads, t, d), "lse": blank(batch * heads, t)}
        row = load("cuda")
        on_card = [row.from_host(x.reshape(batch, heads, t, d)) for x in (q, k, v)]
        y, lse = (row.to_host(x) for x in row.attention_forward(*on_card, None, True, scale))
        gradients = {name: blank(batch * heads, t, d) for name in ("dq", "dk", "dv")}
        return {**given, "dy": dy, "y": y.reshape(q.shape), "lse": lse.reshape(-1, t), **gradients}

    products, arrays, outputs = {"forward": (2, 4, ("y", "lse")), "backward": (5, 8, ("dq", "dk", "dv"))}[direction]
    elements, pairs = batch * heads * t * d, batch * heads * t * (t + 1) // 2
    case = Case(f"attention_{direction}", f"B {batch}, H {heads}, T {t}, D {d}, causal", "element of y", elements,
                products * 2 * d * pairs, 4 * (arrays * elements + batch * heads * t), outputs, arguments)  # fmt: skip
    return checked(case, functools.partial(expected_attention, direction), checked=2)


def sgd(n):
    def arguments(rng):
        p, g, velocity = (floats(rng, n) for _ in range(3))
        return {"p": p, "g": g, "velocity": velocity, "lr": 1e-2, "momentum": 0.9, "weight_decay": 0.1}

    case = Case("sgd_step", f"{n / 1e6:.3g}M parameters", "parameter", n, 6 * n, 20 * n, ("p", "velocity"), arguments,
                in_place=True)  # fmt: skip
    return checked(case, expected_sgd, checked=1000)


def squared_norm(n):
    """A rung returns the sums of its blocks, for which `expected` has one number."""

    def expected(g, part):
        return {RETURNED: load("numpy").squared_norm(f64(g["x"]))}

    case = Case("squared_norm", f"{n / 1e6:.3g}M elements", "element", n, 2 * n, 4 * n, (),
                lambda rng: {"x": floats(rng, n)})  # fmt: skip
    return checked(case, expected)


def column_sums(n, c):
    def expected(g, part):
        return {RETURNED: f64(g["x"]).sum(axis=0)}

    case = Case("column_sums", f"{n} rows of {c}", "element of x", n * c, n * c, 4 * (n * c + c), (),
                lambda rng: {"x": floats(rng, n, c)})  # fmt: skip
    return checked(case, expected, whole=(RETURNED,))


@functools.cache
def cuda_cases(quick: bool = False) -> tuple[CardCase, ...]:
    """All problems; quick: tiny ones, to see them run."""
    n, c, long, v, some, size = (6, 20, 10, 9, 5, 60) if quick else (16384, 768, 2048, 50257, 4096, 50257 * 768)
    heads = (1, 2, 10, 4) if quick else (8, 16, 2048, 64)
    products = ((6, 8, 10),) if quick else ((4096, 4096, 4096), (8192, 768, 3072))
    both = ("forward", "backward")
    part = functools.partial
    return (
        *(checked(matmul(*shape), expected_matmul) for shape in products),
        column_sums(n, 4 * c),
        *(checked(gelu(way, n, 4 * c), part(expected_gelu, way), checked=1000) for way in both),
        *(checked(softmax(way, n, long), part(expected_softmax, way)) for way in both),
        *(attention(way, *heads) for way in both),
        *(checked(layernorm(way, n, c), part(expected_layernorm, way), whole=("dweight", "dbias")) for way in both),
        *(checked(cross_entropy(way, some, v), part(expected_cross_entropy, way)) for way in both),
        *(checked(embedding(way, n, v, c), part(expected_embedding, way), whole=("dweight",)) for way in both),
        checked(dropout(n, c), expected_dropout, checked=1000),
        checked(adam(size), expected_adam, checked=1000),
        sgd(size),
        squared_norm(size),
    )
