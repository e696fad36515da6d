"""The engine: Tensors, how ops are applied to them, and backward().

A Tensor is an array that remembers which op made it, from which inputs. Every applied op becomes a Node on the tape
(`tape.py`). Nodes are numbered as they are made, and an op can only use Tensors that existed before it, so walking
the nodes from the highest number to the lowest meets each one after all nodes that use its output. That is the whole
of backward().
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .backend import as_array, current_row
from .display import describe
from .errors import ArgumentError, BackendError, GraphError, ShapeError
from .observe import OBSERVERS, observed
from .operators import Operators, index_key
from .ops.embedding import RowGradient
from .ops.op import Context, Op
from .ops.shape import check_index
from .tape import Node, Version, no_grad, recording

__all__ = ["Op", "Step", "Tensor", "apply", "backward_steps", "no_grad"]


class Tensor(Operators):
    """An array with a memory of how it was made. Operators and methods are in `operators.py`.

    data:           the array; float32 unless given as float64, integers and booleans as they are. Not copied.
    requires_grad:  whether backward() should leave d loss / d self in `.grad`
    name:           shown in errors and pictures
    Raises:         ArgumentError for data that is no array of numbers
    """

    __slots__ = ("__weakref__", "_index", "_node", "_version", "data", "grad", "name", "requires_grad")

    def __init__(self, data, requires_grad: bool = False, name: str | None = None):
        self.data = data.data if isinstance(data, Tensor) else as_array(data)
        if requires_grad and self.data.dtype.kind != "f":
            raise ArgumentError(f"only float tensors can have gradients, got dtype {self.data.dtype}")
        self.requires_grad = requires_grad
        self.name = name
        self.grad: Any = None
        self._node: Node | None = None
        self._index = 0  # which output of the node
        self._version = data._version if isinstance(data, Tensor) else Version()

    @property
    def op(self) -> type[Op] | None:
        """The Op class that made this Tensor, None for a leaf."""
        return self._node.op if self._node else None

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """The inputs of that op, () for a leaf. Raises GraphError once backward() has freed the graph."""
        if self._node is not None and self._node.freed:
            raise GraphError("backward() has freed this graph; backward(retain_graph=True) keeps it for a look")
        return self._node.inputs if self._node else ()

    def detach(self) -> Tensor:
        """The same array without the graph; the memory is shared."""
        return Tensor(self)

    def __setitem__(self, key, value):
        """Write into the array in place. Gradients cannot follow a write, so neither side may require one."""
        if recording() and (self.requires_grad or (isinstance(value, Tensor) and value.requires_grad)):
            raise GraphError(
                "t[...] = value writes in place, which gradients cannot follow, but one side requires a gradient; "
                "use mg.where(mask, a, b) or mg.concatenate, or write inside `with mg.no_grad():`"
            )
        key = index_key(key)
        check_index("index", key, self.shape)
        value = _array_of(value, self.dtype)
        try:
            current_row().assign(self.data, key, value)
        except (IndexError, ValueError) as error:
            raise ShapeError(
                f"cannot write an array of shape {value.shape} into {self.shape}[{key!r}]: {error}"
            ) from None
        self._version.bump("t[...] = value")

    def retain_grad(self) -> Tensor:
        """Keep this inner Tensor's gradient too when backward() passes; returns self."""
        if not self.requires_grad:
            raise GraphError("retain_grad(): this tensor does not depend on anything that requires a gradient")
        if self._node is not None:
            self._node.retained[self._index] = weakref.ref(self)
        return self

    def backward(self, grad=None, retain_graph: bool = False):
        """Add d self / d leaf to `.grad` of every leaf that self was computed from.

        grad:          d loss / d self, an array of self's shape; may be left out for a single number, where it is 1
        retain_graph:  keep what forward saved, so that backward can run again
        Raises:        GraphError (no graph, freed graph, overwritten array, not a single number), ShapeError
        """
        for _ in backward_steps(self, grad, retain_graph):
            pass  # each step is one op; mg.debug looks at them, here they only have to happen

    def __repr__(self):
        host = self.numpy()
        parts = [f"Tensor({describe(host)}"]
        if self.name:
            parts.append(f"name={self.name!r}")
        if self.op is not None:
            parts.append(f"op={self.op.__name__}")
        if self.requires_grad:
            parts.append("requires_grad" if self.grad is None else "requires_grad, has grad")
        return ", ".join(parts) + ")"


