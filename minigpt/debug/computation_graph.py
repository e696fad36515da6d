"""The graph that backward() will walk, as a picture.

    graph(loss)                                # every operation, as in a textbook

    with module_calls(model) as calls:         # a whole model: too many operations to read one by one
        _, loss = model(ids, targets)
    graph(loss, calls)                         # parameters by name, and modules in place of operations where needed

It follows `t.op` and `t.inputs` from the result back to the leaves. Ask before `backward()`, or call it with
retain_graph=True: a backward pass frees the graph that it has walked. `calls.py` notes where operations ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..errors import ArgumentError, GraphError
from ..nn import Parameter
from ..ops import Label
from ..tensor import Tensor

MOST = 150  # boxes that can still be read
SMALL = 4  # elements of an array whose values are written into its box


@dataclass
class _Box:
    """An operation or a leaf on the way to the result."""

    key: tuple
    tensor: Tensor
    inputs: list  # keys
    cut: bool = False  # made of more, which is not shown


def graph(t, calls=None, depth=None, most=MOST):
    """The computation that led to a Tensor, as a `minigpt.viz.ComputationGraph`: .fig(), .save(), seen in a notebook.

    t       a Tensor that was computed with gradients recorded
    calls   of `module_calls(model)`: names the parameters; beyond `most` boxes, one box stands for a module call
    depth   show only what is at most so many operations before t; what lies before is cut off
    most    boxes that are drawn
    Arrays of up to 4 numbers show their values, and gradients if they have any.
    Raises  GraphError if there is no graph (a leaf, recorded under no_grad, freed by backward), ArgumentError if it is
            too large, with ways to cut it
    """
    from ..viz import ComputationGraph

    if not isinstance(t, Tensor):
        raise ArgumentError(f"graph() needs a Tensor, got {type(t).__name__}")
    plan = planned(t, calls.names if calls else {}, calls, depth, most)
    return ComputationGraph(plan.nodes, plan.edges, f"How {called(t)} was computed", plan.note)


def called(t) -> str:
    """A result in a title: by its name, else by its op."""
    return t.name or t.op.__name__


class Plan(NamedTuple):
    """What will be drawn.

    nodes, edges, note   as `ComputationGraph` takes them; places: key of a Tensor -> id of its box
    """

    nodes: list
    edges: list
    places: dict
    note: str


CUT = "cut with graph(t, depth=10), or ask of an inner Tensor"


def planned(t, names, calls=None, depth=None, most=MOST, use="graph(t, calls)", smaller=CUT) -> Plan:
    """Boxes and arrows of what led to a Tensor; other arguments as in graph(), and so are the errors.

    names   id of a leaf -> what to call it
    use, smaller   what the error for too large a graph says: how to call again with `calls`, and how else to do
    """
    t = unlabelled(t)
    if t.op is None:
        raise GraphError(
            "this Tensor has no graph: it is a leaf, or was computed under no_grad() or from "
            "inputs without requires_grad"
        )
    boxes = _walk(t, depth)
    what = _count(sum(box.tensor.op is not None for box in boxes.values()), "operation")
    cut = ", cut" if any(box.cut for box in boxes.values()) else ""
    group = _grouping(boxes, calls, most, use, smaller)
    nodes, edges, places = _described(boxes, names, group, key_of(t))
    together = "; operations of one module call in one box" if group else ""
    return Plan(nodes, edges, places, f"{what}{cut}{together}. Inputs above, the result below.")


def unlabelled(t):
    """What a Label was put on."""
    while t.op is Label:
        t = t.inputs[0]
    return t


def key_of(t):
    """Operations by their number on the tape, so that two outputs of one are one box; leaves by identity.

    A Label only gives a name to what it is put on, for observers: it has no box of its own.
    """
    t = unlabelled(t)
    return ("op", t._node.number) if t._node is not None else ("leaf", id(t))


def _walk(t, depth):
    """key -> _Box of all that t was computed from, t first; breadth first, so that `depth` is a distance."""
    boxes = {key_of(t): _Box(key_of(t), t, [])}
    frontier, distance = [boxes[key_of(t)]], 0
    while frontier:
        distance += 1
        found = []
        for box in frontier:
            if depth is not None and distance > depth and box.tensor.op is not None:
                box.cut = True
                continue
            for source in reversed(box.tensor.inputs):  # the boxes are drawn in reverse
                if source is None:
                    continue
                source = unlabelled(source)
                key = key_of(source)
                box.inputs.append(key)
                if key not in boxes:
                    boxes[key] = _Box(key, source, [])
                    found.append(boxes[key])
        frontier = found
    return boxes


def _grouping(boxes, calls, most, use, smaller):
    """key -> the module call it is drawn in, {} if all boxes can be drawn one by one; as little as is needed."""
    if len(boxes) <= most:
        return {}
    known = {key: calls.calls[key[1]] for key in boxes if calls and key[0] == "op" and key[1] in calls.calls}
    for level in range(max(map(len, known.values()), default=0), 0, -1):
        group = {key: stack[:level] for key, stack in known.items() if len(stack) >= level}
        _add_leaves(boxes, group)
        if len({group.get(key, key) for key in boxes}) <= most:
            return group
    how = (
        smaller
        if calls
        else "put operations together by module: `with module_calls(model) as calls: …` around the forward pass, then "
        f"{use}; or {smaller}"
    )
    raise ArgumentError(f"this graph has {len(boxes)} boxes, at most {most} can be read: {how}")


def _add_leaves(boxes, group):
    """Leaves that only one call uses are drawn inside it."""
    users: dict = {}
    for box in boxes.values():
        for key in box.inputs:
            if key[0] == "leaf":
                users.setdefault(key, set()).add(group.get(box.key))
    for key, where in users.items():
        if len(where) == 1 and None not in where:
            group[key] = where.pop()


def _described(boxes, names, group, result):
    """Nodes and edges as `ComputationGraph` takes them, sources first, and which box each key is drawn in."""
    members: dict = {}
    for box in reversed(boxes.values()):
        members.setdefault(group.get(box.key, box.key), []).append(box)
    title = {place: str(k) for k, place in enumerate(members)}
    nodes = []
    for place, inside in members.items():
        ops = [box for box in inside if box.tensor.op is not None]
        node = _box_node(inside[0], names) if place not in group.values() else _group_node(place, ops, inside)
        if any(box.key == result for box in inside):
            node["kind"] = "output"
        nodes.append({"id": title[place], **node})
    edges = {
        (title[group.get(source, source)], title[group.get(box.key, box.key)])
        for box in reversed(boxes.values())
        for source in box.inputs
    }
    arrows = sorted((edge for edge in edges if edge[0] != edge[1]), key=lambda edge: (int(edge[1]), int(edge[0])))
    return nodes, arrows, {key: title[group.get(key, key)] for key in boxes}


def _box_node(box, names):
    t = box.tensor
    name = names.get(id(t)) or t.name
    small = t.data.size <= SMALL
    lines = ([_shape(t)] if t.shape or not small else []) + (["…"] if box.cut else [])
    if small:
        lines.append(_numbers(t))
        if t.grad is not None:
            lines.append(f"grad {_numbers(Tensor(t.grad))}")
    if t.op is not None:
        about = "computed from more, which is cut off" if box.cut else f"called {name}" if name else ""
        return {"label": t.op.__name__, "lines": lines, "about": about}
    kind = "parameter" if isinstance(t, Parameter) or t.requires_grad else "leaf"
    return {"label": name or ("constant" if t.data.size == 1 else "input"), "lines": lines, "kind": kind}


def _group_node(place, ops, inside):
    """A module call: how many operations and parameters, and what comes out last."""
    last = max(ops, key=lambda box: box.key[1]).tensor
    parameters = sum(box.tensor.data.size for box in inside if box.tensor.op is None and box.tensor.requires_grad)
    lines = [_count(len(ops), "operation")] + ([_count(parameters, "parameter")] if parameters else []) + [_shape(last)]
    about = ", ".join(box.tensor.op.__name__ for box in ops)
    return {"label": place[-1][0], "lines": lines, "kind": "group", "about": about[:300]}


def _count(n, what):
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _shape(t):
    return " × ".join(map(str, t.shape)) if t.shape else "one number"


def _numbers(t):
    return ", ".join(f"{value:.4g}" for value in t.numpy().ravel().tolist())
