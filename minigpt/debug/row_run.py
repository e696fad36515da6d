"""One computation on one row of the kernel table, forward and backward, with every op's result kept."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..backend import use
from ..errors import ArgumentError
from ..nn import Module
from ..observe import observing
from ..ops import Label
from ..tensor import Tensor
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
            self.values.append([np.array(t.numpy()) for t in _tensors(outputs)])
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
            _forward_backward(row, fn, inputs)
        values = _Values()
        with trace() as seen, observing(values):
            outputs, leaves = _forward_backward(row, fn, inputs)
    if seen.dropped:
        raise ArgumentError(f"this computation has more than {seen.limit:,} ops: compare a smaller part of it")
    gradients = {name: on_host(t.grad) for name, t in leaves.items() if t.grad is not None}
    return RowRun(seen.rows, values.values, [np.array(t.numpy()) for t in outputs], gradients, seen.seconds,
                  seen.peak_bytes)  # fmt: skip


def _forward_backward(row, fn, inputs):
    """(Tensors that came out, leaves by name). Each float output is given the same gradient on every row."""
    leaves: dict[str, Tensor] = {}
    given = [_copied(row, x, f"input {i}", leaves) for i, x in enumerate(inputs)]
    run = _copied(row, fn, "", leaves) if isinstance(fn, Module) else fn
    outputs = _tensors(run(*given))
    if not outputs:
        raise ArgumentError("compare_backends: fn must return a Tensor, or a tuple with Tensors in it")
    rng = np.random.default_rng(0)
    roots = [t for t in outputs if t.requires_grad]
    for k, t in enumerate(roots):
        grad = np.ones(t.shape, t.dtype) if t.size == 1 else rng.standard_normal(t.shape).astype(t.dtype)
        t.backward(Tensor(grad), retain_graph=k + 1 < len(roots))
    return outputs, leaves


def _copied(row, x, name, leaves):
    """A copy of an input where the row can reach it; what can have a gradient is noted as a leaf."""
    if isinstance(x, Module):
        module = copy.deepcopy(x).to(row)
        leaves.update((f"{name}.{key}" if name else key, p) for key, p in module.named_parameters())
        return module
    if isinstance(x, Tensor):
        leaf = Tensor(np.array(x.numpy()), x.requires_grad, x.name)
    elif isinstance(x, np.ndarray) and x.dtype.kind == "f":
        leaf = Tensor(np.array(x), requires_grad=True)
    else:
        return x
    if leaf.requires_grad:
        leaves[leaf.name or name] = leaf
    return leaf


def _tensors(outputs) -> list[Tensor]:
    return [t for t in (outputs if isinstance(outputs, tuple | list) else (outputs,)) if isinstance(t, Tensor)]
