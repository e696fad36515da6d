"""The first NaN or Inf stops the program where it appears, in place of a loss that is NaN a thousand ops later.

with mg.debug.anomaly():
    _, loss = model(ids, targets)
    loss.backward()

NumericsError: Exp gave 4 Inf of 64 in h.0.attn, at train.py:12: e = scores.exp()
  likely cause: exp overflow: 4 of 64 inputs are above 88.7 …
  input 0: (8, 8) float32 in [-3, 95], mean 1.2 ± 30
    -3 |█▂▁ …▁| 95
"""

from __future__ import annotations

import threading
import warnings
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import GraphError, NumericsError
from ..observe import observing
from ..ops.embedding import RowGradient
from ..tensor import Tensor
from .causes import cause_backward, cause_forward, not_finite, operand
from .place import ModulePaths, Place
from .source import users_line


class _Pass(threading.local):
    """How far the backward pass of one thread is."""

    def __init__(self):
        self.last_number = -1.0  # of the node that it was at
        self.met: set[int] = set()  # leaves that it has met
        self.stale = False  # whether one of them held a gradient before


class Anomalies(ModulePaths):
    """The observer behind `anomaly()`: looks at every result, forward and backward."""

    def __init__(self, accumulating: bool):
        super().__init__()
        self.accumulating = accumulating
        self._made: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # node -> (Place, checksums of saved)
        self._pass = _Pass()
        self._stale: list[str] = []
        self._stale_passes = 0

    def around_op(self, op, inputs, settings, proceed):
        place = Place(self.path, users_line())
        with np.errstate(all="ignore"):  # what NumPy would warn of is what is looked for here, and said better
            outputs = proceed()
        arrays = [None if t is None else t.numpy() for t in inputs]
        for t in outputs if isinstance(outputs, tuple) else (outputs,):
            if isinstance(t, Tensor) and t.dtype.kind == "f":
                self._check_result(op, t.numpy(), inputs, arrays, settings, place)
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        if isinstance(first, Tensor) and first._node is not None:
            saved = [_checksum(a) for a in first._node.ctx.saved]
            self._made[first._node] = (place, saved)
        return outputs

    def _check_result(self, op, result, inputs, arrays, settings, place):
        problem = not_finite(result)
        if not problem:
            return
        if not np.isnan(result).any() and not np.isposinf(result).any() and any(map(_has_minus_inf, arrays)):
            return  # a mask of -Inf, put in on purpose, passes through
        parameters = [
            (self.name_of(t), a) for t, a in zip(inputs, arrays, strict=True) if t is not None and self.is_parameter(t)
        ]
        leaf = self._bad_leaf(inputs, arrays)
        cause = leaf or cause_forward(op.__name__, arrays, settings, parameters)
        raise NumericsError(self._message(f"{op.__name__} gave {problem}", place, cause, inputs, arrays))

    def _bad_leaf(self, inputs, arrays) -> str:
        for i, (t, a) in enumerate(zip(inputs, arrays, strict=True)):
            if t is None or t._node is not None or a.dtype.kind != "f" or not np.isnan(a).any():
                continue
            name = self.name_of(t)
            if self.is_parameter(t):
                return f"the parameter {name} already holds NaN: an earlier update made it, look at the step before"
            return (
                f"input {i}{f' ({name})' if name else ''} came in with NaN: it was not computed here, look at the data"
            )
        return ""

    def around_backward(self, node, grads_out, proceed):
        if node.number >= self._pass.last_number:
            self._pass.met.clear()  # the numbers count down within one backward(): this is another one
            self._pass.stale = False
        self._pass.last_number = node.number
        place, checksums = self._made.get(node, (Place("", None), None))
        if checksums is not None and not node.freed:
            for array, before in zip(node.ctx.saved, checksums, strict=True):
                if before is not None and _checksum(array) != before:
                    raise GraphError(
                        f"an array that {node.op.__name__} needs for backward was written to since forward, past "
                        f"minigpt's own functions (t.data[...] = …, or NumPy with out=); the op ran {place}. "
                        "Write into a copy, or after backward()"
                    )
        self._look_for_stale(node.inputs)
        with np.errstate(all="ignore"):
            grads_in = proceed()
        for i, g in enumerate(grads_in):
            problem = "" if g is None else not_finite(_host(g))
            if problem:
                self._refuse_gradient(node, place, i, problem, grads_out)
        return grads_in

    def _refuse_gradient(self, node, place, i, problem, grads_out):
        inputs = list(node.inputs)
        arrays = [None if t is None else t.numpy() for t in inputs]
        came_in = [None if g is None else _host(g) for g in grads_out]
        bad = next((not_finite(g) for g in came_in if g is not None and not_finite(g)), "")
        cause = (
            f"the gradient that came in already holds {bad}"
            if bad
            else cause_backward(node.op.__name__, arrays, came_in)
        )
        what = f"{node.op.__name__}.backward gave {problem} as the gradient of input {i}"
        raise NumericsError(self._message(what, place, cause, inputs, arrays))

    def _message(self, what, place, cause, inputs, arrays) -> str:
        lines = [f"{what} {place}", f"  likely cause: {cause or 'not known; the inputs say more'}"]
        lines += [
            operand(i, a, self.name_of(t)) for i, (t, a) in enumerate(zip(inputs, arrays, strict=True)) if t is not None
        ]
        return "\n".join(lines)

    def _look_for_stale(self, inputs):
        """Note leaves that this pass meets for the first time and that hold a gradient already."""
        for t in inputs:
            if t is None or t._node is not None or not t.requires_grad or id(t) in self._pass.met:
                continue
            self._pass.met.add(id(t))
            if t.grad is not None and not self.accumulating:
                self._stale.append(self.name_of(t) or f"a leaf {t.shape}")
                self._stale_passes += not self._pass.stale
                self._pass.stale = True

    def warn_of_stale(self):
        if self._stale:
            names = list(dict.fromkeys(self._stale))
            shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            times = f", {self._stale_passes} times," if self._stale_passes > 1 else ""
            warnings.warn(
                f"backward() added{times} to gradients that an earlier backward() had left in {shown}: call "
                "zero_grad() between steps. If they are meant to add up, say anomaly(accumulating=True)",
                stacklevel=4,
            )


