"""The same computation on every row of the kernel table, op by op: how far apart, how long, how many bytes.

def loss(model, ids, targets):
    return model(ids, targets)[1]

found = mg.debug.compare_backends(loss, model, ids, targets)
found.worst("cpu")
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..backend import backends
from ..cuda_state import simulated
from ..display import Text
from ..errors import ArgumentError, MiniGPTError
from .row_process import run_in_process
from .row_run import RowRun, run_on_row
from .trace_text import aligned, si
from .traced_op import BACKWARD

REFERENCE, NO_JIT, SIMULATOR = "numpy", "cpu, JIT disabled", "cuda simulator"
ROWS = (REFERENCE, "cpu", NO_JIT, "cuda", SIMULATOR)


@dataclass
class OpError:
    """One op: how far each row is from numpy, as max|Δ| / max|numpy's|; inf for NaN where numpy has none."""

    number: int
    direction: str
    module: str
    op: str
    errors: dict[str, float]


@dataclass
class BackendComparison:
    """What `compare_backends` found.

    runs        row -> RowRun, numpy first; skipped: row -> why it was not run
    ops         every op with its errors; they grow from op to op, since each row goes on with its own numbers
    outputs     row -> error of what fn returned, the largest; gradients: row -> name of the input -> error
    differ      row -> the first op where it did something else than numpy, in words; what follows is not compared
    """

    tolerance: float
    runs: dict[str, RowRun] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    ops: list[OpError] = field(default_factory=list)
    outputs: dict[str, float] = field(default_factory=dict)
    gradients: dict[str, dict[str, float]] = field(default_factory=dict)
    differ: dict[str, str] = field(default_factory=dict)

    @property
    def compared(self) -> list[str]:
        """The rows beside numpy that ran."""
        return [row for row in self.runs if row != REFERENCE]

    def worst(self, row: str) -> float:
        """The largest error of that row, over ops, outputs and gradients."""
        if row not in self.compared:
            raise ArgumentError(f"{row!r} was not compared: {self.skipped.get(row, 'no such row')}")
        per_op = [op.errors[row] for op in self.ops if row in op.errors]
        return max([*per_op, self.outputs[row], *self.gradients[row].values()], default=0.0)

    @property
    def ok(self) -> bool:
        """Whether every row did the same ops and stays within the tolerance."""
        return not self.differ and all(self.worst(row) <= self.tolerance for row in self.compared)

    def first_wrong(self, row: str) -> OpError | None:
        """The first op beyond the tolerance: the place to look at."""
        return next((op for op in self.ops if op.errors.get(row, 0.0) > self.tolerance), None)

    def table(self) -> Text:
        """Each op in a line: numpy's time and bytes, then error and time of every other row."""
        columns = ["#", "", "module", "op", "bytes", "numpy ms"]
        for row in self.compared:
            columns += [row, "ms"]
        reference = self.runs[REFERENCE]
        body = []
        for op in self.ops:
            traced = reference.ops[op.number]
            cells = [f"{op.number}", "back" if op.direction == BACKWARD else "", op.module, op.op, si(traced.bytes),
                     f"{traced.seconds * 1e3:.3f}"]  # fmt: skip
            for row in self.compared:
                there = row in op.errors
                cells.append(self._shown(op.errors[row]) if there else "-")
                cells.append(f"{self.runs[row].ops[op.number].seconds * 1e3:.3f}" if there else "-")
            body.append(cells)
        lines = aligned(columns, body, right={0, *range(4, len(columns))}) if body else ["no op ran"]
        return Text("\n".join([*lines, "", *self._summary()]))

    def _summary(self) -> list[str]:
        lines = ["errors are max|Δ| / max|numpy's|, ! beyond " + f"{self.tolerance:g}"]
        for row, run in self.runs.items():
            line = f"{row}: {run.seconds * 1e3:.1f} ms in ops, peak activation memory {si(run.peak_bytes)}B"
            if row != REFERENCE:
                gradients = self.gradients[row]
                line += f"; outputs off by {self._shown(self.outputs[row])}"
                if gradients:
                    worst = max(gradients, key=lambda name: gradients[name])
                    line += f", gradients by {self._shown(gradients[worst])} ({worst})"
                if (wrong := self.first_wrong(row)) is not None:
                    way = " backward" if wrong.direction == BACKWARD else ""
                    line += (
                        f"; the first op that is off: {wrong.number} {wrong.op}{way} in {wrong.module or 'no module'}"
                    )
                if row in self.differ:
                    line += f"; {self.differ[row]}"
            lines.append(line)
        return lines + [f"{row}: not run: {reason}" for row, reason in self.skipped.items()]

    def _shown(self, error: float) -> str:
        return f"{error:.1e}{'!' if not error <= self.tolerance else ''}"

    def __repr__(self):
        return f"<BackendComparison: {', '.join(f'{row} {self._shown(self.worst(row))}' for row in self.compared)}>"


