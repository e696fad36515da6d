"""Looking rows up in a table by number."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, ShapeError
from .op import Op


class Embedding(Op):
    """y[...] = weight[ids[...]];  dweight[ids[...]] += dy[...], repeated ids add up

    Shapes:   ids (...) integers, weight (V, C) -> y (..., C)
    Raises:   ArgumentError if ids are not integers or lie outside 0 … V - 1, ShapeError
    """

    gives_fresh_gradients = True

    @staticmethod
    def forward(ctx, ids, weight):
        if weight.ndim != 2:
            raise ShapeError(f"embedding: weight has shape {weight.shape}, needs two axes (V, C)")
        check_ids("embedding", ids, weight.shape[0], of="V = {} rows")
        ctx.n = weight.shape[0]
        ctx.save(ids)
        return ctx.row.embedding_forward(ids, weight)  # (..., C)

    @staticmethod
    def backward(ctx, dy):
        (ids,) = ctx.saved
        return None, RowGradient(ctx.row, ids, dy, ctx.n)  # stands for (V, C)


class RowGradient:
    """Gradient of a table (V, C) of which only the rows `ids` were read: dy[i] belongs to row ids[i], the rest is 0.

    A batch reads a few hundred rows of a table of 50,000; only those are touched when this is added to a gradient that
    is there already. `shape` and `dtype` are those of the whole.
    """

    def __init__(self, row, ids, dy, n):  # ids (...), dy (..., C)
        self.row, self.ids, self.dy = row, ids, dy
        self.shape, self.dtype = (n, dy.shape[-1]), dy.dtype

    def dense(self):
        """The whole gradient as an array (V, C)."""
        return self.row.embedding_backward(self.dy, self.ids, self.shape[0])

    def add_into(self, grad):
        """grad[ids[i]] += dy[i] for every i, in place."""
        self.row.embedding_add_into(grad, self.dy, self.ids)


def check_ids(name: str, ids, n: int, ignore: int | None = None, what: str = "id", of: str = "{} of them"):
    """Refuse ids that are not integers in 0 … n - 1 (or `ignore`), naming the first wrong one and its place.

    what, of: for the error, what one of them is, and what there are n of
    """
    if ids.dtype.kind not in "iu":
        hint = "ids come from a tokenizer, which gives integers" if what == "id" else "they are numbers of classes"
        hint = f"; {hint}; whole numbers are cast with x.astype(int)" if ids.dtype.kind == "f" else ""
        raise ArgumentError(f"{name}: {what}s must be integers, got dtype {ids.dtype}{hint}")
    if not isinstance(ids, np.ndarray):
        return  # on a device the kernel guards its own reads; looking here would stall it
    if ignore is None and (ids.size == 0 or (ids.min() >= 0 and ids.max() < n)):
        return
    wrong = (ids < 0) | (ids >= n)
    if ignore is not None:
        wrong &= ids != ignore
    if not wrong.any():
        return
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    raise ArgumentError(
        f"{name}: {what} {int(ids[place])} at index {place} is outside 0 … {n - 1} ({of.format(n)}"
        + (f", and it is not ignore_index {ignore})" if ignore is not None else ")")
        + "; was the text encoded with another tokenizer than the model's?"
    )
