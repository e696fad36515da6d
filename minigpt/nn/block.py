"""Block: attention lets tokens exchange information, the MLP lets each think alone; both add to the residual."""

from __future__ import annotations

from .. import functional as F
from ..observe import parts_wanted
from ..randomness import as_generator
from .attention import MultiHeadAttention
from .dropout import Dropout
from .layernorm import LayerNorm
from .mlp import MLP
from .module import Module


class Block(Module):
    """x = x + attn(ln_1(x));  x = x + mlp(ln_2(x)): pre-norm, as in GPT-2

    Shapes:  x (B, T, C) -> (B, T, C)
    Source:  Radford et al. 2019, section 2.3
    """

    def __init__(
        self, n_embd, n_head, causal=True, dropout=0.0, bias=True, eps=1e-5, rng=None, init_std=None, proj_std=None
    ):  # fmt: skip
        rng = as_generator(rng)
        self.ln_1 = LayerNorm(n_embd, eps, bias)
        self.attn = MultiHeadAttention(
            n_embd, n_head, causal, dropout, qkv_bias=bias, proj_bias=bias, rng=rng,
            init_std=init_std, proj_std=proj_std,
        )  # fmt: skip
        self.ln_2 = LayerNorm(n_embd, eps, bias)
        self.mlp = MLP(n_embd, bias=bias, rng=rng, init_std=init_std, proj_std=proj_std)
        self.drop = Dropout(dropout, rng=rng)

    def forward(self, x, mask=None, cache=None):  # (B, T, C)
        if parts_wanted() or (self.training and self.drop.p):
            x = F.label(x + self.drop(self.attn(self.ln_1(x), mask=mask, cache=cache)), "mid")
            x = x + self.drop(self.mlp(self.ln_2(x)))
        else:  # the same, the additions left to the last linear layer of each
            x = self.attn(self.ln_1(x), mask=mask, cache=cache, residual=x)
            x = self.mlp(self.ln_2(x), residual=x)
        return x
