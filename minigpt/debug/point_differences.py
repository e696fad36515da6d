"""Two runs compared at named points, for models that are built differently, or another program's activations.

Points are those of `capture`: outputs of modules and what modules label inside. After them, gradients of parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import ArgumentError
from ..inspect.points import NamedPoints, refuse_unmatched
from .difference import Compared, Difference, RunDifference, Stop, compare, described, tolerance_for
from .gradients import on_host
from .traced_op import FORWARD
from .verdict import BUG, ROUNDING, SAME, UNKNOWN

SMALL = 0.01  # of the largest gradient: what is below is held against that, since it may be nothing but rounding
GRADIENT = ".grad"


class PointRecorder(NamedPoints):
    """The observer that hands each named point of the outermost module to `seen(name, array)`."""

    def __init__(self, seen: Callable[[str, np.ndarray], None]):
        self._names, self._stack, self.seen = {}, [], seen

    def around_module(self, module, args, kwargs, proceed):
        if not self._stack:
            self._names = {id(inner): name for name, inner in module.named_modules()}
        return super().around_module(module, args, kwargs, proceed)

    def at(self, name, value):
        self.seen(name, value.numpy())
        return value


def by_module(run_a, run_b, sides, tolerance) -> RunDifference:
    """Both models, at the points that both have, in the order of b; a verdict by running both in float64."""
    found = _points(run_a, run_b, sides, tolerance)
    first = found.first
    if first is None or first.index is None:
        return found
    if not (run_a.has_float64 and run_b.has_float64):
        first.verdict, first.reason = UNKNOWN, "the cuda row has no float64; by='op' judges op by op"
        return found
    again = _points(run_a.in_float64(), run_b.in_float64(), sides, SAME).first
    if again is None or again.number > first.number:
        first.verdict, first.reason = ROUNDING, "in float64 the same two runs agree up to here"
    elif again.dtype == "float64":
        first.verdict = BUG
        first.reason = f"in float64 the same two runs still differ here, by {again.error:.1e}"
        if again.number < first.number:
            first.reason, first.origin = "in float64 the same two runs differ already before", again
    return found


def _points(run_a, run_b, sides, tolerance) -> RunDifference:
    recorded: dict[str, list[np.ndarray]] = {}
    _, leaves_a = run_a(PointRecorder(lambda name, array: recorded.setdefault(name, []).append(array)))
    found = RunDifference(sides, tolerance)
    met: dict[str, int] = {}

    def seen(name, array):
        k = met[name] = met.get(name, 0) + 1
        if k > len(recorded.get(name, ())):
            found.not_compared.append(name)
        else:
            compare_point(found, name, recorded[name][k - 1], array)

    try:
        _, leaves_b = run_b(PointRecorder(seen))
    except Stop:
        return found
    if not found.compared:
        raise ArgumentError(f"diff_runs: the two models have no named point in common; a has "
            f"{', '.join(recorded)[:300]}, "
                            f"b has {', '.join(met)[:300]}")  # fmt: skip
    found.not_compared += [name for name in recorded if met.get(name, 0) < len(recorded[name])]
    found.first = leaf_difference(leaves_a, leaves_b, len(found.compared), found)
    return found


def compare_point(found: RunDifference, name: str, a, b) -> None:
    """Note that a point agrees, or stop at it."""
    number = len(found.compared)
    error, index = compare(a, b)
    if error <= tolerance_for(found, a, b):
        found.compared.append(Compared(number, FORWARD, name, "", error))
        return
    found.first = described(number, FORWARD, name, "", "output", (a, b), found, error, index)
    if index is None:
        found.first.verdict, found.first.reason = BUG, "results of different shapes"
    raise Stop


def leaf_difference(leaves_a, leaves_b, number, found: RunDifference) -> Difference | None:
    """The first leaf that both have and whose `.grad` differs."""
    pairs = [
        (name, *(None if t.grad is None else on_host(t.grad) for t in (leaves_a[name], leaves_b[name])))
        for name in leaves_a if name in leaves_b
    ]  # fmt: skip
    found.not_compared += [f"{name}{GRADIENT}" for name in leaves_a.keys() ^ leaves_b.keys()]
    return gradient_difference(pairs, number, found)


def gradient_difference(pairs, number, found: RunDifference) -> Difference | None:
    """pairs: (name of a parameter, its gradient or None on each side)"""
    floor = SMALL * max((float(np.abs(a).max()) for _, a, _ in pairs if a is not None and a.size), default=0.0)
    for name, a, b in pairs:
        if a is None and b is None:
            continue
        error, index = compare(a, b)
        if index is not None and (largest := float(np.abs(a).max())) < floor:
            error *= largest / floor if largest else 0.0
            if not largest:
                error = float(np.abs(b).max()) / floor
        if error <= tolerance_for(found, a, b):
            found.compared.append(Compared(number, "gradient", name + GRADIENT, "", error))
            number += 1
            continue
        first = described(number, "gradient", name + GRADIENT, "", "gradient", (a, b), found, error, index)
        if index is None:
            lacking = [side for side, g in zip(found.sides, (a, b), strict=True) if g is None]
            first.verdict = BUG
            first.reason = f"in {lacking[0]} no path leads to it" if lacking else "results of different shapes"
        return first
    return None


def against_arrays(run, arrays, names, tolerance) -> RunDifference:
    """One model, against arrays by name; a verdict by running the model in float64."""
    unknown = [name for name in names if name not in arrays]
    if unknown:
        raise ArgumentError(f"diff_runs: names= speaks of {unknown[0]!r}, which is not among the arrays")
    wanted = {names.get(name, name): np.asarray(array) for name, array in arrays.items()}
    gradients = {n.removesuffix(GRADIENT): array for n, array in wanted.items() if n.endswith(GRADIENT)}
    points = {name: array for name, array in wanted.items() if not name.endswith(GRADIENT)}
    if not gradients:
        run.loss = lambda _: None  # forward only
    found = RunDifference(("model", "arrays"), tolerance)
    met: dict[str, int] = {}

    def seen(name, array):
        met[name] = met.get(name, 0) + 1
        if name in points and met[name] == 1:
            points[name] = _without_leading_ones(points[name], array.shape)
            compare_point(found, name, array, points[name])
        elif name not in points:
            found.not_compared.append(name)

    try:
        _, leaves = run(PointRecorder(seen))
    except Stop:
        if found.first is not None:
            _judge_arrays(found.first, run, points)
        return found
    refuse_unmatched(points, met)
    refuse_unmatched(gradients, leaves)
    pairs = [(n, None if leaves[n].grad is None else on_host(leaves[n].grad), g) for n, g in gradients.items()]
    found.first = gradient_difference(pairs, len(found.compared), found)
    if found.first is not None:
        _judge_arrays(found.first, run, points | {n + GRADIENT: g for n, g in gradients.items()})
    return found


def _without_leading_ones(array, shape):
    """What was computed for a batch of 1, or with other axes of length 1 in front, in the shape that it has here."""
    extra = array.ndim - len(shape)
    return array.reshape(shape) if extra > 0 and array.shape == (1,) * extra + shape else array


def _judge_arrays(first: Difference, run, wanted) -> None:
    """The model in float64 is what both are held against: it is rounding if the arrays are about as near to it as the
    model itself."""
    if first.index is None or first.a is None:
        return
    truths: dict[str, np.ndarray] = {}

    def seen(name, array):
        truths.setdefault(name, array)

    _, leaves = run.in_float64()(PointRecorder(seen))
    truths |= {n + GRADIENT: on_host(t.grad) for n, t in leaves.items() if t.grad is not None}
    truth = truths[first.where]
    theirs = compare(truth, wanted[first.where])[0]
    ours = abs(first.a - float(truth[first.index])) / (float(np.abs(truth).max()) or 1.0)
    eps = np.finfo(wanted[first.where].dtype).eps if wanted[first.where].dtype.kind == "f" else 0.0
    if theirs <= 10 * max(ours, 4 * eps):
        first.verdict, first.reason = (
            ROUNDING,
            f"the model in float64 is {ours:.1e} from the model, {theirs:.1e} from the arrays",
        )
        return
    first.verdict = BUG
    first.reason = (f"the model agrees with itself in float64 to {ours:.1e} there, the arrays are {theirs:.1e} "
                    "from it: "
                    "the two do not compute the same")  # fmt: skip
