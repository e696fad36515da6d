"""The problems of the recurrent kernels; what a case is stands in kernels_cases.py."""

from __future__ import annotations

import numpy as np

from ..backend import load
from ..debug.flops import BEND
from .kernels_cases import Case, blank, floats

# work with a gate's elements, for each unit: forward, backward; bends; gates; arrays (hidden wide) kept for backward
WORK = {"rnn": (0, 3, 1, 1, 0), "lstm": (4, 22, 5, 4, 5), "gru": (6, 16, 3, 3, 4)}


def lstm_cell(direction, batch, hidden):
    def arguments(rng):
        a, c_prev = floats(rng, batch, 4 * hidden), floats(rng, batch, hidden)
        if direction == "forward":
            out = {"h": blank(batch, hidden), "c": blank(batch, hidden), "gates": blank(batch, 4 * hidden)}
            return {"a": a, "c_prev": c_prev, **out}
        _, c, gates = load("numpy").lstm_cell_forward(a, c_prev)
        given = {"dh": floats(rng, batch, hidden), "dc": floats(rng, batch, hidden), "gates": gates, "c_prev": c_prev}
        return {**given, "c": c, "da": blank(batch, 4 * hidden), "dc_prev": blank(batch, hidden)}

    outputs = ("h", "c", "gates") if direction == "forward" else ("da", "dc_prev")
    flops, arrays = {"forward": (5 * BEND + 4, 11), "backward": (BEND + 22, 13)}[direction]
    size = batch * hidden
    return Case(f"lstm_cell_{direction}", f"B {batch}, hidden {hidden}", "unit", size, flops * size,
                4 * arrays * size, outputs, arguments)  # fmt: skip


def layer(kind, direction, batch, steps, hidden):
    """All steps of one layer; rungs keep what backward needs with the batch as last axis."""
    forward_work, backward_work, bends, gates, kept = WORK[kind]

    def arguments(rng):
        row, states = load("numpy"), (batch, hidden)
        a, w_hh = floats(rng, batch, steps, gates * hidden), floats(rng, gates * hidden, hidden) * 0.5 / hidden**0.5
        h0, lengths = floats(rng, *states), np.full(batch, steps)
        first = {"lstm": (floats(rng, *states),), "gru": (), "rnn": ()}[kind]
        bias = (floats(rng, gates * hidden),) if kind == "gru" else ()
        y, *ends = getattr(row, f"{kind}_forward")(a, w_hh, *bias, h0, *first)
        for_backward = [np.ascontiguousarray(x.transpose(1, 2, 0)) for x in ends[1 + len(first) :]]
        given = {"w_hh": w_hh, "h0": h0, "lengths": lengths, "relu": False}
        given |= dict(zip(("b_hh",), bias, strict=False)) | dict(zip(("c0",), first, strict=False))
        names = {"lstm": ("gates", "cells"), "gru": ("gates", "p_n"), "rnn": ()}[kind]
        if direction == "forward":
            out = {"y": blank(*y.shape), "h_n": blank(*states), "c_n": blank(*states)}
            return {
                **given,
                "a": a,
                **out,
                **{name: blank(*x.shape) for name, x in zip(names, for_backward, strict=True)},
            }
        upstream = {"dy": floats(rng, *y.shape), "dh_n": floats(rng, *states), "dc_n": floats(rng, *states), "y": y}
        out = {"da": blank(*a.shape), "dp": blank(*a.shape), "dh0": blank(*states), "dc0": blank(*states)}
        return {**given, **upstream, **dict(zip(names, for_backward, strict=True)), **out}

    if direction == "forward":
        outputs = {"lstm": ("y", "h_n", "c_n", "gates", "cells"), "gru": ("y", "h_n", "gates", "p_n"),
                   "rnn": ("y", "h_n")}[kind]  # fmt: skip
        work, arrays = forward_work + bends * BEND, gates + 1 + kept
    else:
        outputs = {"lstm": ("da", "dh0", "dc0"), "gru": ("da", "dp", "dh0"), "rnn": ("da", "dh0")}[kind]
        work, arrays = backward_work + (BEND if kind == "lstm" else 0), 2 * gates + 2 + (4 if kind == "gru" else 0)
    units = batch * steps * hidden
    flops = (2 * gates * hidden + work) * units
    size = 4 * (arrays * units + gates * hidden * hidden + 4 * batch * hidden)
    return Case(f"{kind}_{direction}", f"B {batch}, T {steps}, hidden {hidden}", "element of y", units, flops, size,
                outputs, arguments)  # fmt: skip


def recurrent_cases(quick: bool) -> tuple[Case, ...]:
    batch, steps, hidden = (3, 4, 5) if quick else (32, 16, 256)
    ways = ("forward", "backward")
    return (
        *(lstm_cell(way, batch, hidden) for way in ways),
        *(layer(kind, way, batch, steps, hidden) for kind in ("lstm", "gru", "rnn") for way in ways),
    )