@contextmanager
def anomaly(accumulating: bool = False) -> Iterator[None]:
    """Inside the block the first NaN or Inf in forward or backward raises a NumericsError that names its origin.

    The error says which op, in which module, on which line of yours, what went in, and the likely cause in words.
    A -Inf that was put in on purpose, as masks are, may pass through; a NaN or +Inf may not.
    accumulating:  several backward() between two zero_grad() are meant; otherwise a warning at the end of the block
                   names the gradients that were added to
    Arrays that backward needs are guarded by checksums: a raw write to `t.data` raises a GraphError, which the version
    counter alone cannot see.
    Cost: every array is read twice more. A step of 0.8 million parameters took 1.1 times as long on the numpy row and
    1.3 times on the cpu row (medians of 9, on a busy machine). Off, it costs nothing.
    Raises: NumericsError, GraphError
    """
    seen = Anomalies(accumulating)
    with observing(seen):
        yield
    seen.warn_of_stale()


def _has_minus_inf(a) -> bool:
    return a is not None and a.dtype.kind == "f" and bool(np.isneginf(a).any())


def _host(g: Any) -> np.ndarray:
    """A gradient as a NumPy array; of a table of embeddings the rows that have one."""
    return Tensor(g.dy if isinstance(g, RowGradient) else g).numpy()


def _checksum(array) -> int | None:
    """Of the bytes of a host array; arrays on a card are not guarded."""
    if not isinstance(array, np.ndarray):
        return None
    return zlib.crc32(np.ascontiguousarray(array).data.cast("B")) if array.size else 0
