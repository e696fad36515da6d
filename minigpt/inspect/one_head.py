"""One head of a GPT on one prompt, as views: every operation of its attention, or one score channel by channel."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..models import GPT
from .capture import capture


def attention_steps(model, tok, prompt, layer: int, head: int):
    """The steps of softmax(Q Kᵀ / √d) V of one head with their numbers, a `minigpt.viz.AttentionSteps`.

    prompt: text, 1 to block_size tokens of it; tok=None takes model.tokenizer. The last step is the head's part of
    the output projection (its bias is no head's and is left out).
    Raises ArgumentError (no GPT, no such layer or head), ShapeError (empty or too long a prompt), TokenizerError.
    """
    from ..viz import AttentionSteps

    found, tokens = _one_head(model, tok, prompt, layer, head)
    weight = model.h[layer].attn.c_proj.weight.numpy()  # (C, C)
    D = found["q"].shape[1]
    title = f"Attention, step by step: layer {layer}, head {head}"
    return AttentionSteps(
        **found, tokens=tokens, causal=model.h[layer].attn.causal, w_o=weight[head * D : (head + 1) * D], title=title
    )


def neuron_view(model, tok, prompt, layer: int, head: int, i: int | None = None, j: int | None = None):
    """Why token i looks at token j, channel by channel, a `minigpt.viz.NeuronView`; `neuron_breakdown` as a picture.

    Arguments and errors: those of attention_steps; i, j: the pair shown first, None: the last token and the key that
    it scores highest.
    """
    from ..viz import NeuronView

    found, tokens = _one_head(model, tok, prompt, layer, head)
    title = f"A score, channel by channel: layer {layer}, head {head}"
    causal = model.h[layer].attn.causal
    return NeuronView(found["q"], found["k"], tokens, causal=causal, query=i, key=j, title=title)


def _one_head(model, tok, prompt, layer, head):
    """({"q", "k", "v": (T, D)}, T tokens)"""
    if not isinstance(model, GPT):
        raise ArgumentError(
            f"this reads one head of a GPT, got {type(model).__name__}; of other models capture q, k and v, and pass "
            "them to viz.AttentionSteps"
        )
    for name, value, n in (("layer", layer, model.config.n_layer), ("head", head, model.config.n_head)):
        if not 0 <= value < n:
            raise ArgumentError(f"{name} is a number from 0 to {n - 1}, got {value}")
    tok = model.tokenizer if tok is None else tok
    ids = np.array(tok.encode(prompt), np.int64)  # (T,)
    if not 1 <= len(ids) <= model.config.block_size:
        raise ShapeError(f"a prompt has 1 to {model.config.block_size} tokens (block_size), got {len(ids)}")
    names = {name: f"h.{layer}.attn.{name}" for name in ("q", "k", "v")}
    with model.evaluating(), capture(model, list(names.values()), copy=True) as acts:
        model(ids[None])
    return {name: acts[full][0, head] for name, full in names.items()}, [tok.decode([i]) for i in ids]
