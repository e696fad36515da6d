"""Where every head looks: a layer × head grid of attention maps, and the same between two texts.

Beside each map stands its mean entropy in nats: how widely the head spreads its reading (see weights.py).
Attention shows where a head reads, not why the model answers as it does.
"""

import numpy as np

from ..errors import ArgumentError
from .weights import SUM_TOLERANCE, UNITS, AttentionView


class AttentionGrid(AttentionView):
    """All attention maps of a model for one text, layers as rows, heads as columns.

    Takes what AttentionView takes: weights (L, H, T, T), tokens, and maybe title, causal, keys, masks, tolerance,
    layers.
    """

    script: str | tuple[str, ...] = ("weights.js", "attention.js")
    default_title = "Attention by layer and head"

    def alt(self):
        L, H, T, K = self.weights.shape
        over = f"{T} tokens" if self.keys is self.tokens else f"{T} tokens on {K} others"
        text = (
            f"{self.title}. Grid of {L} × {H} heat maps (layers × heads) over {over}: rows are query "
            f"tokens, columns are key tokens, colour is the {UNITS}."
        )
        if self.causal:
            text += " Keys after the query are grey (causal mask)."
        text += self.padding()
        if np.isfinite(self.entropy).any():
            sharp = np.unravel_index(np.nanargmin(self.entropy), (L, H))
            broad = np.unravel_index(np.nanargmax(self.entropy), (L, H))
            text += f" Most focused is {self.caption(*sharp)}; most spread out is {self.caption(*broad)}."
        return text

    def data(self):
        return {**super().data(), "even": round(self.even_entropy(), 6)}

    def fig(self):
        """The grid as a new matplotlib Figure; token labels are drawn where they are large enough to read."""
        from . import attention_figure

        return attention_figure.draw(self)


class CrossAttention(AttentionGrid):
    """What each target token reads of the source, in an encoder–decoder model: a grid of rectangular maps.

    weights      (L, H, T, S) array, or a list over layers of (H, T, S): after the softmax, without batch axis
    target       T strings, the tokens of the decoder: the queries
    source       S strings, the tokens of the encoder: the keys
    target_mask  (T,) and
    source_mask  (S,) boolean, True for real tokens and False for padding, which is greyed out; None: no padding
    title        str, or None for a default
    tolerance    how far a row's sum may be from 1; None: any sum
    layers       L numbers of the layers shown, or None for 0, 1, …

    Attributes as of AttentionGrid: `tokens` are those of the target, `keys` those of the source.
    """

    default_title = "Cross-attention: target tokens read source tokens"

    def __init__(
        self, weights, target, source, target_mask=None, source_mask=None, title=None, tolerance=SUM_TOLERANCE,
        layers=None,
    ):  # fmt: skip
        if isinstance(source, (bool, type(None))):
            raise ArgumentError("source needs the tokens that are looked at; for self-attention take AttentionGrid")
        super().__init__(
            weights, target, title, keys=source, query_mask=target_mask, key_mask=source_mask, tolerance=tolerance,
            layers=layers,
        )  # fmt: skip

    def lines(self):
        """The same weights as lines between the two texts: a HeadView."""
        from .heads import HeadView

        return HeadView(
            self.weights, self.tokens, self.title, keys=self.keys, query_mask=self.query_mask, key_mask=self.key_mask,
            tolerance=None, layers=self.layers,
        )  # fmt: skip
