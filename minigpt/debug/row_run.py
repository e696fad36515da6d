"""One computation on one row of the kernel table, forward and backward, with every op's result kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..backend import use
from ..errors import ArgumentError
from ..observe import observing
from ..ops import Label
from .computation import forward_backward, tensors_of
from .gradients import on_host
from .traced_op import TracedOp
from .tracing import trace


@dataclass
class RowRun:
    """What one row made of the computation. Arrays are on the host.

    ops         every op in order, as a trace has it; values: the arrays that it gave, None for a gradient not wanted
    outputs     what the function returned; gradients: of the inputs that have one, by name
    seconds     in ops; peak_bytes: of activations
    """

    ops: list[TracedOp] = field(default_factory=list)
    values: list[list] = field(default_factory=list)
    outputs: list[np.ndarray] = field(default_factory=list)
    gradients: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0
    peak_bytes: int = 0


class _Values:
    """The observer that copies what each op gives."""

    def __init__(self):
        self.values: list[list] = []

    def around_op(self, op, inputs, settings, proceed):
        outputs = proceed()
        if op is not Label:
            self.values.append([np.array(t.numpy()) for t in tensors_of(outputs)])
        return outputs

    def around_backward(self, node, grads_out, proceed):
        grads_in = proceed()
        if node.op is not Label:
            self.values.append([None if g is None else on_host(g) for g in grads_in])
        return grads_in


def run_on_row(row: str, fn: Callable, inputs: tuple, warm: bool) -> RowRun:
    """Run fn and its backward on copies of the inputs; `warm`: once before that, so that nothing is compiled."""
    with use(row):
        if warm:
            forward_backward(row, fn, inputs, "compare_backends")
        values = _Values()
        with trace() as seen, observing(values):
            outputs, leaves = forward_backward(row, fn, inputs, "compare_backends")
    if seen.dropped:
        raise ArgumentError(f"this computation has more than {seen.limit:,} ops: compare a smaller part of it")
    gradients = {name: on_host(t.grad) for name, t in leaves.items() if t.grad is not None}
    return RowRun(seen.rows, values.values, [np.array(t.numpy()) for t in outputs], gradients, seen.seconds,
                  seen.peak_bytes)  # fmt: skip
