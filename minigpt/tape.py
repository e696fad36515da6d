"""What is written down while ops run, so that backward can find its way: nodes, versions of memory, grad mode."""

from __future__ import annotations

import itertools
import weakref
from contextlib import ContextDecorator
from contextvars import ContextVar

import numpy as np

from .errors import GraphError, ShapeError
from .ops.embedding import RowGradient
from .ops.op import Context, Op

_NO_GRAD_DEPTH: ContextVar[int] = ContextVar("minigpt_no_grad_depth", default=0)  # blocks of no_grad around us
_NODE_NUMBERS = itertools.count()


def recording() -> bool:
    """Whether ops applied now go on the tape."""
    return _NO_GRAD_DEPTH.get() == 0


class no_grad(ContextDecorator):
    """`with mg.no_grad():` (or a decorator): ops inside record nothing, so nothing can be backpropagated."""

    def __enter__(self):
        _NO_GRAD_DEPTH.set(_NO_GRAD_DEPTH.get() + 1)

    def __exit__(self, *exc):
        _NO_GRAD_DEPTH.set(_NO_GRAD_DEPTH.get() - 1)


class Version:
    """Counts the writes into a piece of memory; Tensors that share the memory share the Version."""

    __slots__ = ("count", "writer")

    def __init__(self):
        self.count = 0
        self.writer = ""

    def bump(self, writer: str):
        self.count += 1
        self.writer = writer


class Node:
    """One applied op on the tape: its inputs, what forward saved, and which memory must not change until backward."""

    __slots__ = ("__weakref__", "ctx", "freed", "guarded", "inputs", "number", "op", "outputs", "retained")

    def __init__(self, op: type[Op], ctx: Context, inputs: tuple, outputs: tuple):
        self.op, self.ctx, self.inputs = op, ctx, inputs
        self.number = next(_NODE_NUMBERS)
        self.outputs = [(t.data.shape, t.data.dtype) for t in outputs]
        self.retained: dict[int, weakref.ref] = {}  # outputs that asked to keep their gradient
        self.freed = False
        # (input, version of its memory, writes so far, what it is called in errors); None for an output, which must
        # not be kept alive from here
        self.guarded = [
            (t, t._version, t._version.count, t.name or f"input {i}") for i, t in enumerate(inputs) if t is not None
        ]
        self.guarded += [
            (None, t._version, t._version.count, t.name or f"output {i}")
            for i, t in enumerate(outputs)
            if self._needs(t.data)
        ]

    def check(self):
        """Raise a GraphError if this node cannot run backward: freed, no backward written, or memory overwritten."""
        if self.op.backward is Op.backward:
            raise GraphError(f"{self.op.__name__} has no backward(ctx, *grads), so no gradient can pass through it")
        if self.freed:
            raise GraphError(
                f"backward through {self.op.__name__} a second time: the first backward() freed what it had saved. "
                "Call the first one with retain_graph=True, or compute the loss anew"
            )
        for t, version, count, what in self.guarded:
            if version.count != count and (t is None or self._needs(t.data)):
                raise GraphError(
                    f"{self.op.__name__} needs its {what} for backward, but that array was overwritten since by "
                    f"{version.writer}. Write into a copy, or after backward()"
                )

    def _needs(self, array) -> bool:
        """Whether forward saved this memory for backward."""
        for saved in self.ctx.saved:
            if saved is not None and (saved is array or self.ctx.row.shares_memory(array, saved)):
                return True
        return False

    def backward(self, grads_out: list) -> tuple:
        """The op's backward, with what went in and what comes out checked."""
        self.check()
        row = self.ctx.row
        full = [row.zeros(*self.outputs[i]) if g is None else g for i, g in enumerate(grads_out)]
        grads = self.op.backward(self.ctx, *full)
        grads = grads if isinstance(grads, tuple) else (grads,)
        if len(grads) != len(self.inputs):
            raise GraphError(
                f"{self.op.__name__}.backward returned {len(grads)} gradients for {len(self.inputs)} inputs; "
                "it must return one per input, None where there is none"
            )
        return tuple(
            [
                self._checked(i, t, g) if g is not None and t is not None and t.requires_grad else None
                for i, (t, g) in enumerate(zip(self.inputs, grads, strict=True))
            ]
        )

    def _checked(self, i, tensor, grad):
        if isinstance(grad, np.generic):  # a NumPy function on a 0-d array
            grad = self.ctx.row.from_host(np.asarray(grad))
        rows_only = isinstance(grad, RowGradient)
        if not rows_only and not self.ctx.row.is_array(grad):
            raise GraphError(
                f"{self.op.__name__}.backward must return arrays, for input {i} it returned a {type(grad).__name__}"
            )
        if grad.shape != tensor.data.shape:
            raise ShapeError(
                f"{self.op.__name__}.backward: the gradient of input {i} has shape {grad.shape}, the input itself "
                f"{tensor.shape}; if the input was broadcast, sum over the repeated axes"
            )
        return grad if rows_only or grad.dtype == tensor.data.dtype else self.ctx.row.astype(grad, tensor.dtype)

    def free(self):
        self.ctx.free()
        self.inputs, self.guarded, self.freed = (), [], True
