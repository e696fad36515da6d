"""backward(), one op at a time: what comes in, the rule, what goes out, and where it is added up.

    for step in mg.debug.backward_steps(loss, model):
        print(step)                 # a breakpoint here stops once for every op
        step.inputs[0].gradient     # an array of its own, not changed by what follows

Tensors are numbered in the order in which they were computed, %1, %2, …; leaves go by their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import tensor as engine
from ..display import describe
from ..errors import ArgumentError, GraphError
from ..ops import Label
from ..tensor import Tensor
from .formula import formula
from .gradients import on_host
from .place import Place

# op -> the inputs that it repeats where their shape is smaller than the result's, so that their gradients are summed
REPEATS = {
    "Add": (0, 1), "Sub": (0, 1), "Mul": (0, 1), "Div": (0, 1), "Pow": (0, 1), "Where": (1, 2), "BroadcastTo": (0,),
    "Linear": (2,), "LinearGELU": (2,), "BiasResidual": (1,),
}  # fmt: skip


@dataclass
class InputGradient:
    """What a step hands to one input of its op.

    name       `%3`, or a leaf's name
    shape      of the input
    gradient   d loss / d input that goes out of this op, None if none is wanted
    summed     axes of the result over which it was summed, because the input had been repeated along them
    before     what had been added up for this input so far, None if this is the first gradient; after: with this one.
               Of a leaf that is its .grad; for an inner tensor it waits until the turn of the op that made it
    """

    name: str
    shape: tuple[int, ...]
    gradient: np.ndarray | None
    summed: tuple[int, ...] = ()
    leaf: bool = False
    before: np.ndarray | None = None
    after: np.ndarray | None = None


@dataclass
class BackwardStep:
    """One op of a backward pass.

    number, total   1 … total, in the order of backward
    op, formula     name of the op, and the rule that its docstring states
    place           which module and line the op ran in; None where nobody noted it (`calls`)
    outputs         (name, d loss / d output) for each output; None where no gradient reached it
    inputs          InputGradient for each input that is a Tensor
    """

    number: int
    total: int
    op: str
    formula: str
    outputs: list[tuple[str, np.ndarray | None]]
    inputs: list[InputGradient] = field(default_factory=list)
    place: Place | None = None

    @property
    def application(self) -> str:
        """`%3 = Mul(x, %2)`"""
        made = ", ".join(name for name, _ in self.outputs)
        return f"{made} = {self.op}({', '.join(i.name for i in self.inputs)})"

    def __str__(self):
        lines = [f"step {self.number} of {self.total}: {self.application}"]
        lines += [f"    {self.place}"] if self.place else []
        lines += [f"    {line}" for line in self.formula.split("\n") if line]
        for name, grad in self.outputs:
            lines.append(f"  in   d loss / d {name}: {'nothing reached it' if grad is None else _shown(grad)}")
        for i in self.inputs:
            if i.gradient is None:
                lines.append(f"  out  {i.name} {i.shape} wants no gradient")
                continue
            lines.append(f"  out  d loss / d {i.name}: {_shown(i.gradient)}")
            if i.summed:
                lines.append(f"       {i.name} {i.shape} was repeated: summed over axes {i.summed} of the result")
            if not i.leaf and i.before is not None:
                lines.append(
                    f"       {i.name} is used more than once: {_shown(i.before)} waited, now {_shown(i.after)}"
                )
            if i.leaf:
                what = "first gradient" if i.before is None else f"added to {_shown(i.before)}"
                lines.append(f"       leaf {i.name}.grad, {what}: now {_shown(i.after)}")
        return "\n".join(lines)


def backward_steps(loss, model=None, grad=None, retain_graph: bool = False, calls=None) -> Iterator[BackwardStep]:
    """loss.backward(grad, retain_graph), which yields a BackwardStep after each op's gradients have been handed on.

    model:  gives parameters their names; without it leaves go by `t.name`, or a, b, c …
    calls:  of `module_calls()` around the forward pass: which module and line each op ran in, and names of parameters
    Gradients are copies on the host. Whoever stops early leaves the gradients added up so far in the leaves.
    Raises: GraphError and ShapeError as backward() does, ArgumentError if loss is no Tensor
    """
    if not isinstance(loss, Tensor):
        raise ArgumentError(f"backward_steps() needs a Tensor, got {type(loss).__name__}")
    if loss._node is None:
        raise GraphError(
            "backward_steps(): nothing led to this tensor: it is a leaf, or was computed inside no_grad() or from "
            "inputs without requires_grad"
        )
    nodes = list(reversed(engine.nodes_newest_first(loss._node)))  # in the order of forward
    names = Names(nodes, parameter_names(model, calls))
    total = sum(not only_names(node.op, node.inputs) for node in nodes)
    met: list[tuple] = []  # (leaf, its .grad before, after), since the last step

    def into(tensor, gradient, row, fresh):
        before = None if tensor.grad is None else on_host(tensor.grad)
        engine.accumulate(tensor, gradient, row, fresh)
        met.append((tensor, before, on_host(tensor.grad)))

    so_far: dict[str, np.ndarray] = {}  # of inner tensors that wait for their op's turn
    given = None if grad is None else np.asarray(grad.numpy() if isinstance(grad, Tensor) else grad, loss.dtype)
    number = 0
    for step in engine.backward_steps(loss, given, retain_graph, into):
        if only_names(step.op, step.inputs):
            continue
        number += 1
        outputs = [
            (names.output(step.node, k), None if g is None else on_host(g)) for k, g in enumerate(step.grads_out)
        ]
        for name, _ in outputs:
            so_far.pop(name, None)
        inputs = list(_input_gradients(step, names, met, so_far))
        place = calls.place(step.node.number) if calls is not None else None
        yield BackwardStep(number, total, step.op.__name__, formula(step.op), outputs, inputs, place)
        met.clear()


def only_names(op, inputs) -> bool:
    """Whether an op gives another op's result a name for observers and nothing else: no step of its own."""
    return op is Label and inputs[0]._node is not None


