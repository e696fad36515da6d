"""Examples of the views that show attention itself. The weights are made up: soft patterns that heads often have."""

import numpy as np

from .. import AttentionGrid, AttentionSteps, CrossAttention, HeadView, NeuronView

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


def head_view():
    weights = causal_weights(3, 4, len(TOKENS))
    return HeadView(weights, TOKENS, title="What four heads read", layer=2)


def cross_attention():
    """The last two words change places; the source is filled up with padding."""
    source = ["Ich", " mag", " Äpfel", " essen", "<pad>", "<pad>"]
    target = ["I", " like", " eating", " apples"]
    real = np.array([True] * 4 + [False] * 2)
    goes_to = np.array([0, 1, 3, 2])
    distance = np.abs(np.arange(6) - goes_to[:, None])  # (T, S)
    sharp = np.array([[0.6, 1.2], [2.5, 0.2]])[..., None, None]  # (L, H, 1, 1)
    weights = softmax(np.where(real, -sharp * distance, -np.inf))
    return CrossAttention(weights, target, source, source_mask=real)


def one_head(D):
    """q, k, v (4, D) of four tokens, where each looks for the one before it: k_j is like q_(j + 1)."""
    rng = np.random.default_rng(1)
    q, v = rng.normal(0, 1, (2, 4, D)).round(1)
    k = (1.5 * np.roll(q, -1, axis=0) + rng.normal(0, 0.4, (4, D))).round(1)
    return q, k, v


def attention_steps():
    w_o = np.random.default_rng(2).normal(0, 0.7, (3, 5)).round(1)
    return AttentionSteps(*one_head(3), TOKENS[:4], causal=True, w_o=w_o)


def neuron_view():
    q, k, _ = one_head(8)
    return NeuronView(q, k, TOKENS[:4], causal=True, key=1)


EXAMPLES = {
    "AttentionGrid": attention_grid,
    "AttentionSteps": attention_steps,
    "HeadView": head_view,
    "NeuronView": neuron_view,
    "CrossAttention": cross_attention,
}
