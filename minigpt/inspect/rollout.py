"""Attention rollout: how attention, layer upon layer, mixes the tokens.

    A_l = mean over heads of the weights of layer l;   Ã_l = ½ A_l + ½ I;   rollout = Ã_L · … · Ã_2 · Ã_1

The ½ I stands for the residual connection, by which a token also passes itself on. Rows sum to 1, and those of a
causal model have no entry right of the diagonal. Source: Abnar & Zuidema 2020, "Quantifying attention flow in
transformers", section 3.
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError


def attention_rollout(weights) -> np.ndarray:
    """weights (L, H, T, T), rows summing to 1 -> (T, T) float64: row i says how position i mixes tokens j.

    Raises ShapeError for anything but one square map for each layer and head.
    """
    weights = np.asarray(weights, np.float64)
    if weights.ndim != 4 or weights.shape[2] != weights.shape[3] or 0 in weights.shape:
        raise ShapeError(f"attention_rollout needs weights (layers, heads, T, T), got {weights.shape}")
    mixed = np.eye(weights.shape[-1])
    for layer in weights:
        A = layer.mean(axis=0)  # (T, T)
        mixed = (0.5 * A + 0.5 * np.eye(len(A))) @ mixed
    return mixed
