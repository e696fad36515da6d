"""The problems on which the CPU kernels are measured, and how much work each of them is.

FLOPs are those that the formula needs, the same for all rungs of a ladder: a rung that computes more (the masked half
of the scores, say) gets no credit for it. An exp counts as EXP of them. Integer arithmetic (the hash that makes
dropout's mask) does not count. Bytes are those that must move at least: each input read once, each output written once.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import load
from ..debug.flops import EXP
from ..errors import BackendError


@dataclass(frozen=True)
class Case:
    """One problem for all rungs of one ladder.

    arguments(rng) makes the arrays and settings, by the names that the rungs give their parameters; every rung takes
    those that it asks for. `elements`, `flops` and `bytes` are of one such set; a run goes through `parts` of them.
    """

    kernel: str
    shape: str
    per: str  # what `elements` counts
    elements: int
    flops: float
    bytes: float
    outputs: tuple[str, ...]  # parameters that a rung writes; (): it returns its result
    arguments: Callable[[np.random.Generator], dict[str, Any]]
    parts: int = 1
    in_place: bool = False  # most of what it writes, it has read at the same place

    def make(self, rung, sets: list[dict[str, Any]]) -> Callable[[], Any]:
        """A function that calls the rung on each of `sets` and returns what the last call returned."""
        names = self.parameters(rung, sets[0])
        calls = [[given[name] for name in names] for given in sets]

        def run():
            for arguments in calls:
                result = rung.function(*arguments)
            return result

        return run

    def memory(self, rung, given: dict[str, Any]) -> int:
        """Bytes of all arrays that the rung gets."""
        arrays = (given[name] for name in self.parameters(rung, given))
        return sum(a.nbytes for a in arrays if getattr(a, "ndim", 0))  # on the host or on a card

    def parameters(self, rung, given: dict[str, Any]) -> list[str]:
        """The names of what the rung takes. Raises BackendError if one of them is not among what is given."""
        names = list(inspect.signature(getattr(rung.function, "py_func", rung.function)).parameters)
        unknown = [name for name in names if name not in given]
        if unknown:
            raise BackendError(
                f"rung {rung.number} of {rung.kernel} takes {', '.join(unknown)}, which its case in "
                f"minigpt/bench/kernels_cases.py does not give; it gives {', '.join(given)}"
            )
        return names


def floats(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


def blank(*shape):
    """Memory for a result: NaN, so that what a rung leaves out is seen."""
    return np.full(shape, np.nan, np.float32)


# --- matmul, activation, softmax ------------------------------------------------------------------------------


def matmul(n, k, m):
    def arguments(rng):
        return {"a": floats(rng, n, k), "b": floats(rng, k, m), "y": blank(n, m)}

    size = 4 * (n * k + k * m + n * m)
    return Case("matmul", f"({n}, {k}) @ ({k}, {m})", "element of y", n * m, 2 * n * k * m, size, ("y",), arguments)


def gelu(direction, n, c):
    def arguments(rng):
        x, dy = floats(rng, 2, n * c)
        return {"x": x, "y": blank(n * c), "dy": dy, "dx": blank(n * c)}

    flops, arrays, output = {"forward": (6 + EXP, 2, "y"), "backward": (15 + EXP, 3, "dx")}[direction]
    size = n * c
    return Case(f"gelu_{direction}", f"{n} x {c}", "element", size, flops * size, 4 * arrays * size, (output,),
                arguments)  # fmt: skip


def softmax(direction, n, c):
    def arguments(rng):
        x, dy = floats(rng, n, c), floats(rng, n, c)
        given = {"x": x, "y": blank(n, c)}
        return given if direction == "forward" else {"dy": dy, "y": load("numpy").softmax_forward(x), "dx": blank(n, c)}

    flops, arrays, output = {"forward": (4 + EXP, 2, "y"), "backward": (4, 3, "dx")}[direction]
    size = n * c
    return Case(f"softmax_{direction}", f"{n} rows of {c}", "element", size, flops * size, 4 * arrays * size,
                (output,), arguments)  # fmt: skip


# --- attention: one set of arguments is one head ---------------------------------------------------------------


def attention(direction, heads, t, d):
    """Causal. Two products forward; five backward, since the scores are computed again."""
    scale = 1 / d**0.5

    def arguments(rng):
        q, k, v, dy = (floats(rng, t, d) for _ in range(4))
        given = {
            "q": q, "k": k, "v": v, "causal": True, "scale": scale, "y": blank(t, d), "lse": blank(t),
            "has_mask": False, "mask": np.ones((1, 1), bool), "p": 0.0, "first": 0, "key": np.uint64(0),
            "threshold": np.uint64(0), "factor": np.float32(1),
        }  # fmt: skip
        if direction == "forward":
            return {**given, "scores": blank(t, t)}
        y, lse = load("numpy").attention_forward(*(x[None, None] for x in (q, k, v)), None, True, scale)
        gradients = {"dq": blank(t, d), "dk": blank(t, d), "dv": blank(t, d)}
        scratch = {"weights": blank(t, t), "dweights": blank(t, t)}
        return {**given, "dy": dy, "y": y[0, 0], "lse": lse[0, 0], **gradients, **scratch}

    pairs = t * (t + 1) // 2  # of a query and a key that it may attend to
    outputs = ("y", "lse") if direction == "forward" else ("dq", "dk", "dv")
    if direction == "forward":
        flops, arrays = (2 * 2 * d + 4 + EXP) * pairs, 4
    else:
        flops, arrays = (5 * 2 * d + 4 + EXP) * pairs + 2 * t * d, 8
    return Case(f"attention_{direction}", f"{heads} heads, T {t}, D {d}, causal", "element of y", t * d, flops,
                4 * (arrays * t * d + t), outputs, arguments, parts=heads)  # fmt: skip


def attention_single(heads, t, d):
    """One new token that sees t others."""

    def arguments(rng):
        return {
            "q": floats(rng, d), "k": floats(rng, t, d), "v": floats(rng, t, d), "scale": np.float32(1 / d**0.5),
            "y": blank(d), "scores": blank(t), "has_mask": False, "mask": np.ones(1, bool),
        }  # fmt: skip

    return Case("attention_single", f"{heads} heads, {t} keys, D {d}", "key", t, (4 * d + 4 + EXP) * t, 8 * t * d,
                ("y",), arguments, parts=heads)  # fmt: skip


# --- layernorm, cross_entropy -----------------------------------------------------------------------------------


def layernorm(direction, n, c):
    def arguments(rng):
        x, dy, weight, bias = floats(rng, n, c), floats(rng, n, c), floats(rng, c), floats(rng, c)
        given = {"x": x, "weight": weight, "bias": bias, "eps": 1e-5}
        if direction == "forward":
            return {**given, "y": blank(n, c), "mean": blank(n, 1), "rstd": blank(n, 1)}
        _, mean, rstd = load("numpy").layernorm_forward(x, weight, bias)
        out = {"dx": blank(n, c), "dweight": blank(c), "dbias": blank(c)}
        return {**given, "dy": dy, "mean": mean, "rstd": rstd, **out}

    work = {"forward": (8, 2, ("y", "mean", "rstd")), "backward": (15, 3, ("dx", "dweight", "dbias"))}
    flops, arrays, outputs = work[direction]
    return Case(f"layernorm_{direction}", f"{n} rows of {c}", "element", n * c, flops * n * c,
                4 * (arrays * n * c + 2 * n + 3 * c), outputs, arguments)  # fmt: skip


def cross_entropy(direction, n, v):
    def arguments(rng):
        logits, targets = floats(rng, n, v), rng.integers(0, v, n)
        given = {"logits": logits, "targets": targets, "ignore_index": -100, "smoothing": 0.0}
        if direction == "forward":
            return {**given, "losses": blank(n), "maxima": blank(n), "log_sums": blank(n)}
        _, maxima, log_sums = load("numpy").cross_entropy_forward(logits, targets)
        dloss = np.full(n, 1 / n, np.float32)
        return {**given, "dloss": dloss, "maxima": maxima, "log_sums": log_sums, "dlogits": blank(n, v)}

    outputs = ("losses", "maxima", "log_sums") if direction == "forward" else ("dlogits",)
    flops, arrays = {"forward": (3 + EXP, 1), "backward": (4 + EXP, 2)}[direction]
    return Case(f"cross_entropy_{direction}", f"{n} rows, V {v}", "logit", n * v, flops * n * v,
                4 * arrays * n * v + 20 * n, outputs, arguments)  # fmt: skip


def int8_linear(n, k, m):
    """Every weight is read once, whatever the number of rows n."""

    def arguments(rng):
        q, scale = load("numpy").int8_quantize(floats(rng, m, k))
        return {"x": floats(rng, n, k), "q": q, "scale": scale, "y": blank(n, m)}

    return Case("int8_linear", f"{n} row{'s' * (n > 1)}, in {k}, out {m}", "weight", k * m, 2 * n * k * m,
                k * m + 4 * (m + n * k + n * m), ("y",), arguments)  # fmt: skip


# --- embedding, dropout, optimizer, reduce ---------------------------------------------------------------------


def embedding(direction, n, v, c):
    def arguments(rng):
        ids = rng.integers(0, v, n)
        if direction == "forward":
            return {"ids": ids, "weight": floats(rng, v, c), "y": blank(n, c)}
        return {"dy": floats(rng, n, c), "ids": ids, "dweight": np.zeros((v, c), np.float32)}

    rows = min(n, v)  # of the table that are touched, at most
    flops, moved, outputs = (0, n + rows, ("y",)) if direction == "forward" else (n * c, n + 2 * rows, ("dweight",))
    return Case(f"embedding_{direction}", f"{n} ids, V {v}, C {c}", "element of y", n * c, flops, 4 * moved * c + 8 * n,
                outputs, arguments)  # fmt: skip


def dropout(n, c, p=0.2):
    def arguments(rng):
        return {
            "x": floats(rng, n * c), "start": 0, "key": np.uint64(2026), "threshold": np.uint64(round(p * 2**32)),
            "scale": np.float32(1 / (1 - p)), "y": blank(n * c),
        }  # fmt: skip

    return Case("dropout", f"{n} x {c}", "element", n * c, n * c, 8 * n * c, ("y",), arguments)


def adam(n):
    lr, beta1, beta2, decay, step = 1e-4, 0.9, 0.99, 0.1, 10

    def arguments(rng):
        p, g, m = (floats(rng, n) for _ in range(3))
        settings = {
            "step": step, "lr": lr, "beta1": beta1, "beta2": beta2, "eps": 1e-8, "weight_decay": decay,
            "decoupled": True,
        }  # fmt: skip
        return {"p": p, "g": g, "m": m, "v": m * m, **settings}

    return Case("adam_step", f"{n / 1e6:.3g}M parameters", "parameter", n, 16 * n, 28 * n, ("p", "m", "v"), arguments,
                in_place=True)  # fmt: skip


def squared_norm(n):
    return Case("squared_norm", f"{n / 1e6:.3g}M elements", "element", n, 2 * n, 4 * n, (),
                lambda rng: {"x": floats(rng, n)})  # fmt: skip


@functools.cache
def cases(quick: bool = False) -> tuple[Case, ...]:
    """All problems, from a step of the shapes `baby` and `char` (see shapes.py); quick: tiny ones, to see them run."""
    from .kernels_cases_recurrent import recurrent_cases  # here: that file needs what stands above

    n, c, t, d, v = (6, 20, 10, 4, 9) if quick else (2048, 384, 256, 64, 50257)
    heads, some, small, size = (2, 5, 7, 1000) if quick else (48, 256, 65, 768 * 3072)
    both = ("forward", "backward")
    return (
        matmul(6, 8, 10) if quick else matmul(768, 128, 512),
        *(gelu(way, n, 4 * c) for way in both),
        *(softmax(way, n, t) for way in both),
        *(attention(way, heads, t, d) for way in both),
        attention_single(heads, t, d),
        int8_linear(1, 2 * c, 6 * c if quick else v),
        int8_linear(4, 2 * c, 6 * c if quick else v),
        int8_linear(16, 2 * c, 6 * c if quick else v),
        *(layernorm(way, n, c) for way in both),
        *(cross_entropy(way, n, small) for way in both),
        *(cross_entropy(way, some, v) for way in both),
        *(embedding(way, n, small, c) for way in both),
        dropout(n, c),
        *recurrent_cases(quick),
        adam(size),
        squared_norm(size),
    )
