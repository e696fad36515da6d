"""Parameters that a loss does not depend on: a layer that was forgotten, or a graph that was cut."""

from __future__ import annotations

from ..errors import ArgumentError, GraphError
from ..tensor import Tensor


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
    reached, seen, stack = set(), {loss._node}, [loss]
    while stack:
        for t in stack.pop().inputs:  # raises if backward() has freed the graph
            if t is None:
                continue
            reached.add(id(t))
            if t._node is not None and t._node not in seen:
                seen.add(t._node)
                stack.append(t)
    return [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in reached]
