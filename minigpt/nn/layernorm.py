"""LayerNorm: mean 0 and variance 1 over the channels, then a learned scale and shift."""

from __future__ import annotations

import numpy as np

from .. import functional as F
from .linear import check_size
from .module import Module, Parameter


class LayerNorm(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, over the last axis

    Shapes:  x (..., d) -> (..., d); weight and bias (d,), 1 and 0 at the start
    """

    def __init__(self, d, eps=1e-5, bias=True):
        check_size("LayerNorm", d=d)
        self.eps = eps
        self.weight = Parameter(np.ones(d, np.float32))
        self.bias = Parameter(np.zeros(d, np.float32)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.weight.shape[0]}, eps={self.eps}{', bias' if self.bias is not None else ''}"
