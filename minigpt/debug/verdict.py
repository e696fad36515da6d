"""Rounding or bug? An op whose two results differ is asked again in float64, where rounding is a billion times smaller.

1. Did the two get the same numbers? A parameter or constant that differs is a bug, and the op is not to blame.
2. Does each side's result agree with its own formula in float64, on its own inputs? If not, its kernel is wrong.
3. Do the two formulas agree on the same inputs? If not, they compute different things. For a gradient, a finite
   difference of the forward says which of them is wrong.
4. Otherwise it is rounding.

What rounding explains: how far the float64 result moves when every input is moved by about one unit in its last place,
x (1 ± eps) with random signs, times 32, and 4 eps of the largest element. A careful algorithm loses no more on the
inputs that it has (Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 1.5: backward error).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import MiniGPTError
from ..finite_differences import central_difference
from .comparison import relative_error
from .recorded_op import RecordedOp, in_float64, rerun
from .traced_op import BACKWARD

ROUNDING, BUG, PARTED, UNKNOWN = "rounding", "bug", "parted", "unknown"
MOVES, ULPS, DRAWS = 32, 4, 2
SAME = 1e-9  # relative, of two results in float64


class Verdict(NamedTuple):
    """kind: rounding, bug, parted (not the same ops) or unknown; off: the side that is wrong, "" if neither is or it
    cannot be told; reason: in words"""

    kind: str
    off: str
    reason: str


def judge(a: RecordedOp, b: RecordedOp, k: int, index: tuple | None, sides: tuple[str, str]) -> Verdict:
    """On the k-th result of two ops that differ, worst at index."""
    try:
        with np.errstate(all="ignore"):  # masked scores are -Inf on purpose
            return _judge(a, b, k, index, sides)
    except (MiniGPTError, ValueError, TypeError, AttributeError) as error:
        return Verdict(UNKNOWN, "", f"the op cannot be run again in float64: {type(error).__name__}: {error}")


def _judge(a, b, k, index, sides):
    other_inputs = _different_leaf(a, b, sides)
    if other_inputs:
        return Verdict(BUG, "", other_inputs)
    truths = []
    for side, record in zip(sides, (a, b), strict=True):
        truth, allowed = truth_and_rounding(record, k)
        truths.append(truth)
        off = _distance(record.results[k], truth)
        if not off <= allowed:
            return Verdict(BUG, side, f"{side} is off by {off:.2g} from its own formula in float64 on the same inputs, "
                                      f"where rounding explains {allowed:.1g}")  # fmt: skip
    crossed = rerun(b, a.inputs, a.incoming)[k]
    if relative_error(crossed, truths[0]) <= SAME:
        return Verdict(ROUNDING, "", "in float64 both compute the same from the same inputs, and each is within "
                                     f"rounding of that; {allowed:.1g} is what rounding explains here")  # fmt: skip
    reason = f"from the same inputs, in float64, they still differ by {_distance(crossed, truths[0]):.2g}"
    how = _how_they_differ(a, b, sides)
    reason += f": {how}" if how else ""
    wrong = ""
    if a.direction == BACKWARD and index is not None:
        wrong, words = _by_finite_difference(a, b, k, index, sides)
        reason += words
    return Verdict(BUG, wrong, reason)


def truth_and_rounding(record: RecordedOp, k: int) -> tuple[np.ndarray, float]:
    """(the k-th result in float64, how far from it rounding can lead)"""
    eps = np.finfo(record.results[k].dtype).eps
    truth = rerun(record, record.inputs, record.incoming)[k]
    rng, moved = np.random.default_rng(0), 0.0
    for _ in range(DRAWS):
        inputs, incoming = (
            [_jittered(x, eps, rng) for x in arrays or ()] for arrays in (record.inputs, record.incoming)
        )
        again = rerun(record, inputs, incoming if record.incoming is not None else None)[k]
        moved = max(moved, _distance(again, truth))
    return truth, MOVES * moved + ULPS * float(eps) * _largest(truth)


def _jittered(x, eps, rng):
    if x is None or x.dtype.kind != "f":
        return x
    return in_float64(x) * (1 + eps * rng.choice([-1.0, 1.0], x.shape))


def _distance(x, y) -> float:
    """max|x - y|; infinite where one is NaN or Inf and the other is not the same"""
    off = np.array(np.abs(x - y))
    off[np.isnan(off)] = np.inf
    off[(x == y) | (np.isnan(x) & np.isnan(y))] = 0.0
    return float(off.max(initial=0.0))


def _largest(x) -> float:
    """max|x| of what is finite"""
    x = np.abs(x)
    return float(x[np.isfinite(x)].max(initial=0.0))


def _different_leaf(a: RecordedOp, b: RecordedOp, sides) -> str:
    """A parameter or constant that the two got different numbers of, in words; "" if none."""
    if len(a.inputs) != len(b.inputs):
        return ""
    for i, (x, y) in enumerate(zip(a.inputs, b.inputs, strict=True)):
        if not (a.leaves[i] and b.leaves[i]):
            continue
        eps = max((np.finfo(z.dtype).eps for z in (x, y) if z.dtype.kind == "f"), default=0.0)
        error = relative_error(y, x)
        if error > 4 * eps:
            what = a.names[i] or b.names[i]
            numbers = f" is {x.item():.5g} in {sides[0]}, {y.item():.5g} in {sides[1]}" if x.size == y.size == 1 else (
                f" differs between {sides[0]} and {sides[1]} by {error:.1e} of its largest element"
            )  # fmt: skip
            return f"input {i}{f' ({what})' if what else ''}, which no op computed,{numbers}"
    return ""


def _how_they_differ(a: RecordedOp, b: RecordedOp, sides) -> str:
    if a.op is not b.op:
        return f"{sides[0]} runs {a.op.__name__}, {sides[1]} {b.op.__name__}"
    for key in a.settings.keys() | b.settings.keys():
        x, y = a.settings.get(key), b.settings.get(key)
        if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
            if not np.array_equal(np.asarray(x), np.asarray(y)):
                return f"another {key}"
        elif x != y:
            return f"{key} is {x!r} in {sides[0]}, {y!r} in {sides[1]}"
    return ""


def _by_finite_difference(a, b, k, index, sides) -> tuple[str, str]:
    """(the side whose gradient is wrong, what to say)"""
    wrong, slopes = [], []
    for side, record in zip(sides, (a, b), strict=True):
        slope, given = finite_difference(record, k, index), float(record.results[k][index])
        slopes.append(slope)
        if abs(slope - given) > 1e-3 * max(abs(slope), abs(given), *(abs(float(r.results[k][index])) for r in (a, b))):
            wrong.append(side)
    if len(wrong) != 1:
        return "", ""
    slope = slopes[sides.index(wrong[0])]
    return wrong[0], f"; a finite difference there gives {slope:.5g}, so {wrong[0]} is off"


def finite_difference(record: RecordedOp, k: int, index: tuple) -> float:
    """d (outputs · incoming gradients) / d inputs[k][index], central, in float64."""
    inputs = [None if x is None else in_float64(x) for x in record.inputs]
    moved = inputs[k] = in_float64(record.inputs[k]).copy()

    def value():
        outputs = rerun(record, inputs)
        return sum((y * g).sum() for y, g in zip(outputs, record.incoming or (), strict=True) if g is not None)

    return central_difference(value, moved, index, 1e-5 * max(1.0, abs(float(moved[index]))))
