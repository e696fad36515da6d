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
    found, tokens = _one_head(model, tok, prompt, layer, head)
    return steps_of(model, found, tokens, layer, head)


def neuron_view(model, tok, prompt, layer: int, head: int, i: int | None = None, j: int | None = None):
    """Why token i looks at token j, channel by channel, a `minigpt.viz.NeuronView`; `neuron_breakdown` as a picture.

    Arguments and errors: those of attention_steps; i, j: the pair shown first, None: the last token and the key that
    it scores highest.
    """
    found, tokens = _one_head(model, tok, prompt, layer, head)
    return neurons_of(model, found, tokens, layer, head, i, j)


def steps_of(model, found, tokens, layer: int, head: int, more: str = ""):
    """The view of attention_steps, of what has been captured already: found {"q", "k", "v": (T, D)}, T tokens.

    more: what the title says besides layer and head
    """
    from ..viz import AttentionSteps

    attn, D = model.h[layer].attn, found["q"].shape[1]
    w_o = attn.c_proj.weight.numpy()[head * D : (head + 1) * D]  # (D, C)
    title = f"Attention, step by step: layer {layer}, head {head}{more}"
    return AttentionSteps(**found, tokens=tokens, causal=attn.causal, w_o=w_o, title=title)


def neurons_of(model, found, tokens, layer: int, head: int, i: int | None = None, j: int | None = None, more: str = ""):
    """The view of neuron_view, of what has been captured already."""
    from ..viz import NeuronView

    title = f"A score, channel by channel: layer {layer}, head {head}{more}"
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
