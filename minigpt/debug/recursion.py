"""Why backward() walks the tape from the newest op to the oldest, and does not simply call itself.

    def plain(t, g):            # "add the gradient here, hand it on to the inputs, and so on"
        t.grad += g
        for each input: plain(input, t.grad * d t / d input)

The line looks right and is right for chains. Where a tensor is used twice, its op is met twice, the second time with
the first gradient still in t.grad: that part is handed on a second time. Waiting until all users of a tensor have been
met, which falling numbers on the tape do, cures it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import functional as F
from ..display import Text
from ..errors import GraphError
from ..tensor import Tensor


def plain_recursion(t: Tensor, grad=None) -> dict[str, np.ndarray]:
    """The wrong way, on purpose: name of a leaf -> the gradient that plain recursion gives. `.grad` is not touched.

    Meant for small graphs: a tensor that is used twice at each of n levels is visited 2^n times.
    Raises GraphError if there is no graph.
    """
    if t._node is None:
        raise GraphError("plain_recursion(): this tensor has no graph")
    sums: dict[tuple, np.ndarray] = {}  # of every tensor: what its .grad would be
    leaves: dict[str, np.ndarray] = {}

    def visit(tensor, gradient):
        key = (tensor._node, tensor._index) if tensor._node is not None else (id(tensor), 0)
        sums[key] = sums.get(key, 0) + gradient
        if tensor._node is None:
            leaves[tensor.name or f"leaf {tensor.shape}"] = sums[key]
            return
        grads = tensor._node.backward([sums[key]])  # the whole sum again: this is the mistake
        for source, g in zip(tensor.inputs, grads, strict=True):
            if g is not None:
                visit(source, g)

    visit(t, np.ones(t.shape, t.dtype) if grad is None else np.asarray(grad, t.dtype))
    return leaves


@dataclass(frozen=True)
class Recursion:
    """x = 3, b = 2 x, y = b * b: d y / d x = 8 x = 24, by backward(), by plain recursion, and by the definition."""

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


def recursion_example() -> Recursion:
    """The smallest graph on which plain recursion is wrong, computed here and now."""

    def y_of(x):
        b = x * 2.0
        return b * b

    x = Tensor(np.array(3.0), requires_grad=True, name="x")
    y = F.label(y_of(x), "y")
    plain = plain_recursion(y)["x"].item()
    y.backward()
    h = 1e-4
    difference = (y_of(Tensor(np.array(3.0 + h))).item() - y_of(Tensor(np.array(3.0 - h))).item()) / (2 * h)
    return Recursion(x.grad.item(), plain, difference)
