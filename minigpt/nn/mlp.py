"""MLP: widen, bend, narrow; applied to every token alone."""

from __future__ import annotations

from .. import functional as F
from ..errors import ArgumentError
from ..observe import parts_wanted
from ..randomness import as_generator
from .linear import Linear
from .module import Module


class MLP(Module):
    """y = f(x @ c_fc) @ c_proj, f = GELU or ReLU

    Shapes:  x (B, T, C) -> (B, T, C); hidden width 4C unless given; a residual (B, T, C) is added to y
    Source:  Vaswani et al. 2017, section 3.3; GELU: GPT
    """

    def __init__(self, n_embd, hidden=None, activation="gelu", bias=True, rng=None, init_std=None, proj_std=None):
        if activation not in ("gelu", "relu"):
            raise ArgumentError(f"MLP: activation is 'gelu' or 'relu', got {activation!r}")
        rng = as_generator(rng)
        hidden = 4 * n_embd if hidden is None else hidden
        self.activation = activation
        self.c_fc = Linear(n_embd, hidden, bias=bias, rng=rng, init_std=init_std)
        self.c_proj = Linear(hidden, n_embd, bias=bias, rng=rng, init_std=proj_std)

    def forward(self, x, residual=None):  # (B, T, C) each
        if self.activation == "gelu" and type(self.c_fc) is Linear and not parts_wanted():
            h = F.linear_gelu(x, self.c_fc.weight, self.c_fc.bias)  # (B, T, 4C), one op
        else:
            h = self.c_fc(x)  # (B, T, 4C)
            h = F.gelu(h) if self.activation == "gelu" else F.relu(h)
        return self.c_proj(F.label(h, "hidden"), residual)  # (B, T, C)
