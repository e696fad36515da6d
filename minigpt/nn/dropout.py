"""Dropout: in training, set elements to zero at random and enlarge the rest."""

from __future__ import annotations

from .. import functional as F
from ..ops.dropout import check_probability
from ..randomness import as_generator
from .module import Module


class Dropout(Module):
    """y = x * keep / (1 - p) in training mode, y = x in evaluation mode; keep is 1 with probability 1 - p"""

    def __init__(self, p, rng=None):
        self.p = check_probability("Dropout", p)
        self.rng = as_generator(rng)

    def forward(self, x):
        return F.dropout(x, self.p, self.rng, self.training)

    def extra_repr(self):
        return f"p={self.p}"
