"""Why backward() walks the tape from the newest op to the oldest, and does not simply call itself.

    def plain(t, g):            # "add the gradient here, hand it on to the inputs, and so on"
        t.grad += g
        for each input: plain(input, t.grad * d t / d input)

The line looks right and is right for chains. Where a tensor is used twice, its op is met twice, the second time with
the first gradient still in t.grad: that part is handed on a second time. Waiting until all users of a tensor have been
met, which falling numbers on the tape do, cures it.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tensor as engine
from ..display import Text
from ..errors import GraphError
from ..tensor import Tensor
from .computation_graph import called, key_of
from .formula import formula
from .gradients import on_host
from .recording import as_plain, boxes_of, named_plan, record_backward
from .stepping import BackwardStep, InputGradient, Names

if TYPE_CHECKING:
    from ..viz import BackwardSteps


def plain_recursion(t: Tensor, grad=None) -> dict[str, np.ndarray]:
    """The wrong way, on purpose: name of a leaf -> the gradient that plain recursion gives. `.grad` is not touched.

    Meant for small graphs: a tensor that is used twice at each of n levels is visited 2^n times.
    Raises GraphError if there is no graph.
    """
    leaves: dict[str, np.ndarray] = {}
    for _, _, step in _visits(t, _named(t), grad):
        (given,) = step.inputs
        if given.leaf:
            leaves[given.name] = given.after
    return leaves


def record_plain_recursion(t: Tensor, grad=None) -> BackwardSteps:
    """What plain recursion does, to be scrubbed through like `record_backward(t)`. `.grad` is not touched.

    A step is one op handing a gradient to one of its inputs, at once followed by that input's own op.
    Raises GraphError if there is no graph, ArgumentError if it is too large to be drawn, or takes too many steps
    """
    from ..viz import BackwardSteps

    names = _named(t)
    plan = named_plan(t, names)
    plain = (_plain(node, x, step, plan.places, names) for node, x, step in _visits(t, names, grad))
    note = f"Wrong where a tensor is used twice: what it has is handed on again. {plan.note}"
    return BackwardSteps(plain, plan.nodes, plan.edges, f"Plain recursion from {called(t)}", note)


def _named(t) -> Names:
    if t._node is None:
        raise GraphError("plain_recursion(): this tensor has no graph")
    return Names(engine.nodes_newest_first(t._node)[::-1], {})


def _visits(t: Tensor, names: Names, grad=None) -> Iterator[tuple]:
    """(node, one of its inputs, BackwardStep for that input alone), each time an op hands something on."""
    sums: dict[str, Any] = {}  # of every tensor: what its .grad would be

    def visit(tensor) -> Iterator[tuple]:
        node, name = tensor._node, names.of(tensor)
        outputs = [None] * len(node.outputs)
        outputs[tensor._index] = incoming = sums[name]  # the whole sum, again at every visit: this is the mistake
        for x, g in zip(tensor.inputs, node.backward(outputs), strict=True):
            if g is None:
                continue
            given = InputGradient(names.of(x), x.shape, on_host(g), leaf=x._node is None)
            given.before = sums.get(given.name)
            given.after = given.gradient if given.before is None else given.before + given.gradient
            sums[given.name] = given.after
            yield node, x, BackwardStep(0, 0, node.op.__name__, formula(node.op), [(name, incoming)], [given])
            if x._node is not None:
                yield from visit(x)

    sums[names.of(t)] = np.ones(t.shape, t.dtype) if grad is None else np.asarray(grad, t.dtype)
    yield from visit(t)


def _plain(node, x, step, places, names) -> dict:
    """A step as `BackwardSteps` takes it; its text names all inputs of the op, and the one that is meant."""
    box, _ = boxes_of(node, places)
    inputs = ", ".join(names.of(i) for i in node.inputs if i is not None)
    text = f"{step.outputs[0][0]} = {step.op}({inputs}) hands on to {names.of(x)}"
    return {**as_plain(step, box, [places[key_of(x)]]), "text": text}


@dataclass(frozen=True)
class Recursion:
    """x = 3, b = 2 x, y = b * b: d y / d x = 8 x = 24, by backward(), by plain recursion, and by the definition.

    In a notebook: plain recursion and backward() beside each other, step by step.
    """

    right: float
    plain: float
    finite_difference: float

    def __str__(self):
        return Text(
            "x = 3;  b = 2 x;  y = b * b = 4 x²         dy/dx = 8 x = 24\n"
            "\n"
            "        x --2*--> b ==*==> y               b is used twice\n"
            "\n"
            "plain recursion: y hands 6 to b, b hands 2 * 6 = 12 to x; y hands 6 to b again, b.grad is 12 now,\n"
            f"                 and b hands 2 * 12 = 24 to x: x.grad = 12 + 24 = {self.plain:g}\n"
            f"backward():      b waits for both, b.grad = 12, then hands on 2 * 12 once: x.grad = {self.right:g}\n"
            f"by definition:   (y(x + h) - y(x - h)) / 2h = {self.finite_difference:.6g}"
        )

    __repr__ = __str__

    def views(self) -> tuple[BackwardSteps, BackwardSteps]:
        """Plain recursion, and backward() on the same graph."""
        y = _y_of(_x())
        return record_plain_recursion(y), record_backward(y)

    def _repr_html_(self) -> str:
        about = f"<pre>{html.escape(str(self))}\n\nBelow, b is %1 and y is %2.</pre>"
        both = "".join(f'<div style="flex:1 1 440px;min-width:0">{view.to_html()}</div>' for view in self.views())
        return f'{about}<div style="display:flex;flex-wrap:wrap;gap:16px">{both}</div>'


def recursion_example() -> Recursion:
    """The smallest graph on which plain recursion is wrong, computed here and now."""
    x = _x()
    y = _y_of(x)
    plain = plain_recursion(y)["x"].item()
    y.backward()
    h = 1e-4
    difference = (_y_of(Tensor(np.array(3.0 + h))).item() - _y_of(Tensor(np.array(3.0 - h))).item()) / (2 * h)
    return Recursion(x.grad.item(), plain, difference)


def _x() -> Tensor:
    return Tensor(np.array(3.0), requires_grad=True, name="x")


def _y_of(x: Tensor) -> Tensor:
    b = x * 2.0
    b.name = "b"
    y = b * b
    y.name = "y"
    return y
