"""Every op of a run with its numbers, and that op once more in float64: what a verdict on a difference needs."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import use
from ..ops import Label
from ..ops.op import Op
from ..tensor import Tensor, no_grad
from .computation import tensors_of
from .gradients import on_host
from .place import ModulePaths, Place
from .source import users_line
from .traced_op import BACKWARD, FORWARD


@dataclass
class RecordedOp:
    """One op that ran, forward or backward, arrays on the host.

    inputs   of the forward, None where one was left out; names: of those that have one; leaves: made by no op
    needs    which inputs want a gradient
    results  forward: the outputs; backward: the gradients of the inputs, None for one that is not wanted
    incoming backward: the gradients of the outputs, None for one that is not used
    """

    direction: str
    op: type[Op]
    place: Place
    settings: dict[str, Any]
    inputs: list
    names: list[str]
    leaves: list[bool]
    needs: list[bool]
    results: list
    incoming: list | None = None

    @property
    def name(self) -> str:
        """`Softmax`, `Softmax.backward`"""
        return self.op.__name__ + (".backward" if self.direction == BACKWARD else "")

    def tensor(self, k: int) -> str:
        """What the k-th result is called."""
        if self.direction == FORWARD:
            return "output" if len(self.results) == 1 else f"output {k}"
        return f"gradient of input {k}" + (f" ({self.names[k]})" if self.names[k] else "")


class OpRecorder(ModulePaths):
    """The observer that hands each op that has run to `seen`."""

    def __init__(self, seen: Callable[[RecordedOp], None], parts: bool = False):
        super().__init__()
        self.seen, self.wants_parts = seen, parts
        self._outside = users_line()  # where the run is asked for: no op's own line
        self._made: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # node on the tape -> RecordedOp

    def around_op(self, op, inputs, settings, proceed):
        outputs = proceed()
        if op is Label:
            return outputs
        results = tensors_of(outputs)
        record = RecordedOp(
            FORWARD, op, Place(self.path, self._line()), settings, [None if t is None else t.numpy() for t in inputs],
            ["" if t is None else self.name_of(t) or "" for t in inputs],
            [t is not None and t._node is None for t in inputs], [t is not None and t.requires_grad for t in inputs],
            [t.numpy() for t in results],
        )  # fmt: skip
        if results and results[0]._node is not None:
            self._made[results[0]._node] = record
        self.seen(record)
        return outputs

    def _line(self):
        line = users_line()
        return None if line == self._outside else line

    def around_backward(self, node, grads_out, proceed):
        incoming = [None if g is None else on_host(g) for g in grads_out]
        grads_in = proceed()
        made = self._made.get(node)
        if made is not None:  # else it was made outside of what is watched, or it is a Label
            results = [None if g is None else on_host(g) for g in grads_in]
            self.seen(RecordedOp(BACKWARD, made.op, made.place, made.settings, made.inputs, made.names, made.leaves,
                                 made.needs, results, incoming))  # fmt: skip
        return grads_in


def rerun(record: RecordedOp, inputs: list, incoming: list | None = None) -> list:
    """The op once more in float64 with the formulas of the numpy row: its outputs, or with `incoming` the gradients."""
    settings = {key: _host(value) for key, value in record.settings.items()}
    wanted = [incoming is not None and need for need in record.needs]
    with use("numpy"):
        given = [
            None if x is None else Tensor(in_float64(x), need) for x, need in zip(inputs, wanted, strict=True)
        ]  # fmt: skip
        if incoming is None:
            with no_grad():
                return [t.numpy() for t in tensors_of(record.op.apply(*given, **settings))]
        outputs = tensors_of(record.op.apply(*given, **settings))
        grads = [np.zeros(t.shape) if g is None else in_float64(g) for t, g in zip(outputs, incoming, strict=True)]
        node: Any = outputs[0]._node
        return [None if g is None else on_host(g) for g in node.backward(grads)]


def in_float64(x: np.ndarray) -> np.ndarray:
    """Floats in float64, all else as it is."""
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def _host(value):
    """A mask that lies on a card, as a NumPy array; anything else as it is."""
    return (
        Tensor(value).numpy() if hasattr(value, "shape") and not isinstance(value, np.ndarray | np.generic) else value
    )
