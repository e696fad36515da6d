"""What does each head look for? Three habits, scored by how much attention goes where the habit would send it.

previous token    to the token just before: key j = i − 1
duplicate token   to earlier places of the same token: ids[j] = ids[i], j < i
induction         to the token that came after an earlier place of the same token: ids[j − 1] = ids[i], j ≤ i. A head
                  that does so can copy: "A B … A" is followed by B. (Elhage et al. 2021, "A mathematical framework
                  for transformer circuits"; Olsson et al. 2022, "In-context learning and induction heads", where this
                  is called prefix matching)

    score = mean over queries i, for which there is such a key, of Σ_j weights[i, j] over those keys;  0 … 1

On text a head may look there because the words fit. On random tokens, repeated once, only the habit is left. The
patterns are those of TransformerLens' `detect_head`; its score divides by all queries, so it is smaller.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..nn import MultiHeadAttention
from ..randomness import as_generator
from .capture import capture

HABITS = ("previous_token", "duplicate_token", "induction")


@dataclass(frozen=True)
class HeadScores:
    """Scores (L, H) float64 of L layers and H heads, each 0 … 1; NaN where no query had such a key.

    layers: the name of each attention module, such as "h.0.attn"
    """

    previous_token: np.ndarray
    duplicate_token: np.ndarray
    induction: np.ndarray
    layers: tuple[str, ...]

    def best(self, habit: str) -> tuple[int, int]:
        """(layer, head) of the largest score. Raises ArgumentError for an unknown habit, and if there is no score."""
        if habit not in HABITS:
            raise ArgumentError(f"habit is one of {', '.join(HABITS)}; got {habit!r}")
        scores = getattr(self, habit)
        if np.isnan(scores).all():
            raise ArgumentError(f"no query of these ids has a key for {habit!r}, so there is no score")
        layer, head = np.unravel_index(np.nanargmax(scores), scores.shape)
        return int(layer), int(head)

    def table(self) -> str:
        """One line for each head."""
        width = max(len("layer"), *(len(name) for name in self.layers))
        lines = [f"{'layer':<{width}}{'head':>6}{'previous':>10}{'duplicate':>11}{'induction':>11}"]
        for layer, name in enumerate(self.layers):
            for head in range(self.induction.shape[1]):
                cells = (self.previous_token, self.duplicate_token, self.induction)
                shown = [f"{scores[layer, head]:.3f}" for scores in cells]
                lines.append(f"{name:<{width}}{head:>6}{shown[0]:>10}{shown[1]:>11}{shown[2]:>11}")
        return "\n".join(lines)


def repeated_tokens(tokens, length: int, rows: int = 1, seed=0) -> np.ndarray:
    """Random tokens, then the same again: (rows, 2 length) int64.

    tokens: the ids to draw from, or their number. No id comes twice in one half where there are enough of them.
    seed: int, Generator or None. Raises ArgumentError for a length or a number of rows or tokens below 1.
    """
    tokens = np.arange(tokens) if np.ndim(tokens) == 0 else np.asarray(tokens)
    if tokens.ndim != 1 or not len(tokens) or length < 1 or rows < 1:
        raise ArgumentError(
            f"repeated_tokens needs at least one token, length and rows; got {len(tokens)} tokens, {length=}, {rows=}"
        )
    rng = as_generator(seed)
    half = np.stack([rng.choice(tokens, length, replace=length > len(tokens)) for _ in range(rows)])  # (rows, length)
    return np.concatenate([half, half], axis=1).astype(np.int64)


def habit_keys(ids) -> dict[str, np.ndarray]:
    """Habit -> (T, T) boolean, True where it would send query i to key j. ids (T,)"""
    ids = np.asarray(ids)
    T = len(ids)
    same = (ids[:, None] == ids[None]) & np.tri(T, k=-1, dtype=bool)  # (T, T): an earlier place of the same token
    after = np.zeros((T, T), bool)
    after[:, 1:] = same[:, :-1]
    return {"previous_token": np.eye(T, k=-1, dtype=bool), "duplicate_token": same, "induction": after}


def scores_of(weights, ids, layers=None) -> HeadScores:
    """Scores of attention weights (L, H, T, T), as any program may have made them, for one sequence of ids (T,).

    layers: L names; "layer 0" … unless given. Raises ShapeError if the shapes do not fit together.
    """
    weights, ids = np.asarray(weights, np.float64), np.asarray(ids)
    if weights.ndim != 4 or ids.ndim != 1 or weights.shape[2:] != (len(ids), len(ids)) or 0 in weights.shape:
        raise ShapeError(
            f"head scores need weights (layers, heads, T, T) and ids (T,), got {weights.shape} and {ids.shape}"
        )
    return _mean(weights[:, None], ids[None], layers or [f"layer {i}" for i in range(len(weights))])


def head_scores(model, ids=None, length: int | None = None, rows: int = 8, tokens=None, seed=0) -> HeadScores:
    """Score every self-attention head of a GPT, MaskedLM or EncoderClassifier.

    ids:     (T,) or (B, T) to score on; None: `repeated_tokens`, `rows` sequences of 2 length tokens, drawn from
             `tokens` (all ids unless given) with `seed`
    length:  half of block_size unless given, at most 32
    An encoder–decoder needs two texts: capture its weights, and score them by `scores_of`.
    Raises ArgumentError, ShapeError.
    """
    names = [name for name, module in model.named_modules() if isinstance(module, MultiHeadAttention)]
    if not names or not hasattr(model.config, "block_size") or hasattr(model, "decoder"):
        raise ArgumentError(
            f"head_scores needs a model of self-attention alone, got {type(model).__name__}; for another, capture its "
            "attention weights and pass them to scores_of(weights, ids)"
        )
    if ids is None:
        length = max(1, min(32, model.config.block_size // 2)) if length is None else length
        ids = repeated_tokens(model.config.vocab_size if tokens is None else tokens, length, rows, seed)
    ids = np.atleast_2d(np.asarray(ids))  # (B, T)
    with model.evaluating(), capture(model, [f"{name}.weights" for name in names]) as acts:
        model(ids)
    weights = np.stack([acts[f"{name}.weights"] for name in names])  # (L, B, H, T, T)
    return _mean(weights, ids, names)


def _mean(weights, ids, layers) -> HeadScores:
    """weights (L, B, H, T, T), ids (B, T) -> the mean over all queries of all rows that have a key."""
    scores = {}
    for habit in HABITS:
        keys = np.stack([habit_keys(row)[habit] for row in ids])  # (B, T, T)
        queries = keys.any(axis=2).sum()
        total = np.einsum("lbhij,bij->lh", weights, keys, dtype=np.float64)  # (L, H)
        scores[habit] = total / queries if queries else np.full(total.shape, np.nan)
    return HeadScores(**scores, layers=tuple(layers))
