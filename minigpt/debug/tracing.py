"""Every op of a computation in a table: what ran, where in the model, how long, on how many bytes, how many FLOPs.

    with mg.trace() as t:
        _, loss = model(ids, targets)
        loss.backward()
    t.table()       # one line an op, in order, and the totals
    t.totals()      # by kind of op: the cost ledger, with the share of this machine's roofline
    t.svg()         # the modules as a timeline
    t.to_csv("trace.csv")

This file watches; `traced_op.py` is what it writes down, `trace_text.py` and `trace_svg.py` show it.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..backend import current_row, row_of
from ..errors import ArgumentError
from ..nn import Module
from ..observe import observing
from ..ops import Label
from ..ops.embedding import RowGradient
from ..tensor import Tensor
from .flops import Work, backward_flops, flops
from .memory import LiveMemory
from .place import ModulePaths
from .roofline import Peaks, machine_peaks, wait_for
from .source import Line, users_line
from .traced_op import BACKWARD, FORWARD, OpTotal, TracedOp

LIMIT = 20_000  # rows that a table keeps unless told otherwise


class _Origin(NamedTuple):
    """What backward shows of the forward that made its node."""

    module: str
    parameters: tuple[str, ...]
    line: Line | None
    flops: int | None
    call: int


@dataclass
class _Thread:
    """Which call of an outermost module one thread is in, and its latest results, which may still get a name."""

    number: int
    call: int = 0
    latest: deque = field(default_factory=lambda: deque(maxlen=32))  # (reference to a Tensor, its TracedOp)


class Trace(ModulePaths):
    """The observer behind `mg.trace()`, and what it saw.

    rows     list of TracedOp, in order; the first `limit` of them. dropped: how many more there were
    totals   counts all of them, as does peak_bytes: the most bytes that results, and what ops saved for backward, took
             at once (parameters, inputs and gradients are not among them)
    elapsed  seconds from the beginning of the block to its end
    """

    def __init__(self, limit: int = LIMIT, parts: bool = False, model: Module | None = None):
        if limit < 0:
            raise ArgumentError(f"trace: limit is a number of rows from 0 up, got {limit}")
        super().__init__(model)
        self.limit, self.wants_parts = limit, parts
        self.rows: list[TracedOp] = []
        self.dropped = 0
        self.elapsed = 0.0
        self.memory = LiveMemory()
        self._ledger: dict[tuple[str, str, str], OpTotal] = {}
        self._origins: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # node on the tape -> _Origin
        self._threads: dict[int, _Thread] = {}
        self._calls = 0
        self._lock = threading.Lock()

    # --- watching -----------------------------------------------------------------------------------------

    def around_module(self, module, args, kwargs, proceed):
        if self.path:
            return super().around_module(module, args, kwargs, proceed)
        thread = self._thread()
        with self._lock:
            self._calls += 1
            thread.call = self._calls
        try:
            return super().around_module(module, args, kwargs, proceed)
        finally:
            thread.call = 0

    def around_op(self, op, inputs, settings, proceed):
        if op is Label:  # a name for the result of the op before, nothing is computed
            for made, traced in self._thread().latest:
                if made() is inputs[0]:
                    traced.name = settings["name"]
            return proceed()
        start, line = time.perf_counter(), users_line()
        try:
            outputs = proceed()
        except BaseException as error:
            self._note(op, inputs, (), start, line, error=type(error).__name__)
            raise
        results = [t for t in (outputs if isinstance(outputs, tuple) else (outputs,)) if isinstance(t, Tensor)]
        self._note(op, inputs, results, start, line, settings)
        return outputs

    def around_backward(self, node, grads_out, proceed):
        if node.op is Label:
            return proceed()
        start, saved = time.perf_counter(), [a for a in node.ctx.saved if a is not None]
        grads_in = proceed()
        row, origin = node.ctx.row.name, self._origins.get(node, _Origin("", (), None, None, 0))
        wait_for(row)
        seconds = time.perf_counter() - start
        given, made = [g for g in grads_out if g is not None], [g for g in grads_in if g is not None]
        # What is handed on as it came costs nothing, nor does a RowGradient: it is added up later, outside of the op.
        fresh = [g for g in made if not isinstance(g, RowGradient) and not _shared(node.ctx.row, g, given)]
        moved = [*given, *saved, *fresh] if fresh else []
        traced = TracedOp(
            0, BACKWARD, node.op.__name__, origin.module, _shapes(given), _shapes(made), seconds,
            sum(a.nbytes for a in moved), origin.flops, origin.line, row, origin.parameters, call=origin.call,
        )  # fmt: skip
        self._keep(traced)
        return grads_in

    def _note(self, op, inputs, results, start, line, settings=None, error=""):
        """Write down one forward."""
        first = results[0].data if results else None
        row = (row_of(first) if first is not None else None) or current_row()
        wait_for(row.name)
        seconds = time.perf_counter() - start
        thread = self._thread()
        given = [t.data for t in inputs if t is not None]
        made = [t.data for t in results]
        node = results[0]._node if results else None
        saved = [a for a in node.ctx.saved if a is not None] if node is not None else []
        self.memory.add([*made, *saved], besides=given)
        view = op.view and made and _shared(row, made[0], given[:1])
        moved = 0 if view or error else sum(a.nbytes for a in made) + _bytes_read(op, given, made)
        work = Work(
            tuple([None if t is None else t.shape for t in inputs]), _shapes(made), settings or {},
            node.ctx.needs if node is not None else (),
        )  # fmt: skip
        module = self.path
        parameters = tuple([self.name_of(t) or "" for t in inputs if module and self.is_parameter(t)])
        if node is not None:
            origin = _Origin(module, parameters, line, backward_flops(op, work), thread.call)
            with self._lock:
                self._origins[node] = origin
        traced = TracedOp(
            0, FORWARD, op.__name__, module, work.inputs, work.outputs, seconds, moved,
            None if error else flops(op, work), line, row.name, parameters, call=thread.call, error=error,
        )  # fmt: skip
        thread.latest.extend((weakref.ref(t), traced) for t in results)
        self._keep(traced)

    def _keep(self, traced: TracedOp):
        traced.thread = self._thread().number
        with self._lock:
            traced.number = len(self.rows) + self.dropped
            if len(self.rows) < self.limit:
                self.rows.append(traced)
            else:
                self.dropped += 1
            key = (traced.direction, traced.op, traced.row)
            total = self._ledger.setdefault(key, OpTotal(*key))
            total.calls += 1
            total.seconds += traced.seconds
            total.bytes += traced.bytes
            total.flops += traced.flops or 0
            total.unknown += traced.flops is None

    def _thread(self) -> _Thread:
        key = threading.get_ident()
        if key not in self._threads:
            with self._lock:
                self._threads.setdefault(key, _Thread(len(self._threads)))
        return self._threads[key]

    # --- asking -------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """In ops, forward and backward; what is left of `elapsed` passed between them, or was spent on watching."""
        return sum(total.seconds for total in self._ledger.values())

    @property
    def threads(self) -> int:
        """That were seen."""
        return len(self._threads)

    @property
    def flops(self) -> int:
        return sum(total.flops for total in self._ledger.values())

    @property
    def peak_bytes(self) -> int:
        return self.memory.peak

    def ledger(self) -> list[OpTotal]:
        """One OpTotal for each kind of op, direction and row; the longest first."""
        return sorted(self._ledger.values(), key=lambda total: -total.seconds)

    def peaks(self) -> dict[str, Peaks | None]:
        """What this machine can do, measured when first asked (a quarter of a second), for each row that was used."""
        return {row: machine_peaks(row) for row in dict.fromkeys(total.row for total in self._ledger.values())}

    def table(self, most: int | None = None):
        """Every op in a line and the totals, as text; `most` leaves out what is between the first and last ones."""
        from .trace_text import table

        return table(self, most)

    def totals(self):
        """By kind of op: calls, time, FLOPs, bytes, share of the roofline; peak activation memory. As text."""
        from .trace_text import totals

        return totals(self)

    def to_csv(self, path=None) -> str | Path:
        """The table for a spreadsheet, shapes as `8x64x128`: written to a file whose path is returned, else as text."""
        from .trace_text import to_csv

        return to_csv(self, path)

    def svg(self, path=None) -> Any:
        """Modules and their ops as a timeline, widths by time; written to a file whose path is returned, else as text
        that a notebook shows as a picture."""
        from .trace_svg import svg

        return svg(self, path)

    def __repr__(self):
        work = f"{self.seconds * 1e3:.1f} ms, {self.flops / 1e6:,.3f} MFLOP"
        return f"<Trace of {len(self.rows) + self.dropped} ops, {work}>"

    def _repr_html_(self):
        from .trace_text import html

        return html(self)


@contextmanager
def trace(limit: int = LIMIT, parts: bool = False, model: Module | None = None) -> Iterator[Trace]:
    """Write down every op that runs inside the block, and the backward of each; yields a Trace.

    limit:  rows that are kept, each about 1 KB; a longer loop goes on being counted in the totals
    parts:  run fused ops as separate ones, so that attention weights and scores have lines of their own; another
            computation than without, and slower
    model:  whose names to use; None: those inside the outermost module that is called. Needed where a method other
            than the call itself, as model.loss_sum, runs modules of its own accord
    Traces may lie inside each other; each sees all of what runs in its block. A block that ends with an exception
    leaves the rows up to the op that raised, which is the last one. Seen are this thread and those that take its
    context over (contextvars.copy_context), as the trainer's workers do. Watching takes about 0.1 ms an op, which lies
    between the ops' times, not in them; ops on a card are waited for one by one.
    Raises: ArgumentError for a negative limit
    """
    seen = Trace(limit, parts, model)
    start = time.perf_counter()
    with observing(seen):
        try:
            yield seen
        finally:
            seen.elapsed = time.perf_counter() - start


def _shapes(arrays) -> tuple[tuple[int, ...], ...]:
    return tuple([tuple(a.shape) for a in arrays])


def _bytes_read(op, given, made) -> int:
    """Of a table only the rows that are looked up; of all else everything."""
    if op.__name__ in ("Embedding", "Gather") and made:
        return made[0].nbytes + sum(a.nbytes for a in given if a.dtype.kind in "iu")
    return sum(a.nbytes for a in given)


def _shared(row, array, others) -> bool:
    """Whether the array lies in the memory of one of the others."""
    return array.size > 0 and any(row.shares_memory(array, other) for other in others)