def compare_backends(
    fn: Callable, *inputs, rows=None, tolerance: float = 1e-4, seconds: float = 60.0, show: bool = True
) -> BackendComparison:
    """Run fn(*inputs) and its backward on every row that is available, compare each op with numpy's, print the table.

    fn:        returns a Tensor or a tuple with Tensors; or a Module. Run twice where kernels are compiled.
    inputs:    float arrays become Tensors with gradients; Tensors and Modules are copied, Modules with their parameters
               moved to the row; all else (ids, masks, settings) is passed on as it is. What fn takes from elsewhere (a
               model in a closure) stays where it is: hand it in as an input.
    rows:      some of numpy, cpu, "cpu, JIT disabled", cuda, "cuda simulator"; None: all that work here, the simulator
               only where there is no card. JIT disabled and the simulator need a fresh process, so fn has to be
               importable there: a function at the top of a file, no lambda. They are slow: give small inputs.
    tolerance: relative error from which on an op is marked
    seconds:   after which a fresh process is stopped
    show:      print the table
    All results of all ops are kept on the host until the end. Random numbers (dropout) have to be seeded by fn.
    Raises:    ArgumentError for an unknown row or a fn that returns no Tensor; what fn raises on numpy. What keeps
               another row from running is in `.skipped`.
    """
    unknown = sorted(set(rows or ()) - set(ROWS))
    if unknown:
        raise ArgumentError(f"compare_backends: unknown rows {unknown}; there are {', '.join(ROWS)}")
    found = BackendComparison(tolerance)
    found.runs[REFERENCE] = run_on_row(REFERENCE, fn, inputs, warm=True)
    for row, how in _ways(fn, inputs, seconds).items():
        if rows is not None and row not in rows:
            continue
        if isinstance(how, str):
            found.skipped[row] = how
            continue
        try:
            found.runs[row] = how()
        except MiniGPTError as error:
            found.skipped[row] = str(error)
    for row in found.compared:
        _compare(found, row)
    if show:
        print(found.table())
    return found


def _ways(fn, inputs, seconds) -> dict[str, Callable[[], RowRun] | str]:
    """Row -> how to run it, or why not."""
    usable = backends()
    ways: dict[str, Callable[[], RowRun] | str] = {}
    for row in ("cpu", "cuda"):
        state = usable[row]
        label = SIMULATOR if row == "cuda" and simulated() else row
        ways[label] = partial(run_on_row, row, fn, inputs, warm=label != SIMULATOR) if state is True else str(state)
    if usable["cpu"] is True:
        if os.environ.get("NUMBA_DISABLE_JIT") == "1":
            ways[NO_JIT] = "NUMBA_DISABLE_JIT=1 is set here, so the cpu row itself runs without"
        else:
            ways[NO_JIT] = partial(run_in_process, "cpu", fn, inputs, {"NUMBA_DISABLE_JIT": "1"}, seconds)
    if SIMULATOR not in ways and usable["cuda"] is not True:
        if importlib.util.find_spec("greenlet") is None:
            ways[SIMULATOR] = "the simulated card needs greenlet: python -m pip install greenlet"
        else:
            ways[SIMULATOR] = partial(run_in_process, "cuda", fn, inputs, {"MINIGPT_CUDA_SIMULATOR": "1"}, seconds)
    return {row: ways[row] for row in ROWS if row in ways}


def _compare(found: BackendComparison, row: str) -> None:
    reference, run = found.runs[REFERENCE], found.runs[row]
    for i, traced in enumerate(reference.ops):
        if len(found.ops) <= i:
            found.ops.append(OpError(i, traced.direction, traced.module, traced.op, {}))
        other = run.ops[i] if i < len(run.ops) else None
        if other is None or (other.op, other.direction) != (traced.op, traced.direction):
            what = "nothing" if other is None else f"{other.op} {other.direction}"
            found.differ[row] = f"op {i} is {traced.op} {traced.direction} on numpy and {what} here"
            break
        found.ops[i].errors[row] = _largest(run.values[i], reference.values[i])
    else:
        if len(run.ops) > len(reference.ops):
            found.differ[row] = f"{len(run.ops) - len(reference.ops)} more ops than on numpy"
    found.outputs[row] = _largest(run.outputs, reference.outputs)
    found.gradients[row] = {
        name: relative_error(run.gradients.get(name), gradient) for name, gradient in reference.gradients.items()
    }


def _largest(got: list, wanted: list) -> float:
    if len(got) != len(wanted):
        return np.inf
    return max((relative_error(a, b) for a, b in zip(got, wanted, strict=True)), default=0.0)


def relative_error(got, wanted) -> float:
    """max|got - wanted| / max|wanted|; inf for another shape, or where only one of the two is NaN or infinite."""
    if got is None or wanted is None:
        return 0.0 if got is wanted else np.inf
    if got.shape != wanted.shape:
        return np.inf
    a, b = got.astype(np.float64), wanted.astype(np.float64)
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(a[finite]).all():
        return np.inf
    if not finite.any():
        return 0.0
    off, scale = np.abs(a[finite] - b[finite]).max(), np.abs(b[finite]).max()
    return float(off / scale) if scale else (0.0 if off == 0 else np.inf)
