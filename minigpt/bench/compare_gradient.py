"""How far back a gradient reaches: the norm of d loss at the last token / d embedding of the token k steps before.

In a recurrent network each step multiplies that gradient by a Jacobian, so that it shrinks or grows like a power of k
(Bengio, Simard & Frasconi 1994); attention connects the two tokens directly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional as F
from ..observe import observing


class _Embeddings:
    """An observer that keeps what the token table gave, and its gradient."""

    def __init__(self, table):
        self.table = table
        self.output: Any = None

    def around_module(self, module, args, kwargs, proceed):
        output = proceed()
        if module is self.table:
            self.output = output.retain_grad()
        return output


def gradient_through_time(model, ids, targets) -> np.ndarray:
    """ids, targets (B, T) -> (T,): for k = 0 … T - 1 the norm over channels, root mean square over the rows."""
    seen = _Embeddings(model.wte)
    mode = model.training
    model.eval()
    with observing(seen):
        logits, _ = model(ids)  # (B, T, V)
    F.cross_entropy(logits[:, -1], targets[:, -1], reduction="sum").backward()
    model.train(mode)
    model.zero_grad()
    grad = np.asarray(seen.output.grad, np.float64)  # (B, T, C)
    return np.sqrt((grad**2).sum(axis=2).mean(axis=0))[::-1]  # (T,), k = 0 first
