"""How many floating-point operations each op takes, forward and backward: one table, one rule for counting.

The rule: a multiply-add counts 2, any other addition, multiplication, division, comparison or square root of floats 1,
an exp, log or erf EXP, about what its polynomial takes. What the formula needs is counted, not what a kernel happens to
compute: causal attention counts the pairs of a query and a key that it may see, half of the square. A mask given as an
array is not looked at: it counts as if it let everything pass. Moving, gathering and renaming elements, integer
arithmetic and random masks count 0. Work that belongs to a row rather than to its elements (the one division behind a
mean) is left out.

`needs` says which inputs want a gradient; backward counts what those take. An op that broadcast an input adds its
gradient up over the repeated axes: one addition for each element. Adding up the gradients of a tensor that is used
twice belongs to no op and is not counted.

For a GPT this gives the rule of thumb of 6 N T for a training step on T tokens (Kaplan et al. 2020, section 2.1), N the
weights that multiply, beside attention; tests hold the table to it and to counts by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

EXP = 20  # about what the polynomial of kernels/cpu/jit.py takes: range reduction, degree 7, power of two
BEND = EXP + 3  # sigmoid or tanh: one exp, an addition, a division, a factor


class Work(NamedTuple):
    """One application of an op, as far as its cost depends on it. Shapes; None stands for an input left out."""

    inputs: tuple[tuple[int, ...] | None, ...]
    outputs: tuple[tuple[int, ...], ...]
    settings: dict[str, Any]
    needs: tuple[bool, ...]

    @property
    def size(self) -> int:
        """Elements of the first output."""
        return prod(self.outputs[0])

    def read(self, i: int = 0) -> int:
        """Elements of input i."""
        return prod(self.inputs[i] or ())

    def wants(self, i: int) -> bool:
        return i < len(self.needs) and self.needs[i] and self.inputs[i] is not None


def flops(op: type, work: Work) -> int | None:
    """Of forward; None for an op that the table does not know."""
    return _counted(op, work, 0)


def backward_flops(op: type, work: Work) -> int | None:
    """Of backward, for the inputs that want a gradient; None for an op that the table does not know."""
    return _counted(op, work, 1)


def _counted(op, work, column):
    row = TABLE.get(op.__name__) if op.__module__.startswith("minigpt.ops.") else None
    return None if row is None else int(row[column](work))


# --- rows of the table: two functions of the work, forward and backward -------------------------------------------


def per_output(forward: float, *backward: float):
    """So many for each element of the output; backward for each input in turn, the last figure for all further ones."""

    def back(w: Work):
        wanted = [i for i in range(len(w.inputs)) if w.wants(i)]
        unbroadcast = sum(w.size for i in wanted if w.read(i) < w.size)
        return unbroadcast + sum(w.size * backward[min(i, len(backward) - 1)] for i in wanted)

    return (lambda w: forward * w.size), back


def per_input(forward: float, backward: float):
    """So many for each element of the first input: reductions."""
    return (lambda w: forward * w.read()), (lambda w: backward * w.read())


def _power(w: Work):
    return w.size * (1 if w.settings.get("exponent") == 2 else 2 * EXP + 1)  # x * x, or exp(e ln x)


def _product(w: Work) -> int:
    """2 n k m for each matrix of the stack: y (..., n, m), the inner axis k is the last one of a."""
    return 2 * w.size * (w.inputs[0] or (1,))[-1]


def _matmul_back(w: Work):
    stack, repeated = prod(w.outputs[0][:-2]), 0
    for i in (0, 1):
        shape = w.inputs[i] or ()
        if w.wants(i) and len(shape) > 1 and prod(shape[:-2]) < stack and not (i == 1 and len(shape) == 2):
            repeated += stack * prod(shape[-2:])  # its gradients are added up; b alone is one tall product instead
    return _product(w) * (w.wants(0) + w.wants(1)) + repeated


def _linear(w: Work):
    return _product(w) + w.size * sum(x is not None for x in w.inputs[2:])  # bias, residual


def _linear_back(w: Work):
    return _product(w) * (w.wants(0) + w.wants(1)) + w.size * w.wants(2)  # dbias: a sum over the rows


def _layer_norm(w: Work):
    return w.size * (6 + sum(p is not None for p in w.inputs[1:]))  # sum, - mean, square, sum, - mean, * rstd; * w, + b


def pairs(Tq: int, Tk: int, causal: bool) -> int:
    """Of a query and a key that it may attend to; causal: j <= i + Tk - Tq."""
    return sum(min(Tk, max(0, i + Tk - Tq + 1)) for i in range(Tq)) if causal else Tq * Tk


def _heads(w: Work) -> tuple[int, int]:
    """(pairs of all heads, D)"""
    causal, shape = bool(w.settings.get("causal")), w.inputs[0] or ()
    if len(shape) == 4:  # q (B, H, Tq, D)
        B, H, Tq, D = shape
        return B * H * pairs(Tq, (w.inputs[1] or shape)[2], causal), D
    B, T, C3 = shape  # packed q, k, v
    H, cache = w.settings["n_head"], w.settings.get("cache")
    return B * H * pairs(T, T if cache is None else cache.length, causal), C3 // 3 // H


def _attention(w: Work):
    n, D = _heads(w)
    return n * (2 * 2 * D + 4 + EXP)  # scores and weighted sum; scale, maximum, difference, sum; exp


def _attention_back(w: Work):
    n, D = _heads(w)
    return n * (5 * 2 * D + 4 + EXP) + 2 * w.size  # scores again, dv, dweights, dq, dk; sum_d dy_d y_d


def recurrent(gates: int, bends: int, forward: int, backward: int, bends_back: int = 0):
    """A layer over all steps, y (B, T, hidden): h @ W_hh^T, then the gates' elements; backward: dh and dW_hh."""

    def product(w: Work):
        return 2 * gates * w.outputs[0][-1]

    return (
        lambda w: w.size * (product(w) + bends * BEND + forward),
        lambda w: w.size * (2 * product(w) + bends_back * BEND + backward),
    )


