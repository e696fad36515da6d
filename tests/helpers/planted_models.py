"""A student's GPT, put together from own parts, with switches that each plant one bug in it."""

import numpy as np
from planted_ops import Bend, BendWrongSlope

import minigpt as mg
from minigpt import functional as F
from minigpt import nn
from minigpt.models import GPT, GPTConfig

CONFIG = GPTConfig(vocab_size=7, block_size=6, n_layer=2, n_head=2, n_embd=8, dropout=0.0)


class Attention(nn.Module):
    """Causal self-attention in separate steps, with the parameters of the library's."""

    def __init__(self, theirs, bug):
        self.c_attn, self.c_proj, self.n_head, self.bug = theirs.c_attn, theirs.c_proj, theirs.n_head, bug

    def forward(self, x, mask=None, cache=None, residual=None):
        B, T, C = x.shape
        qkv = self.c_attn(x).reshape(B, T, 3, self.n_head, C // self.n_head)  # (B, T, 3, H, D)
        q, k, v = (qkv[:, :, i].swapaxes(1, 2) for i in range(3))  # (B, H, T, D)
        scores = q @ k.swapaxes(-1, -2)  # (B, H, T, T)
        if self.bug != "missing scale":
            scores = scores * (C // self.n_head) ** -0.5
        scores = F.label(scores, "scores")
        allowed = np.tri(T, T, dtype=bool)
        if self.bug == "inverted mask":
            allowed = ~allowed
            allowed[-1, -1] = True  # else the last row has nothing to attend to
        if self.bug == "mask after softmax":
            weights = F.softmax(scores) * allowed
        else:
            axis = -2 if self.bug == "softmax axis" else -1
            weights = F.softmax(F.where(allowed, scores, -np.inf), axis=axis)
        heads = F.label(weights, "weights") @ v  # (B, H, T, D)
        return self.c_proj(heads.swapaxes(1, 2).reshape(B, T, C), residual)  # (B, T, C)


class Norm(nn.Module):
    """Layer norm in separate steps."""

    def __init__(self, theirs, bug):
        self.weight, self.bias, self.bug = theirs.weight, theirs.bias, bug

    def forward(self, x):
        off = x - x.mean(axis=-1, keepdims=True)  # (B, T, C)
        n = x.shape[-1] - (1 if self.bug == "variance by n - 1" else 0)
        var = (off * off).sum(axis=-1, keepdims=True) / n  # (B, T, 1)
        return off / (var + 1e-5).sqrt() * self.weight + self.bias


class Mlp(nn.Module):
    """The library's MLP with a GELU of the student's."""

    def __init__(self, theirs, bug):
        self.c_fc, self.c_proj, self.bug = theirs.c_fc, theirs.c_proj, bug
        self.rng = np.random.default_rng(0)

    def forward(self, x, residual=None):
        bend = BendWrongSlope if self.bug == "gelu slope" else Bend
        h = bend.apply(self.c_fc(x))
        if self.bug == "dropout in eval":
            h = F.dropout(h, 0.1, self.rng)  # training=True unless told otherwise
        return self.c_proj(h, residual)


class Block(nn.Module):
    """x = x + attn(ln_1(x));  x = x + mlp(ln_2(x))"""

    def __init__(self, theirs, bug):
        self.ln_1, self.attn, self.ln_2, self.mlp, self.bug = theirs.ln_1, theirs.attn, theirs.ln_2, theirs.mlp, bug

    def forward(self, x, mask=None, cache=None):
        x = x + self.attn(self.ln_1(x), mask=mask, cache=cache)
        past = x.detach() if self.bug == "detached residual" else x
        return past + self.mlp(self.ln_2(x))


def library_gpt(config=CONFIG):
    """The library's, with weights larger than those of a new one, so that attention differs from a mean."""
    model = GPT(config, seed=0)
    rng = np.random.default_rng(1)
    for name, p in model.named_parameters():
        if p.ndim == 2:
            p.data[...] = rng.standard_normal(p.shape) * 0.3
        elif name.endswith("bias"):
            p.data[...] = rng.standard_normal(p.shape) * 0.1
    return model


def student_gpt(part, bug="", layer=0):
    """The same model with one part of one block in the student's version."""
    model = library_gpt()
    block = model.h[layer]
    if part == "attention":
        block.attn = Attention(block.attn, bug)
    elif part == "norm":
        block.ln_1 = Norm(block.ln_1, bug)
    elif part == "mlp":
        block.mlp = Mlp(block.mlp, bug)
    elif part == "block":
        setattr(model.h, str(layer), Block(block, bug))
    return model


class CachedGPT(GPT):
    """Forward written anew, with the cache; `bug` plants one."""

    bug = ""

    def forward(self, ids, targets=None, cache=None):
        T = ids.shape[1]
        before = cache.length if cache is not None and self.bug != "positions from 0" else 0
        x = self.wte(ids) + self.wpe(np.arange(before, before + T))  # (B, T, C)
        for i, block in enumerate(self.h):
            x = block(x, cache=cache.layers[i] if cache is not None else None)
        x = self.ln_f(x)
        if self.bug == "head not tied in backward":
            logits = x @ mg.Tensor(self.wte.weight.numpy().T)  # (B, T, V)
        else:
            logits = x @ self.wte.weight.T  # (B, T, V)
        return logits, None if targets is None else F.cross_entropy(logits, targets)


def cached_gpt(bug=""):
    model = CachedGPT(CONFIG, seed=0)
    model.load_state_dict(library_gpt().state_dict())
    model.bug = bug
    return model
