"""One computation, forward and backward, on copies of what it was given: what all comparisons of runs do."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from ..errors import ArgumentError
from ..nn import Module
from ..tensor import Tensor


def forward_backward(
    row: str, fn: Callable, inputs: tuple, asked_by: str, dtype=None, loss: Callable | None = None
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """(Tensors that came out, leaves by name). Each float output is given the same gradient in every run.

    row:    of the kernel table, the one in use
    fn:     a Module, which is copied, or a function
    dtype:  of all floats that are copied; None: as they are
    loss:   what fn returns -> the Tensor to go back from; None: from every output
    """
    leaves: dict[str, Tensor] = {}
    given = [copied(row, x, f"input {i}", leaves, dtype) for i, x in enumerate(inputs)]
    run = copied(row, fn, "", leaves, dtype) if isinstance(fn, Module) else fn
    returned = run(*given)
    outputs = tensors_of(returned)
    if not outputs:
        raise ArgumentError(f"{asked_by}: fn must return a Tensor, or a tuple with Tensors in it")
    rng = np.random.default_rng(0)
    roots = [t for t in (outputs if loss is None else tensors_of(loss(returned))) if t.requires_grad]
    for k, t in enumerate(roots):
        grad = np.ones(t.shape, t.dtype) if t.size == 1 else rng.standard_normal(t.shape).astype(t.dtype)
        t.backward(Tensor(grad), retain_graph=k + 1 < len(roots))
    return outputs, leaves


def copied(row: str, x, name: str, leaves: dict[str, Tensor], dtype=None):
    """A copy of an input where the row can reach it; what can have a gradient is noted as a leaf."""
    if isinstance(x, Module):
        module = copy.deepcopy(x).to(row)
        if dtype is not None:
            module.astype(dtype)
        leaves.update((f"{name}.{key}" if name else key, p) for key, p in module.named_parameters())
        return module
    if isinstance(x, Tensor):
        leaf = Tensor(_in(dtype, x.numpy()), x.requires_grad, x.name)
    elif isinstance(x, np.ndarray) and x.dtype.kind == "f":
        leaf = Tensor(_in(dtype, x), requires_grad=True)
    else:
        return x
    if leaf.requires_grad:
        leaves[leaf.name or name] = leaf
    return leaf


def tensors_of(outputs) -> list[Tensor]:
    """The Tensors among what a function returned."""
    return [t for t in (outputs if isinstance(outputs, tuple | list) else (outputs,)) if isinstance(t, Tensor)]


def _in(dtype, array) -> np.ndarray:
    return np.array(array, dtype=dtype if array.dtype.kind == "f" else None)