NOTHING = per_output(0, 0)
_GELU = per_output(6 + EXP, 15 + EXP)

# name of the op -> (forward, backward); what the figures consist of is the op's formula, in minigpt/ops/
TABLE: dict[str, tuple[Callable[[Work], float], Callable[[Work], float]]] = {
    # arithmetic
    "Add": per_output(1, 0),
    "Sub": per_output(1, 0, 1),
    "Mul": per_output(1, 1),
    "Div": per_output(1, 1, 3),
    "Pow": per_output(2 * EXP + 1, 2 * EXP + 4, EXP + 2),
    "PowNumber": (_power, lambda w: _power(w) + 2 * w.size),
    "Neg": per_output(1, 1),
    "Abs": per_output(1, 2),
    "Exp": per_output(EXP, 1),
    "Log": per_output(EXP, 1),
    "Sqrt": per_output(1, 2),
    "Compare": per_output(1, 0),
    "Where": NOTHING,
    "Cast": NOTHING,
    "Label": NOTHING,
    # activation, dropout
    "ReLU": per_output(1, 1),
    "Tanh": per_output(BEND, 3),
    "Sigmoid": per_output(BEND, 3),
    "GELU": _GELU,
    "Dropout": per_output(1, 1),
    # many to one
    "Sum": per_input(1, 0),
    "Mean": per_input(1, 0),
    "Max": per_input(1, 2),
    "Var": per_input(4, 2),
    "Softmax": per_output(4 + EXP, 4),
    "LogSoftmax": per_output(4 + EXP, 3 + EXP),
    "LayerNorm": (_layer_norm, lambda w: 15 * w.size),
    "CrossEntropy": per_input(3 + EXP, 4 + EXP),
    # arrangement
    "Reshape": NOTHING,
    "Transpose": NOTHING,
    "Slice": NOTHING,
    "Concatenate": NOTHING,
    "BroadcastTo": NOTHING,  # backward adds up: per_output counts that
    "Gather": (lambda w: 0, lambda w: w.size),
    "Embedding": (lambda w: 0, lambda w: w.size),
    # matrices
    "MatMul": (_product, _matmul_back),
    "Linear": (_linear, _linear_back),
    "LinearGELU": (lambda w: _linear(w) + _GELU[0](w), lambda w: _linear_back(w) + (15 + EXP) * w.size),
    "BiasResidual": per_output(2, 0),
    "Int8Linear": (lambda w: _product(w) + w.size * (1 + sum(x is not None for x in w.inputs[3:])), lambda w: 0),
    "Int8Embedding": per_output(1, 0),
    # attention
    "Attention": (_attention, _attention_back),
    "AttentionQKV": (_attention, _attention_back),
    "AttentionCached": (_attention, lambda w: 0),
    # recurrent: gates, bends forward, element-wise work forward and backward, bends backward
    "RNN": recurrent(1, 1, 0, 3),
    "LSTM": recurrent(4, 5, 4, 22, bends_back=1),
    "GRU": recurrent(3, 3, 6, 16),
    "LSTMCell": (lambda w: w.size * (5 * BEND + 4), lambda w: w.size * (BEND + 22)),
}
