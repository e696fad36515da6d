"""The engine: Tensors, how ops are applied to them, and backward().

A Tensor is an array that remembers which op made it, from which inputs. Every applied op becomes a Node on the tape
(`tape.py`). Nodes are numbered as they are made, and an op can only use Tensors that existed before it, so walking
the nodes from the highest number to the lowest meets each one after all nodes that use its output. That is the whole
of backward().
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from .backend import as_array, current_row, row_of
from .backpropagation import Step, accumulate, backward_steps, nodes_newest_first
from .display import describe
from .errors import ArgumentError, BackendError, GraphError, ShapeError
from .observe import OBSERVERS, observed
from .operators import Operators, index_key
from .ops.op import Context, Op
from .ops.shape import check_index
from .tape import Node, Version, no_grad, recording

FLOAT32 = np.dtype(np.float32)

__all__ = ["Op", "Step", "Tensor", "accumulate", "apply", "backward_steps", "no_grad", "nodes_newest_first"]


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
        given = None if grad is None else _array_of(grad, self.dtype)
        for _ in backward_steps(self, given, retain_graph):
            pass  # each step is one op; mg.debug looks at them, here they only have to happen

    def __repr__(self):
        parts = [f"Tensor({describe(self.numpy())}"]
        if not isinstance(self.data, np.ndarray):
            parts.append("on the card")
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
    tensors = tuple([x if x is None or isinstance(x, Tensor) else Tensor(x) for x in inputs])
    if OBSERVERS.get():
        return observed("around_op", lambda: apply(op, *tensors, **settings), op, tensors, settings, inside=False)
    row = current_row()
    arrays: list = [None if t is None else t.data for t in tensors]
    for a in arrays:
        if a is not None and not row.is_array(a):
            row, arrays = _on_one_device(op, row, tensors, arrays)
            break
    if op.float_inputs:
        arrays[: op.float_inputs] = _common_floats(row, arrays[: op.float_inputs])
    if recording():
        needs = tuple([t is not None and t.requires_grad for t in tensors])
    else:
        needs = (False,) * len(tensors)
    ctx = Context(row, needs)
    result = op.forward(ctx, *arrays, **settings)
    results = result if isinstance(result, tuple) else (result,)
    outputs = tuple([_output(op, row, a, tensors, arrays) for a in results])
    if True in needs:
        node = Node(op, ctx, tensors, outputs)
        for i, t in enumerate(outputs):
            if t.data.dtype.kind == "f":
                t.requires_grad, t._node, t._index = True, node, i
    return outputs if isinstance(result, tuple) else outputs[0]


Op.apply = classmethod(apply)  # the one place where ops, which know arrays, meet Tensors


def _on_one_device(op, row, tensors, arrays):
    """The row where all inputs can meet, and the inputs there.

    If some lie on one device, that is the place, and what is on the host and needs no gradient (ids, masks, numbers)
    is copied there: so a model that was moved with .to("cuda") just works.
    """
    owners = {owner.name: owner for a in arrays if a is not None and (owner := row_of(a)) is not None}
    if len(owners) == 1:
        row = next(iter(owners.values()))
        arrays = [
            row.from_host(a) if isinstance(a, np.ndarray) and not t.requires_grad else a
            for t, a in zip(tensors, arrays, strict=True)
        ]
    for i, a in enumerate(arrays):
        if a is not None and not row.is_array(a):
            if isinstance(a, np.generic | int | float | list | tuple):  # somebody wrote to .data
                raise BackendError(
                    f"{op.__name__}: the .data of input {i} is no array but a {type(a).__name__}; write "
                    "t.data = np.asarray(value), or t.data[...] = value to keep its shape"
                )
            raise BackendError(
                f"{op.__name__}: input {i} lies on another device than the {row.name!r} row works on; "
                "move it with .to(...) or choose the row with mg.use(...)"
            )
    return row, arrays


def _common_floats(row, arrays):
    """The arrays as floats of one type, the widest among them; float32 if none is a float. Mostly they are already."""
    dtypes = [a.dtype for a in arrays if a is not None]
    if not dtypes or (dtypes[0].kind == "f" and dtypes.count(dtypes[0]) == len(dtypes)):
        return arrays
    dtype = np.result_type(*([d for d in dtypes if d.kind == "f"] or [np.float32]))
    return [None if a is None else row.astype(a, dtype) for a in arrays]


def _output(op, row, array, tensors, arrays) -> Tensor:
    """Wrap an array that forward returned. Floats take the widest float type among the inputs, else float32."""
    if not row.is_array(array):
        if not isinstance(array, np.generic | float | int):
            raise ArgumentError(
                f"{op.__name__}.forward must return an array or a tuple of them, got {type(array).__name__}"
            )
        array = row.from_host(np.asarray(array))
    dtype = array.dtype
    if op.keeps_dtype and dtype.kind == "f":
        floats = [a.dtype for a in arrays if a is not None and a.dtype.kind == "f"] or [FLOAT32]
        if floats.count(dtype) < len(floats):
            array = row.astype(array, np.result_type(*floats))
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
