"""Who reads whom in one layer: lines from each query token to the keys it reads, one colour a head.

The idea of lines between two columns of tokens is that of Vig 2019, "A multiscale visualization of attention in the
transformer model". A line is as strong as the weight. What a head reads is not why the model answers as it does.
"""

import numpy as np

from ..errors import ArgumentError
from .weights import SUM_TOLERANCE, AttentionView

# Okabe & Ito's palette without yellow (unseen on white) and black (unseen on dark); from the eighth head on the same
# colours come again in dashed lines, then in dotted ones.
HEAD_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A8A94")
DASHES = ((), (4, 2), (1, 2))
MOST_HEADS = len(HEAD_COLOURS) * len(DASHES)


class HeadView(AttentionView):
    """Lines between tokens: queries on the left, keys on the right.

    weights, tokens, title, causal, keys, query_mask, key_mask, tolerance, layers: those of AttentionView; at most
            MOST_HEADS heads
    layer   the layer shown first, counted from 0 among those given; the page has a choice of layers
    heads   which heads are drawn first, a list of their numbers; None: all

    Attributes: those of AttentionView; `layer` int, `heads` sorted list of int.
    """

    script = ("weights.js", "heads.js")
    default_title = "What each token reads"

    def __init__(
        self, weights, tokens, title=None, causal=None, keys=None, query_mask=None, key_mask=None,
        tolerance=SUM_TOLERANCE, layer=0, heads=None, layers=None,
    ):  # fmt: skip
        super().__init__(weights, tokens, title, causal, keys, query_mask, key_mask, tolerance, layers)
        L, H = self.weights.shape[:2]
        if H > MOST_HEADS:
            raise ArgumentError(f"{H} heads cannot be told apart by colour: at most {MOST_HEADS}; pass weights[:, :8]")
        if layer not in range(L):
            raise ArgumentError(f"layer is one of 0 to {L - 1}, got {layer!r}")
        self.layer = int(layer)
        self.heads = sorted(range(H) if heads is None else {int(head) for head in heads})
        if not set(self.heads) <= set(range(H)):
            raise ArgumentError(f"heads are numbered 0 to {H - 1}, got {self.heads}")

    def strongest(self, layer, head):
        """(query, key, weight) of the strongest line of a head; with one text, between different positions."""
        w = self.weights[layer, head] * self.seen  # (T, K)
        if self.keys is self.tokens and len(w) > 1:
            w = w * (1 - np.eye(len(w)))
        query, key = divmod(int(w.argmax()), w.shape[1])
        return query, key, float(w[query, key])

    def alt(self):
        text = (
            f"{self.title}. Layer {self.layers[self.layer]}: lines from {len(self.tokens)} query tokens (left) to "
            f"{len(self.keys)} key tokens (right), a colour for each head, as strong as the attention weight."
        )
        for head in self.heads[:4]:
            query, key, weight = self.strongest(self.layer, head)
            text += f" Head {head}: strongest from token {query} to {key}, {weight:.2f}."
        return text + self.padding()

    def data(self):
        return {
            **super().data(),
            "layer": self.layer,
            "heads": self.heads,
            "headColours": list(HEAD_COLOURS),
            "dashes": [list(dash) for dash in DASHES],
        }

    def fig(self):
        """The lines of the chosen layer and heads, as a new matplotlib Figure."""
        from . import heads_figure

        return heads_figure.draw(self)
