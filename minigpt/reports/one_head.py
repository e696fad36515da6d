"""One head of a GPT from the inside: its operations with their numbers, and one score channel by channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..inspect.one_head import neurons_of, steps_of
from ..viz.weights import mean_entropy
from .subject import section

MOST = 16  # tokens whose numbers are shown: more cells are too small for a number


def sharpest_head(s) -> tuple[int, int]:
    """(layer, head) whose weights are the least spread over the prompt, of the layers that are drawn."""
    entropy = np.asarray(mean_entropy(s.self_attention[s.layers]))  # (L, H)
    layer, head = np.unravel_index(entropy.argmin(), entropy.shape)
    return s.layers[int(layer)], int(head)


def _chosen(s) -> tuple[Any, dict[str, np.ndarray], list[str], int, int]:
    """(the model, q, k, v of that head for the first MOST tokens, these tokens, layer, head).

    With causal attention they don't depend on the tokens after them.
    """
    layer, head = sharpest_head(s)
    found = {name: s.acts[f"h.{layer}.attn.{name}"][head, :MOST] for name in ("q", "k", "v")}  # (T, D)
    return s.model, found, s.tokens[:MOST], layer, head


def _cut(s) -> str:
    return f", first {MOST} tokens" if len(s.ids) > MOST else ""


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
    return steps_of(*_chosen(s), more=_cut(s))


@section(
    "neurons",
    "Why does this token look at that one?",
    "One score of the same head as a sum over its channels: query, key, their product, and the sum as it grows.",
    "Choose a pair on the map; a few long bars mean that a few channels decide, bars of both colours that they cancel.",
    ("attention-steps", "head-view"),
    attention=True,
)
def neurons(s):
    return neurons_of(*_chosen(s), more=_cut(s))
