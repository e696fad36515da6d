"""Why an op gave NaN or Inf, in words: each op that can has the inputs for which it does.

exp(x)      x above 88.7 in float32 (709 in float64): e^x has no such number
log(x)      x = 0 gives -Inf, x < 0 gives NaN
a / b       b = 0
sqrt(x)     x < 0 gives NaN; the slope 1 / (2 sqrt x) is infinite at 0
a ^ b       a < 0 with a fractional b; a = 0 with b < 0
products    sums beyond the largest number of the type: weights or activations that have grown
"""

from __future__ import annotations

import numpy as np

from ..display import describe

GROWN = 1e4  # weights of a healthy model are far below
BARS = " ▁▂▃▄▅▆▇█"
BINS = 24


def not_finite(x: np.ndarray) -> str:
    """`3 NaN and 1 Inf of 64`, or "" if all is finite."""
    nan, inf = int(np.isnan(x).sum()), int(np.isinf(x).sum())
    counts = [f"{n:,} {name}" for n, name in ((nan, "NaN"), (inf, "Inf")) if n]
    return f"{' and '.join(counts)} of {x.size:,}" if counts else ""


def histogram(x: np.ndarray) -> str:
    """One line of bars over the finite values, from the smallest to the largest; heights by the square root of counts,
    so that a few far away can be seen."""
    finite = x[np.isfinite(x)].astype(np.float64)
    if finite.size < 2 or finite.min() == finite.max():
        return ""
    scale = max(np.abs(finite).max(), 1.0)  # the difference of 1e308 and -1e308 does not exist
    counts, _ = np.histogram(finite / scale, BINS)
    heights = np.sqrt(counts / counts.max())
    bars = "".join(BARS[int(np.ceil(h * (len(BARS) - 1)))] for h in heights)
    return f"{finite.min():.3g} |{bars}| {finite.max():.3g}"


def operand(i: int, x: np.ndarray, name: str | None) -> str:
    """One input for an error message: what it is called, its numbers, and how they are spread."""
    bars = histogram(x) if x.dtype.kind == "f" else ""
    return f"  input {i}{f' ({name})' if name else ''}: {describe(x)}" + (f"\n    {bars}" if bars else "")


def cause_forward(op: str, inputs: list, settings: dict, parameters: list) -> str:
    """The likely cause of a NaN or Inf that forward gave. inputs: arrays or None; parameters: (name, array)."""
    for i, x in enumerate(inputs):
        if x is not None and x.dtype.kind == "f" and np.isnan(x).any():
            return f"input {i} already holds NaN"
    found = _CAUSES.get(op, lambda *_: "")(inputs, settings)
    return found or _grown(inputs, parameters)


def cause_backward(op: str, inputs: list, grads_out: list) -> str:
    """The likely cause of a NaN or Inf in the gradients that an op's backward gave."""
    x = inputs[0] if inputs else None
    if op == "Sqrt" and x is not None and (x == 0).any():
        return f"the slope of sqrt is infinite at 0, and {_count(x == 0)} of the inputs are 0: add a little under it"
    if op in ("Log", "Div") and (b := inputs[-1]) is not None:
        nearly_zero = np.abs(b) < np.finfo(b.dtype).tiny ** 0.5
        if nearly_zero.any():
            what = "log" if op == "Log" else "the quotient"
            return f"the slope of {what} is 1 / x or more, and {_count(nearly_zero)} inputs are 0 or nearly so"
    if op in ("Pow", "PowNumber") and x is not None and (x == 0).any():
        return f"the slope of a power below 1 is infinite at 0, and {_count(x == 0)} bases are 0"
    largest = max((float(np.abs(g).max()) for g in grads_out if g is not None and g.size), default=0.0)
    if largest > 1e15:
        return (
            f"the gradient that came in is already as large as {largest:.2g}: it grew on its way, look at later layers"
        )
    return _grown(inputs, [])


def _exp(inputs, settings):
    limit = np.log(np.finfo(inputs[0].dtype).max)
    over = inputs[0] > limit
    if over.any():
        return (
            f"exp overflow: {_count(over)} inputs are above {limit:.1f}, where e^x is beyond {inputs[0].dtype}. "
            "Subtract the row's maximum first, or use F.softmax, F.log_softmax, F.cross_entropy, which do"
        )
    return ""


def _log(inputs, settings):
    zero, below = inputs[0] == 0, inputs[0] < 0
    if below.any():
        return f"log of a negative number: {_count(below)} inputs are below 0"
    if zero.any():
        return f"log of zero: {_count(zero)} inputs are 0. For log(softmax(x)) use F.log_softmax, else add a little"
    return ""


def _divide(inputs, settings):
    zero = inputs[1] == 0
    if zero.any():
        return (
            f"division by zero: {_count(zero)} divisors are 0. A standard deviation is 0 where all numbers of a row "
            "are equal, a sum of exps where all of a row is masked: add eps, or leave such rows out"
        )
    return ""


def _sqrt(inputs, settings):
    below = inputs[0] < 0
    if below.any():
        return f"square root of a negative number: {_count(below)} inputs are below 0 (a variance by E[x²] - E[x]²?)"
    return ""


def _power(inputs, settings):
    a = inputs[0]
    b = inputs[1] if len(inputs) > 1 and inputs[1] is not None else np.asarray(settings.get("exponent", 1.0))
    a, b = np.broadcast_arrays(a, b)
    fractional = (a < 0) & (b != np.floor(b))
    if fractional.any():
        return f"a negative number to a fractional power: {_count(fractional)} times"
    if ((a == 0) & (b < 0)).any():
        return f"division by zero: 0 to a negative power, {_count((a == 0) & (b < 0))} times"
    return ""


def _cross_entropy(inputs, settings):
    logits, targets = inputs[0], inputs[1]
    rows = logits.reshape(-1, logits.shape[-1])  # (N, V)
    if np.isneginf(rows).all(axis=-1).any():
        return "a fully masked row: all its logits are -Inf, so it has no probabilities"
    flat = targets.reshape(-1)
    chosen = rows[np.arange(len(flat)), np.clip(flat, 0, rows.shape[1] - 1)]  # (N,)
    if np.isneginf(chosen).any():
        return f"the target itself is masked: the logit of {_count(np.isneginf(chosen))} targets is -Inf, probability 0"
    return ""


def _grown(inputs, parameters) -> str:
    for name, array in parameters:
        largest = np.abs(array).max() if array.size else 0.0
        if largest > GROWN:
            return (
                f"the weights {name} have grown to {largest:.2g}: a learning rate that is too high, or gradients that "
                "nobody clips (optim.clip_grad_norm_), some steps ago"
            )
    largest = max(
        (float(np.abs(x[np.isfinite(x)]).max(initial=0)) for x in inputs if x is not None and x.dtype.kind == "f"),
        default=0.0,
    )
    if largest > 1e15:
        return f"numbers as large as {largest:.2g} go in: their products or sums are beyond the type's range"
    return ""


def _count(where) -> str:
    return f"{int(where.sum()):,} of {where.size:,}"


_CAUSES = {
    "Exp": _exp,
    "Log": _log,
    "Div": _divide,
    "Sqrt": _sqrt,
    "Pow": _power,
    "PowNumber": _power,
    "CrossEntropy": _cross_entropy,
}
