"""Examples of the views that show attention itself. The weights are made up: soft patterns that heads often have."""

import numpy as np

from .. import AttentionGrid

TOKENS = ["The", " cat", " sat", " on", " the", " mat", " and", " slept"]


def softmax(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def causal_weights(L, H, T, seed=0):
    """Each head prefers one distance back, the later layers more sharply. (L, H, T, T) float64"""
    query, key = np.indices((T, T))
    noise = np.random.default_rng(seed).normal(0, 0.7, (L, H, T, T))
    back = np.arange(H)[:, None, None]  # head h likes h tokens back
    sharp = np.linspace(0.5, 2.5, L)[:, None, None, None]
    scores = noise - sharp * np.abs(query - key - back)
    return softmax(np.where(key <= query, scores, -np.inf))


def attention_grid():
    return AttentionGrid(causal_weights(3, 4, len(TOKENS)), TOKENS, title="Three layers, four heads")


EXAMPLES = {"AttentionGrid": attention_grid}