def parameter_names(model, calls) -> dict[int, str]:
    """id of a parameter -> its name in the model, or in those that `calls` has seen."""
    if model is None:
        return dict(calls.names) if calls is not None else {}
    return {id(p): name for name, p in model.named_parameters()}


def _input_gradients(step, names, met, so_far):
    waiting = list(met)
    result_shape = step.node.outputs[0][0]
    for k, (t, g) in enumerate(zip(step.inputs, step.grads_in, strict=True)):
        if t is None:
            continue
        found = InputGradient(names.of(t), t.shape, None if g is None else on_host(g), leaf=t._node is None)
        if g is not None:
            if k in REPEATS.get(step.op.__name__, ()) and t.shape != result_shape:
                found.summed = summed_axes(t.shape, result_shape)
            for entry in waiting:
                if entry[0] is t:
                    _, found.before, found.after = entry
                    waiting.remove(entry)
                    break
            if not found.leaf:
                found.before = so_far.get(found.name)
                found.after = found.gradient if found.before is None else found.before + found.gradient
                so_far[found.name] = found.after
        yield found


def summed_axes(shape: tuple[int, ...], result: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of `result` along which an array of `shape` is repeated to reach it: those it lacks, and its 1s."""
    extra = len(result) - len(shape)
    return tuple(axis for axis in range(len(result)) if axis < extra or shape[axis - extra] == 1 != result[axis])


class Names:
    """What tensors are called: results %1, %2, … in the order of forward, leaves by name, or a, b, c …

    nodes       in the order of forward
    parameters  id -> name; leaves: the same for all leaves of the graph
    """

    def __init__(self, nodes, parameters: dict[int, str]):
        self._numbers: dict[Any, int] = {}
        count = 0
        for node in nodes:
            if only_names(node.op, node.inputs):  # called like what it names
                self._numbers[node] = self._numbers[node.inputs[0]._node] + node.inputs[0]._index
                continue
            self._numbers[node] = count + 1
            count += len(node.outputs)
        self.leaves = dict(parameters)
        self._letters = 0
        for node in nodes:
            for t in node.inputs:
                if t is not None and t._node is None and id(t) not in self.leaves:
                    self.leaves[id(t)] = t.name or self._letter()
        self._kept = nodes  # ids stay what they are as long as these live

    def _letter(self) -> str:
        self._letters += 1
        n, word = self._letters, ""
        while n:
            n, digit = divmod(n - 1, 26)
            word = "abcdefghijklmnopqrstuvwxyz"[digit] + word
        return word

    def output(self, node, k: int) -> str:
        return f"%{self._numbers[node] + k}"

    def of(self, t: Any) -> str:
        return self.leaves[id(t)] if t._node is None else self.output(t._node, t._index)


def _shown(array) -> str:
    return describe(array).replace("\n", "\n       ")
