"""One head of a GPT from the inside: its operations with their numbers, and one score channel by channel."""

from __future__ import annotations

import numpy as np

from ..viz import AttentionSteps, NeuronView
from ..viz.weights import mean_entropy
from .subject import section

MOST = 16  # tokens whose numbers are shown: more cells are too small for a number


def sharpest_head(s) -> tuple[int, int]:
    """(layer, head) whose weights are the least spread over the prompt, of the layers that are drawn."""
    entropy = np.asarray(mean_entropy(s.self_attention[s.layers]))  # (L, H)
    layer, head = np.unravel_index(entropy.argmin(), entropy.shape)
    return s.layers[int(layer)], int(head)


def _of(s, layer: int, head: int) -> dict[str, np.ndarray]:
    """q, k, v of the head for the first MOST tokens: with causal attention they don't depend on the others."""
    return {name: s.acts[f"h.{layer}.attn.{name}"][head, :MOST] for name in ("q", "k", "v")}  # (T, D)


def _title(s, what: str, layer: int, head: int) -> str:
    cut = f", first {MOST} tokens" if len(s.ids) > MOST else ""
    return f"{what}: layer {layer}, head {head}{cut}"


@section(
    "attention-steps",
    "How does one head compute its weights?",
    "The head that chooses most sharply on this prompt, operation by operation: queries and keys, their products, "
    "÷ √d, mask, softmax, the weighted sum of values, and what it adds to the stream.",
    "Move the slider or press the arrow keys, then point at a number: the page writes out the sum that it comes from.",
    ("neurons", "attention-grid"),
    attention=True,
)
def attention_steps(s):
    layer, head = sharpest_head(s)
    found = _of(s, layer, head)
    D = found["q"].shape[1]
    weight = s.model.h[layer].attn.c_proj.weight.numpy()[head * D : (head + 1) * D]  # (D, C)
    title = _title(s, "Attention, step by step", layer, head)
    return AttentionSteps(**found, tokens=s.tokens[:MOST], causal=True, w_o=weight, title=title)


@section(
    "neurons",
    "Why does this token look at that one?",
    "One score of the same head as a sum over its channels: query, key, their product, and the sum as it grows.",
    "Choose a pair on the map; a few long bars mean that a few channels decide, bars of both colours that they cancel.",
    ("attention-steps", "head-view"),
    attention=True,
)
def neurons(s):
    layer, head = sharpest_head(s)
    found = _of(s, layer, head)
    title = _title(s, "A score, channel by channel", layer, head)
    return NeuronView(found["q"], found["k"], s.tokens[:MOST], causal=True, title=title)