def apply(op: type[Op], *inputs, **settings):
    """Run op.forward on the inputs' arrays and put a node on the tape. `Op.apply` is this function.

    Inputs are Tensors, arrays, numbers or None. Returns a Tensor, or a tuple of them if forward returned a tuple.
    """
    if op.forward is Op.forward:
        raise GraphError(f"{op.__name__} has no forward(ctx, *arrays)")
    tensors = tuple(x if x is None or isinstance(x, Tensor) else Tensor(x) for x in inputs)
    if OBSERVERS.get():
        return observed("around_op", lambda: apply(op, *tensors, **settings), op, tensors, settings, inside=False)
    row = current_row()
    arrays: list = [None if t is None else t.data for t in tensors]
    for i, a in enumerate(arrays):
        if a is not None and not row.is_array(a):
            raise BackendError(
                f"{op.__name__}: input {i} lies on another device than the {row.name!r} row works on; "
                "move it with .to(...) or choose the row with mg.use(...)"
            )
    if op.float_inputs:
        arrays[: op.float_inputs] = _common_floats(row, arrays[: op.float_inputs])
    record = recording()
    ctx = Context(row, tuple(record and t is not None and t.requires_grad for t in tensors))
    result = op.forward(ctx, *arrays, **settings)
    outputs = tuple(_output(op, row, a, tensors, arrays) for a in (result if isinstance(result, tuple) else (result,)))
    if any(ctx.needs):
        node = Node(op, ctx, tensors, outputs)
        for i, t in enumerate(outputs):
            if t.dtype.kind == "f":
                t.requires_grad, t._node, t._index = True, node, i
    return outputs if isinstance(result, tuple) else outputs[0]


Op.apply = classmethod(apply)  # the one place where ops, which know arrays, meet Tensors


def _common_floats(row, arrays):
    """The arrays as floats of one type, the widest among them; float32 if none is a float. Mostly they are already."""
    dtypes = {a.dtype for a in arrays if a is not None}
    if (len(dtypes) == 1 and next(iter(dtypes)).kind == "f") or not dtypes:
        return arrays
    dtype = np.result_type(*([d for d in dtypes if d.kind == "f"] or [np.float32]))
    return [None if a is None else row.astype(a, dtype) for a in arrays]


def _output(op, row, array, tensors, arrays) -> Tensor:
    """Wrap an array that forward returned. Floats take the widest float type among the inputs, else float32."""
    if isinstance(array, np.generic | float | int):
        array = row.from_host(np.asarray(array))
    if not row.is_array(array):
        raise ArgumentError(
            f"{op.__name__}.forward must return an array or a tuple of them, got {type(array).__name__}"
        )
    dtype = array.dtype
    if op.keeps_dtype and dtype.kind == "f" and not all(a is None or a.dtype == dtype for a in arrays):
        floats = {a.dtype for a in arrays if a is not None and a.dtype.kind == "f"} or {np.dtype(np.float32)}
        array = row.astype(array, floats.pop() if len(floats) == 1 else np.result_type(*floats))
    t = Tensor.__new__(Tensor)
    t.data, t.requires_grad, t.name, t.grad, t._node, t._index = array, False, None, None, None, 0
    shared = [x for x, a in zip(tensors, arrays, strict=True) if array is a]  # forward returned its input
    if op.view and not shared and row.shares_memory(array, arrays[0]):
        shared = [tensors[0]]
    t._version = shared[0]._version if shared else Version()
    return t


def _array_of(value, dtype):
    """The array of a Tensor or array as it is; Python data directly in `dtype`, so that 0.1 is not rounded twice."""
    array = value.data if isinstance(value, Tensor) else as_array(value)  # refuses what is no array of numbers
    if isinstance(value, Tensor | np.ndarray) or not isinstance(array, np.ndarray):
        return array
    if (
        dtype.kind in "iu"
        and array.size
        and not np.iinfo(dtype).min <= array.min() <= array.max() <= np.iinfo(dtype).max
    ):
        raise ArgumentError(
            f"{value!r} does not fit into {dtype}, which holds {np.iinfo(dtype).min} to {np.iinfo(dtype).max}"
        )
    return np.asarray(value, dtype=dtype)


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
    nodes = _nodes_newest_first(root._node)
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
            grads_in = node.backward(grads_out)
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


def _sum(row, a, b):
    """Sum of two gradients, each an array and whether it is fresh, held by nobody else; a fresh one is added to."""
    for (into, fresh), (other, _) in ((a, b), (b, a)):
        if fresh:
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
    grad = _array_of(grad, root.dtype)
    if grad.shape != root.shape:
        raise ShapeError(f"backward(grad): grad has shape {grad.shape}, the tensor {root.shape}; they must be equal")
    return row.astype(grad, root.dtype)


def _nodes_newest_first(root: Node) -> list[Node]:
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
