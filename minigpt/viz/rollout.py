"""Rollout beside raw attention: what one position reads in each layer, and what it holds of each token after all.

Raw attention of a deep layer looks at positions, not at tokens: those positions have mixed many tokens by then.
Rollout follows the mixing through the layers (Abnar & Zuidema 2020, section 3). It knows nothing of the values that
are read or of what the MLPs do, so it is no explanation of a prediction either.
"""

import numpy as np

from ..errors import ArgumentError, ShapeError
from .heat import (
    Axis,
    Heat,
    HeatView,
    Scale,
    checked_numbers,
    checked_strings,
    maps_data,
    masked_later,
    packed,
    scale_data,
    title_or,
    token_axis,
)  # fmt: skip

SUM_TOLERANCE = 1e-3


class AttentionRollout(HeatView):
    """Raw attention of each layer (mean over its heads) beside the rollout, T × T maps.

    weights   (L, H, T, T) attention weights after the softmax, or (L, T, T) already averaged over the heads
    rollout   (T, T), rows summing to 1: `minigpt.inspect.attention_rollout(weights)`, or of your own
    tokens    T strings
    title     str, or None for a default

    Attributes: `raw` (L, T, T), `rollout` (T, T) float64; `tokens`, `scale`, `title`, `note`.
    Raises ArgumentError, ShapeError or NumericsError naming what does not fit.
    """

    script = ("heat.js", "rollout.js")
    scale = Scale(1.0, False, "attention weight or rollout, 0 to 1")

    def __init__(self, weights, rollout, tokens, title=None):
        averaged = np.ndim(weights) == 3
        weights = checked_numbers(
            "weights", weights, ("layers", "T", "T") if averaged else ("layers", "heads", "T", "T")
        )
        self.raw = weights if averaged else weights.mean(axis=1)  # (L, T, T)
        self.rollout = checked_numbers("rollout", rollout, ("T", "T"))
        T, K = self.raw.shape[1:]
        if T != K or self.rollout.shape != (T, T):
            raise ShapeError(
                f"weights and rollout need square maps of one size; got weights {weights.shape} and rollout "
                f"{self.rollout.shape}. Rollout has no meaning for cross-attention or with a key-value cache."
            )
        for name, maps in (("weights", self.raw), ("rollout", self.rollout[None])):
            sums = maps.sum(axis=-1)
            if maps.min() < -1e-6 or ((np.abs(sums - 1) > SUM_TOLERANCE) & (np.abs(sums) > SUM_TOLERANCE)).any():
                raise ArgumentError(f"{name} needs rows of shares that sum to 1 (softmax over the last axis)")
        self.tokens = checked_strings("tokens", tokens, T, "position")
        self.title = title_or(title, "Raw attention by layer, and rollout")
        self.note = (
            "Raw: mean over the heads of the layer. Rollout: ½ attention + ½ residual, multiplied through all layers."
        )

    def __repr__(self):
        return f"AttentionRollout({len(self.raw)} layers × {len(self.tokens)} tokens)"

    def maps(self):
        """One T × T map for each layer, and the rollout."""
        queries, keys = token_axis(self.tokens, "query"), token_axis(self.tokens, "key")
        names = [f"layer {k}" for k in range(len(self.raw))]
        return [
            Heat(name, queries, keys, values) for name, values in zip([*names, "rollout"], self._all(), strict=True)
        ]

    def _all(self):
        """(L + 1, T, T): raw by layer, then the rollout; NaN for later keys that nothing looks at."""
        return masked_later(np.concatenate([self.raw, self.rollout[None]]))

    def data(self):
        """What the page carries: all maps as float32, and the names of the rows that one query is shown in."""
        rows = Axis("", [f"layer {k}" for k in range(len(self.raw))] + ["rollout"])
        values = self._all()
        return {
            "title": self.title,
            "note": self.note,
            **scale_data(self.scale),
            "maps": maps_data([Heat("", rows, token_axis(self.tokens, "key"), values[:, -1])]),
            **packed(values),
        }

    def fig(self):
        """The maps in rows of four, the rollout last."""
        from . import heat_figure

        return heat_figure.draw_rows(self.title, self.note, self.maps(), self.scale)
