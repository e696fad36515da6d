"""EncoderBlock: every token looks at all tokens, before and after it, then each thinks alone."""

from __future__ import annotations

from functools import partial

from ..errors import ArgumentError
from ..observe import parts_wanted
from ..randomness import as_generator
from .attention import MultiHeadAttention
from .dropout import Dropout
from .layernorm import LayerNorm
from .mlp import MLP
from .module import Module


def add_part(x, part, norm, drop, pre: bool):
    """One step along the residual stream x (B, T, C); part is attention or an MLP and takes `residual`

    pre-norm:   x + drop(part(norm(x)))        the stream itself is never normalised: deep stacks train without care
    post-norm:  norm(x + drop(part(x)))        Vaswani et al. 2017; wants a warm-up, see `optim.noam`
    """
    inner = norm(x) if pre else x
    if parts_wanted() or (drop.training and drop.p):
        y = x + drop(part(inner))
    else:  # the same, the addition left to the last linear layer of the part
        y = part(inner, residual=x)
    return y if pre else norm(y)  # (B, T, C)


def check_norm_place(owner: str, norm: str) -> bool:
    """Whether the norm comes before attention and MLP; ArgumentError for what is neither "pre" nor "post"."""
    if norm not in ("pre", "post"):
        raise ArgumentError(f"{owner}: norm is 'pre' or 'post', got {norm!r}")
    return norm == "pre"


class EncoderBlock(Module):
    """Self-attention in both directions and an MLP, each added to the residual stream by `add_part`

    Shapes:  x (B, T, C) -> (B, T, C); mask boolean, True = may attend, broadcasts to (B, H, T, T)
    Source:  Vaswani et al. 2017, section 3.1; pre-norm: Xiong et al. 2020
    """

    def __init__(
        self, n_embd, n_head, hidden=None, norm="pre", activation="gelu", dropout=0.0, bias=True, eps=1e-5, rng=None
    ):  # fmt: skip
        rng = as_generator(rng)
        self.pre = check_norm_place("EncoderBlock", norm)
        self.ln_1 = LayerNorm(n_embd, eps, bias)
        self.attn = MultiHeadAttention(n_embd, n_head, False, dropout, qkv_bias=bias, proj_bias=bias, rng=rng)
        self.ln_2 = LayerNorm(n_embd, eps, bias)
        self.mlp = MLP(n_embd, hidden, activation, bias=bias, rng=rng)
        self.drop = Dropout(dropout, rng=rng)

    def forward(self, x, mask=None):  # (B, T, C)
        x = add_part(x, partial(self.attn, mask=mask), self.ln_1, self.drop, self.pre)
        return add_part(x, self.mlp, self.ln_2, self.drop, self.pre)
