"""Parameters that a loss does not depend on: a layer that was forgotten, or a graph that was cut."""

from __future__ import annotations

from ..errors import ArgumentError, GraphError
from ..tensor import Tensor, nodes_newest_first


def unused_parameters(loss, model) -> list[str]:
    """Names of the parameters of `model` that no path in the loss's graph leads to; ask before backward().

    Typical reasons: a layer that forward never calls, `.detach()` or `.numpy()` on the way, a Tensor made anew from an
    array. An empty list means that every parameter will get a gradient, which may still be zero.
    Raises: GraphError if the graph was freed or never recorded, ArgumentError
    """
    if not isinstance(loss, Tensor):
        raise ArgumentError(f"unused_parameters() needs the loss as a Tensor, got {type(loss).__name__}")
    if loss._node is None:
        raise GraphError(
            "this loss has no graph, so it depends on no parameter at all: was it computed inside no_grad(), or did "
            ".detach() or .numpy() come before it?"
        )
    nodes = nodes_newest_first(loss._node)
    if any(node.freed for node in nodes):
        raise GraphError("backward() has freed this graph: ask before it, or call backward(retain_graph=True)")
    reached = {id(t) for node in nodes for t in node.inputs}
    return [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in reached]
