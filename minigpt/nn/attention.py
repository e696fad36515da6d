"""Multi-head attention: several attentions side by side, each on its own slice of the channels.

One step down: `functional.scaled_dot_product_attention` -> `ops/attention.py` -> `kernels/reference/attention.py`.
"""

from __future__ import annotations

from .. import functional as F
from ..errors import ArgumentError, GraphError, ShapeError
from ..observe import parts_wanted
from ..ops.axes import named
from ..ops.dropout import check_probability
from ..randomness import as_generator
from ..tensor import Tensor
from .linear import Linear, check_size
from .module import Module


class MultiHeadAttention(Module):
    """q, k, v = x @ c_attn;  head_h = softmax(q_h @ k_h^T / sqrt(D)) @ v_h;  y = concat(heads) @ c_proj

    Shapes:   x (B, Tq, C), context (B, Tk, C) -> y (B, Tq, C); c_attn (C, 3C) holds q | k | v, c_proj (C, C)
    Self-attention without context; with it cross-attention: q from x by c_attn[:, :C], k and v from context by the
    rest; a context that does not change may be given as its (k, v), which `keys_values` makes once. mask: boolean,
    True = may attend, broadcasts to (B, H, Tq, Tk). dropout acts on the attention weights. A residual (B, Tq, C) is
    added to y.
    Raises:   ArgumentError if C is not divisible by the number of heads, ShapeError
    Source:   Vaswani et al. 2017, section 3.2.2; parameter layout of GPT-2
    """

    def __init__(
        self, n_embd, n_head, causal=False, dropout=0.0, qkv_bias=True, proj_bias=True, rng=None,
        init_std=None, proj_std=None,
    ):  # fmt: skip
        check_size("MultiHeadAttention", n_embd=n_embd, n_head=n_head)
        if n_embd % n_head:
            raise ArgumentError(
                f"n_embd {n_embd} is not divisible by n_head {n_head}: each head gets n_embd / n_head channels; "
                f"n_head could be {_nearest(n_embd, n_head)}"
            )
        rng = as_generator(rng)
        self.n_embd, self.n_head, self.causal = n_embd, n_head, causal
        self.dropout = check_probability("MultiHeadAttention dropout", dropout)
        self.c_attn = Linear(n_embd, 3 * n_embd, bias=qkv_bias, rng=rng, init_std=init_std)
        self.c_proj = Linear(n_embd, n_embd, bias=proj_bias, rng=rng, init_std=proj_std)
        self.rng = rng

    def forward(self, x, context=None, mask=None, return_weights=False, cache=None, residual=None):
        self._check(x, "x")
        settings = {
            "mask": mask, "causal": self.causal, "dropout_p": self.dropout if self.training else 0.0, "rng": self.rng
        }  # fmt: skip
        in_parts = return_weights or parts_wanted()
        if context is None and not in_parts and (cache is None or not settings["dropout_p"]):
            qkv = self.c_attn(x)  # (B, Tq, 3C)
            if cache is None:
                y = F.self_attention(qkv, self.n_head, **settings)  # (B, Tq, C)
            else:
                _check_no_gradient(qkv)
                y = F.cached_attention(qkv, self.n_head, cache, mask, self.causal)  # (B, Tq, C)
            return self.c_proj(y, residual)

        q, k, v = self._project(x, context)  # (B, H, T, D) each
        if cache is not None:
            _check_no_gradient(k)
            k, v = (Tensor(part) for part in cache.append(k.data, v.data))  # (B, H, Tk, D), all tokens so far
        q, k, v = F.label(q, "q"), F.label(k, "k"), F.label(v, "v")
        if in_parts:
            heads, weights = F.attention_with_weights(q, k, v, **settings)  # (B, H, Tq, D), (B, H, Tq, Tk)
        else:
            heads, weights = F.scaled_dot_product_attention(q, k, v, **settings), None  # (B, H, Tq, D)
        heads = F.label(heads, "heads")
        y = self.c_proj(heads.swapaxes(1, 2).reshape(x.shape), residual)  # (B, Tq, C)
        return (y, weights) if return_weights else y

    def keys_values(self, context) -> tuple[Tensor, Tensor]:
        """Keys and values of a context (B, Tk, C) for cross-attention, (B, H, Tk, D) each."""
        self._check(context, "context")
        C, weight, bias = self.n_embd, self.c_attn.weight, self.c_attn.bias
        kv = F.linear(context, weight[:, C:], None if bias is None else bias[C:])  # (B, Tk, 2C)
        return self._split_heads(kv[..., :C]), self._split_heads(kv[..., C:])  # (B, H, Tk, D) each

    def _project(self, x, context):
        """q, k, v, (B, H, T, D) each"""
        C = self.n_embd
        if context is None:
            qkv = self.c_attn(x)  # (B, T, 3C)
            return tuple(self._split_heads(qkv[..., i * C : (i + 1) * C]) for i in range(3))
        k, v = context if isinstance(context, tuple) else self.keys_values(context)  # (B, H, Tk, D) each
        if k.shape[0] != x.shape[0]:
            raise ShapeError(f"attention: x has batch B = {x.shape[0]}, context {k.shape[0]}; they must be equal")
        bias = self.c_attn.bias
        q = F.linear(x, self.c_attn.weight[:, :C], None if bias is None else bias[:C])  # (B, Tq, C)
        return self._split_heads(q), k, v

    def _split_heads(self, x):
        B, T, C = x.shape
        return x.reshape(B, T, self.n_head, C // self.n_head).swapaxes(1, 2)  # (B, H, T, D)

    def _check(self, x, name):
        if x.ndim != 3 or x.shape[-1] != self.n_embd:
            hint = f"; one sequence: {name}[None]" if x.shape[1:] == (self.n_embd,) else ""
            raise ShapeError(
                f"attention: {name} has shape {named(x.shape)}, needs (B, T, C) with C = n_embd = {self.n_embd}{hint}"
            )

    def extra_repr(self):
        return f"{self.n_head} heads of {self.n_embd // self.n_head}{', causal' if self.causal else ''}"


def _nearest(n_embd, n_head) -> int:
    """The divisor of n_embd that is nearest to n_head."""
    return min((n for n in range(1, n_embd + 1) if n_embd % n == 0), key=lambda n: abs(n - n_head))


def _check_no_gradient(x):
    """A cache keeps plain arrays; outside of no_grad the gradient would silently end there."""
    if x.requires_grad:
        raise GraphError("attention: a cache keeps plain arrays, gradients cannot pass; use it inside mg.no_grad()")
