"""A whole backward pass as a picture that one scrubs through: `minigpt.viz.BackwardSteps`, seen in a notebook.

mg.debug.record_backward(loss)                  # runs backward, like backward_steps

with mg.debug.module_calls(model) as calls:     # also says in which module and line each op ran,
    _, loss = model(ids, targets)               # and puts ops of a module together where they are too many
mg.debug.record_backward(loss, model, calls)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import tensor as engine
from ..errors import ArgumentError, GraphError
from ..ops import Label
from ..tensor import Tensor
from .computation_graph import Plan, called, key_of, planned
from .stepping import BackwardStep, Names, backward_steps, only_names, parameter_names

if TYPE_CHECKING:
    from ..viz import BackwardSteps

SMALLER = "record a smaller model, or fewer tokens: the steps are the same"


def record_backward(loss, model=None, calls=None, grad=None, retain_graph: bool = False) -> BackwardSteps:
    """loss.backward(grad, retain_graph), every step of it kept for a `minigpt.viz.BackwardSteps`.

    model, calls   as in `backward_steps` and `graph`
    Kept are the numbers of small gradients and one line about each large one; who wants the arrays goes through
    `backward_steps`. Nothing has run backward when an error is raised.
    Raises  GraphError and ShapeError as backward() does; ArgumentError if loss is no Tensor, or the graph is too large
            to be drawn, with ways to make it smaller
    """
    from ..viz import BackwardSteps

    if not isinstance(loss, Tensor):
        raise ArgumentError(f"record_backward() needs a Tensor, got {type(loss).__name__}")
    if loss._node is None:
        raise GraphError("record_backward(): nothing led to this tensor, so there is nothing to step through")
    nodes = engine.nodes_newest_first(loss._node)
    names = Names(nodes[::-1], parameter_names(model, calls))
    plan = named_plan(loss, names, calls)
    places = [boxes_of(node, plan.places) for node in nodes if not only_names(node.op, node.inputs)]
    steps = backward_steps(loss, model, grad, retain_graph, calls)
    plain = (as_plain(step, *where) for step, where in zip(steps, places, strict=True))
    return BackwardSteps(plain, plan.nodes, plan.edges, title=f"Backward from {called(loss)}", note=plan.note)


def named_plan(loss, names: Names, calls=None) -> Plan:
    """The graph's boxes with the names that the steps use: `%3 = Mul`."""
    plan = planned(loss, names.leaves, calls, use="record_backward(loss, model, calls)", smaller=SMALLER)
    nodes = {node["id"]: node for node in plan.nodes}
    for node in engine.nodes_newest_first(loss._node):
        box = None if node.op is Label else nodes[plan.places["op", node.number]]
        if box is not None and box.get("kind") != "group":
            box["label"] = f"{', '.join(names.output(node, k) for k in range(len(node.outputs)))} = {box['label']}"
    return plan


def boxes_of(node, places: dict) -> tuple[str, list[str]]:
    """The box of a node, and those of its inputs."""
    inputs = [places[key_of(t)] for t in node.inputs if t is not None]
    return places.get(("op", node.number)) or inputs[0], inputs  # a Label has no box of its own


def as_plain(step: BackwardStep, box: str, input_boxes: list[str]) -> dict:
    """A step as `BackwardSteps` takes it: strings and arrays."""
    inputs = [
        {
            "name": i.name, "box": where, "shape": i.shape, "gradient": i.gradient, "summed": i.summed,
            "leaf": i.leaf, "before": i.before, "after": i.after,
        }
        for i, where in zip(step.inputs, input_boxes, strict=True)
    ]  # fmt: skip
    return {
        "box": box, "text": step.application, "formula": step.formula, "where": str(step.place or ""),
        "outputs": step.outputs, "inputs": inputs,
    }  # fmt: skip
