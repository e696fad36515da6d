"""Attention as it began, between the states of two recurrent networks: one head, scores of three kinds.

    dot       score(q, k) = q · k                                 Luong, Pham & Manning 2015, section 3.1
    general   score(q, k) = q · (k W)                             the same
    additive  score(q, k) = v · tanh(q W_q + k W_k)               Bahdanau, Cho & Bengio 2015, appendix A.1.2
    weights = softmax over the keys;  y = weights @ memory

Beside `MultiHeadAttention`: no scale, no values of their own, and the states themselves are what is summed.
"""

from __future__ import annotations

from .. import functional as F
from ..errors import ArgumentError, ShapeError
from ..ops.attention import check_mask
from ..ops.axes import named
from ..randomness import as_generator
from ..tensor import Tensor
from .linear import Linear, check_size
from .module import Module

SCORES = ("additive", "general", "dot")


class RecurrentAttention(Module):
    """m(x (B, Tq, C), context (B, Tk, C), mask) -> y (B, Tq, C), or with return_weights (y, weights (B, 1, Tq, Tk)).

    mask: boolean, True = may attend, broadcasts to (B, 1, Tq, Tk); a query that may attend to nothing gets zeros.
    Observers see "scores" and "weights". Raises ShapeError, ArgumentError.
    """

    def __init__(self, n_embd, score="additive", rng=None):
        check_size("RecurrentAttention", n_embd=n_embd)
        if score not in SCORES:
            raise ArgumentError(f"RecurrentAttention: score is one of {', '.join(map(repr, SCORES))}, got {score!r}")
        rng = as_generator(rng)
        self.n_embd, self.score = n_embd, score
        if score != "dot":
            self.keys = Linear(n_embd, n_embd, bias=False, rng=rng)
        if score == "additive":
            self.queries = Linear(n_embd, n_embd, rng=rng)
            self.v = Linear(n_embd, 1, bias=False, rng=rng)

    def forward(self, x, context, mask=None, return_weights=False):
        if x.ndim != 3 or context.ndim != 3 or not x.shape[2] == context.shape[2] == self.n_embd:
            raise ShapeError(
                f"RecurrentAttention: x has shape {named(x.shape)} and context {named(context.shape)}; both must "
                f"be (B, T, C) with C = n_embd = {self.n_embd}: encoder and decoder need one width"
            )
        if x.shape[0] != context.shape[0]:
            raise ShapeError(f"RecurrentAttention: x has batch B = {x.shape[0]}, context {context.shape[0]}")
        scores = F.label(self._scores(x, context)[:, None], "scores")  # (B, 1, Tq, Tk)
        if mask is not None:
            scores = F.where(check_mask(mask, scores.shape), scores, -float("inf"))
        weights = F.label(F.softmax(scores), "weights")  # (B, 1, Tq, Tk)
        y = (weights @ context[:, None])[:, 0]  # (B, Tq, C)
        return (y, weights) if return_weights else y

    def _scores(self, x, context) -> Tensor:
        if self.score == "dot":
            return x @ context.swapaxes(1, 2)  # (B, Tq, Tk)
        keys = self.keys(context)  # (B, Tk, C)
        if self.score == "general":
            return x @ keys.swapaxes(1, 2)  # (B, Tq, Tk)
        pairs = F.tanh(self.queries(x)[:, :, None] + keys[:, None])  # (B, Tq, Tk, C)
        return self.v(pairs)[..., 0]  # (B, Tq, Tk)

    def extra_repr(self):
        return f"{self.score}, {self.n_embd}"
