"""DecoderBlock: every token looks at those before it, then at the source, then thinks alone."""

from __future__ import annotations

from functools import partial

from ..randomness import as_generator
from .attention import MultiHeadAttention
from .dropout import Dropout
from .encoder_block import add_part, check_norm_place
from .layernorm import LayerNorm
from .mlp import MLP
from .module import Module


class DecoderBlock(Module):
    """Causal self-attention, cross-attention and an MLP, each added to the residual stream by `add_part`

    Shapes:  x (B, T, C), context (B, S, C) -> (B, T, C). The context may be given as the keys and values that
             `cross.keys_values(context)` made of it. context_mask broadcasts to (B, H, T, S), mask to (B, H, T, T).
    Source:  Vaswani et al. 2017, section 3.1
    """

    def __init__(
        self, n_embd, n_head, hidden=None, norm="pre", activation="gelu", dropout=0.0, bias=True, eps=1e-5, rng=None
    ):  # fmt: skip
        rng = as_generator(rng)
        self.pre = check_norm_place("DecoderBlock", norm)
        biases = {"qkv_bias": bias, "proj_bias": bias}
        self.ln_1 = LayerNorm(n_embd, eps, bias)
        self.attn = MultiHeadAttention(n_embd, n_head, True, dropout, **biases, rng=rng)
        self.ln_2 = LayerNorm(n_embd, eps, bias)
        self.cross = MultiHeadAttention(n_embd, n_head, False, dropout, **biases, rng=rng)
        self.ln_3 = LayerNorm(n_embd, eps, bias)
        self.mlp = MLP(n_embd, hidden, activation, bias=bias, rng=rng)
        self.drop = Dropout(dropout, rng=rng)

    def forward(self, x, context, context_mask=None, mask=None, cache=None):  # (B, T, C), (B, S, C)
        x = add_part(x, partial(self.attn, mask=mask, cache=cache), self.ln_1, self.drop, self.pre)
        x = add_part(x, partial(self.cross, context=context, mask=context_mask), self.ln_2, self.drop, self.pre)
        return add_part(x, self.mlp, self.ln_3, self.drop, self.pre)
