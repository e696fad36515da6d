"""Back-propagation: walking the tape from the newest node to the oldest, handing gradients on.

start with d root / d root = 1
for each node, newest first:   gradients of its inputs = op.backward(gradients of its outputs)
an inner tensor's gradients are added up until its own node is met; a leaf's end in `.grad`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .backend import current_row
from .errors import GraphError, ShapeError
from .observe import OBSERVERS, observed
from .ops.embedding import RowGradient
from .ops.op import Op
from .tape import Node

Tensor = Any  # this file only knows what hangs on a Tensor: its node on the tape, its array, its gradient


class Step(NamedTuple):
    """One op of a backward pass: gradients of its outputs, and of its inputs.

    The engine goes on adding to these arrays in place; who wants to keep one makes a copy. The gradient of a table
    of embeddings is a RowGradient (ops/embedding.py), `.dense()` makes an array of it.
    """

    op: type[Op]
    node: Node
    inputs: tuple[Tensor | None, ...]
    grads_out: list
    grads_in: tuple


def backward_steps(root: Tensor, grad=None, retain_graph: bool = False, into: Callable | None = None) -> Iterator[Step]:
    """backward(), one op at a time: a Step is yielded after each op's gradients have been handed on.

    into:  into(tensor, grad, row, fresh) receives the gradients of the leaves, one call per use of a leaf, and adds
           them up somewhere; it may keep the array if it is `fresh`. Left out, they add up in `tensor.grad`.
    """
    if not root.requires_grad:
        raise GraphError(
            "backward(): this tensor does not depend on anything that requires a gradient (made inside no_grad(), "
            "detached, or no input has requires_grad=True)"
        )
    into = into or accumulate
    seed = _seed_gradient(root, grad)
    if root._node is None:
        into(root, seed, current_row(), fresh=grad is None)
        return
    waiting: dict[Node, list] = {root._node: [None] * len(root._node.outputs)}  # gradients of outputs, so far
    waiting[root._node][root._index] = (seed, False)
    nodes = nodes_newest_first(root._node)
    for node in nodes:
        node.check()  # all of them first: a refused backward leaves every gradient as it was
    for node in nodes:
        slots = waiting.pop(node, None)
        if slots is not None:
            row, inputs = node.ctx.row, node.inputs
            grads_out = [None if slot is None else slot[0] for slot in slots]
            for index, ref in node.retained.items():
                if (kept := ref()) is not None and grads_out[index] is not None:
                    accumulate(kept, grads_out[index], row, fresh=False)
            grads_in = _gradients_of_inputs(node, grads_out)
            for t, g in zip(inputs, grads_in, strict=True):
                if g is None:
                    continue
                if isinstance(g, RowGradient):
                    if t._node is None:
                        into(t, g, row, fresh=True)
                        continue
                    g = g.dense()
                fresh = node.op.gives_fresh_gradients and not any(
                    out is not None and row.shares_memory(g, out) for out in grads_out
                )
                if t._node is None:
                    into(t, g, row, fresh and row.owns_memory(g))
                else:
                    slots = waiting.setdefault(t._node, [None] * len(t._node.outputs))
                    slots[t._index] = (g, fresh) if slots[t._index] is None else _sum(row, slots[t._index], (g, fresh))
            yield Step(node.op, node, inputs, grads_out, grads_in)
        if not retain_graph:
            node.free()


def _gradients_of_inputs(node: Node, grads_out: list) -> tuple:
    if OBSERVERS.get():
        return observed("around_backward", lambda: node.backward(grads_out), node, grads_out, inside=False)
    return node.backward(grads_out)


def _sum(row, a, b):
    """Sum of two gradients, each an array and whether it is fresh, held by nobody else; a fresh one is added to.

    Not one without axes: NumPy's arithmetic gives a number for it, which can't be written into.
    """
    for (into, fresh), (other, _) in ((a, b), (b, a)):
        if fresh and into.ndim:
            row.add_into(into, other)
            return into, True
    return row.add(a[0], b[0]), True


def _seed_gradient(root: Tensor, grad):
    row = root._node.ctx.row if root._node else current_row()
    if grad is None:
        if root.size != 1:
            raise GraphError(
                f"backward() without a gradient starts from a single number, this tensor has shape {root.shape}; "
                "reduce it with .sum() or .mean(), or pass backward(grad) with grad of that shape"
            )
        return row.full(root.shape, 1.0, root.dtype)
    if grad.shape != root.shape:
        raise ShapeError(f"backward(grad): grad has shape {grad.shape}, the tensor {root.shape}; they must be equal")
    return row.astype(grad, root.dtype)


def nodes_newest_first(root: Node) -> list[Node]:
    """All nodes that root was computed from, by falling number. No recursion: a graph may be 100,000 ops deep."""
    found, stack = {root}, [root]
    while stack:
        for t in stack.pop().inputs:
            if t is not None and t._node is not None and t._node not in found:
                found.add(t._node)
                stack.append(t._node)
    return sorted(found, key=lambda node: node.number, reverse=True)


def accumulate(tensor: Tensor, grad, row, fresh: bool):
    """tensor.grad += grad, an array or a RowGradient. If it is the first, a `fresh` array is kept, else a copy."""
    rows_only = isinstance(grad, RowGradient)
    if tensor.grad is not None:
        grad.add_into(tensor.grad) if rows_only else row.add_into(tensor.grad, grad)
    elif rows_only:
        tensor.grad = grad.dense()
    else:
        tensor.grad = grad if fresh else row.copy(grad)
