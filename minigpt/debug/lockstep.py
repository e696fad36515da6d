"""Two runs side by side, forward and backward, up to the first tensor that differs.

    found = mg.debug.diff_runs(model, mine, ids, targets)                       # two models
    found = mg.debug.diff_runs(model, model, ids, targets, rows=("numpy", "cpu"))
    found = mg.debug.diff_runs(model, model, ids, targets, dtypes=("float64", "float32"))
    found = mg.debug.diff_runs(model, arrays, ids, names={"transformer.h.0": "h.0"})   # another framework's activations
    found.first         # name, index, both values, and a verdict: "rounding" or "bug"

The first run is recorded; the second is held against it op by op, and ends at the first difference. What a verdict is
made of stands in `verdict.py`; named points in place of ops, in `point_differences.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..backend import current_row, use
from ..errors import ArgumentError
from ..observe import observing
from .computation import forward_backward
from .difference import Compared, Difference, RunDifference, Stop, compare, described, parted, tolerance_for
from .point_differences import against_arrays, by_module, leaf_difference
from .recorded_op import OpRecorder, RecordedOp
from .verdict import BUG, ROUNDING, UNKNOWN, judge

IN_FLOAT64 = 1e-10  # two runs in float64 that compute the same are nearer than that


def diff_runs(
    a, b, *inputs, loss: Callable | None = None, by: str = "op", parts: bool = False,
    rows: tuple = (None, None), dtypes: tuple = (None, None), tolerance: float | None = None,
    names: Mapping[str, str] | None = None, past_rounding: bool = False,
) -> RunDifference:  # fmt: skip
    """Run a(*inputs) and b(*inputs) with their backward, and stop at the first tensor out of tolerance.

    a, b:      Modules or functions, which may be one and the same; or b a dict from names to arrays, activations that
               another program has computed. Modules and float inputs are copied and stay as they are. Random numbers
               (dropout) have to be drawn alike on both sides, as copies of one model do.
    loss:      what a or b returns -> the Tensor to go back from; None: back from every Tensor they return, with the
               same gradients on both sides
    by:        "op": the result of every op, forward and backward, in order. The two have to run the same ops, or it is
               reported where they part. "module": the named points that `capture` knows and both have, then the
               gradients of parameters by name, for models that are built differently
    parts:     fused ops in parts, as "module" always has them: attention as scores, mask, softmax, weighted sum
    rows:      of the kernel table, for a and for b; None: the one in use
    dtypes:    float32 or float64 for a and for b; None: as they are. A function's own Tensors stay as they are
    tolerance: of max|Δ| / max|a|; None: 1e-4, or 1e-9 where both sides are float64
    names:     with arrays: name there -> name here, as `capture` gives it; the model's own result is "output".
               `<parameter>.grad` is the gradient of one
    past_rounding: go on after a difference that is rounding, to stop at the first that is not. A gradient that is zero
               but for rounding, as that of a bias which softmax takes out again, is one such. With by="op"
    Tolerances are by tensor; a gradient of a parameter is held against 1 % of the largest gradient if it is smaller.
    Memory: all results of one run, until it ends.
    Raises:    ArgumentError; what a or b raises
    """
    if by not in ("op", "module"):
        raise ArgumentError(f"diff_runs: by is 'op' or 'module', got {by!r}")
    for what, pair in (("rows", rows), ("dtypes", dtypes)):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ArgumentError(f"diff_runs: {what} are two, one for a and one for b, got {pair!r}")
    if tolerance is not None and not tolerance >= 0:
        raise ArgumentError(f"diff_runs: tolerance is a number from 0 up, got {tolerance!r}")
    run_a, run_b = (Side(fn, inputs, loss, row, d, parts) for fn, row, d in zip((a, b), rows, dtypes, strict=True))
    if isinstance(b, Mapping):
        return against_arrays(run_a, b, dict(names or {}), tolerance)
    if names is not None:
        raise ArgumentError("diff_runs: names= is for arrays of another program; two models are compared by their own")
    sides = _sides(rows, dtypes)
    if by == "module":
        return by_module(run_a, run_b, sides, tolerance)
    found = lockstep(run_a, run_b, sides, tolerance, past_rounding)
    if found.first is not None and found.first.verdict in (ROUNDING, UNKNOWN, ""):
        _again_in_float64(found.first, run_a, run_b, sides)
    elif found.first is None and found.rounding:
        again = _differs_in_float64(run_a, run_b, sides)
        found.first = again if again is not None and again.number <= found.rounding[-1].number else None
    return found


class Side:
    """One side: what to run, and how."""

    def __init__(self, fn, inputs, loss, row, dtype, parts):
        self.fn, self.inputs, self.loss, self.row, self.dtype, self.parts = fn, inputs, loss, row, dtype, parts

    def __call__(self, observer):
        """(outputs, leaves by name), watched by the observer."""
        with use(self.row or current_row().name) as row, observing(observer):
            return forward_backward(row.name, self.fn, self.inputs, "diff_runs", self.dtype, self.loss)

    @property
    def has_float64(self) -> bool:
        """Whether the row has that dtype; cuda has not."""
        return (self.row or current_row().name) != "cuda"

    def in_float64(self) -> Side:
        """The same in float64, on numpy where the row has none."""
        row = self.row if self.has_float64 else "numpy"
        return Side(self.fn, self.inputs, self.loss, row, np.float64, self.parts)


def lockstep(run_a, run_b, sides, tolerance, past_rounding=False) -> RunDifference:
    """Op by op; afterwards the gradients that the leaves were left with. past_rounding: stop at bugs only."""
    recorded: list[RecordedOp] = []
    _, leaves_a = run_a(OpRecorder(recorded.append, run_a.parts))
    found = RunDifference(sides, tolerance)
    met = 0

    def seen(b: RecordedOp):
        nonlocal met
        a = recorded[met] if met < len(recorded) else None
        first = _difference(met, a, b, found)
        met += 1
        if first is None:
            return
        if past_rounding and first.verdict == ROUNDING:
            found.rounding.append(first)
            return
        found.first = first
        raise Stop

    try:
        _, leaves_b = run_b(OpRecorder(seen, run_b.parts))
    except Stop:
        return found
    if met < len(recorded):
        found.first = parted(met, recorded[met], None, sides, found.tolerance)
    else:
        found.first = leaf_difference(leaves_a, leaves_b, met, found)
    return found


def _differs_in_float64(run_a, run_b, sides) -> Difference | None:
    """The first difference of the two runs in float64 that is no rounding, not even there."""
    again = lockstep(run_a.in_float64(), run_b.in_float64(), sides, IN_FLOAT64, past_rounding=True).first
    return again if again is not None and again.verdict in (BUG, "") and again.dtype == "float64" else None


def _again_in_float64(first: Difference, run_a, run_b, sides) -> None:
    """A small bug far above may look like rounding where it has grown out of tolerance. In float64 it stands alone."""
    again = _differs_in_float64(run_a, run_b, sides)
    if again is None or again.number > first.number:
        if not first.verdict:  # what was left in a leaf, which no op of its own made
            first.verdict, first.reason = ROUNDING, "in float64 the same two runs agree up to here"
        return
    first.verdict, first.off = BUG, again.off
    first.reason = f"in float64 the same runs still differ, which rounding cannot do: {again.reason}".rstrip(": ")
    if again.number < first.number:
        first.origin = again


def _sides(rows, dtypes) -> tuple[str, str]:
    """What the two are called: by their rows or dtypes where these tell them apart."""
    if rows[0] != rows[1]:
        first, second = (str(row or current_row().name) for row in rows)
        return first, second
    if dtypes[0] != dtypes[1]:
        first, second = ("as it is" if dtype is None else np.dtype(dtype).name for dtype in dtypes)
        return first, second
    return "a", "b"


def _difference(number, a, b, found) -> Difference | None:
    """Of one op; what agrees is noted."""
    tolerance, sides = found.tolerance, found.sides
    if a is None or b is None or a.direction != b.direction or len(a.results) != len(b.results):
        return parted(number, a, b, sides, tolerance)
    largest = 0.0
    for k, (x, y) in enumerate(zip(a.results, b.results, strict=True)):
        error, index = compare(x, y)
        tolerance = tolerance_for(found, x, y)
        if error <= tolerance:
            largest = max(largest, error)
            continue
        if a.op is not b.op and not _counterparts(a, b, tolerance):
            return parted(number, a, b, sides, tolerance)
        lines = [str(r.place.line) if r.place.line else "" for r in (a, b)]
        where = a.place.module or b.place.module
        first = described(number, a.direction, where, a.name, a.tensor(k), (x, y), found, error, index)
        first.lines = (lines[0], lines[1] if lines[1] != lines[0] else "")
        if index is None:
            first.verdict, first.reason = BUG, _nothing_flows(a, b, k, sides)
        else:
            first.verdict, first.off, first.reason = judge(a, b, k, index, sides)
        return first
    found.compared.append(Compared(number, a.direction, a.place.module, a.name, largest))
    return None


def _counterparts(a: RecordedOp, b: RecordedOp, tolerance) -> bool:
    """Whether two ops of different names are given the same, so that each is meant to be the other."""
    if len(a.inputs) != len(b.inputs) or [None if r is None else r.shape for r in a.results] != [
        None if r is None else r.shape for r in b.results
    ]:
        return False
    return all(compare(x, y)[0] <= tolerance for x, y in zip(a.inputs, b.inputs, strict=True))


def _nothing_flows(a, b, k, sides) -> str:
    lacking = [side for side, r in zip(sides, (a, b), strict=True) if r.results[k] is None]
    if not lacking:
        return "results of different shapes"
    return f"in {lacking[0]} no gradient goes to that input: was it detached, or made anew from an array?"
