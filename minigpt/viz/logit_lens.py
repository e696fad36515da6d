"""The logit lens: what the model would say if it stopped after each layer.

Final layer norm and output head, applied to the residual stream after every block: layer × position, in each cell
the likeliest token and its probability. Early layers were never trained to be read like this; what they show is how
far the stream already points at an output. Source: nostalgebraist 2020, "interpreting GPT: the logit lens".
"""

import numpy as np

from ..errors import ArgumentError, ShapeError
from . import html
from .base import View
from .heat import checked_numbers, checked_strings, floats, layer_axis, title_or


class LogitLens(View):
    """The likeliest tokens by layer (rows, the last at the bottom) and position (columns).

    tokens         T strings, the text
    probabilities  (L, T, K): of the K likeliest tokens after the layer, largest first; or (L, T) of the top one
    candidates     (L, T, K) or (L, T) strings: those tokens
    layers         L names of the rows, or None for layer 0, 1, …
    targets        T strings, the tokens that really come next, or None; cells that name them are framed. One of them
                   may be None: that of the last position is often not known
    title, note    str, or None for defaults

    Attributes: `tokens`; `probabilities` (L, T, K) float64; `candidates` (L, T, K) nested lists; `rows`; `targets`;
    `title`, `note`. Raises ArgumentError, ShapeError or NumericsError naming what does not fit.
    """

    script = ("heat.js", "logit_lens.js")

    def __init__(self, tokens, probabilities, candidates, layers=None, targets=None, title=None, note=None):
        if np.ndim(probabilities) == 2:
            probabilities = np.asarray(probabilities)[:, :, None]
            candidates = [[[token] for token in row] for row in candidates]
        p = self.probabilities = checked_numbers("probabilities", probabilities, ("layers", "positions", "candidates"))
        L, T, K = p.shape
        if p.min() < 0 or p.sum(axis=-1).max() > 1 + 1e-3:
            raise ArgumentError("probabilities are at least 0 and sum to at most 1 over the candidates: take a softmax")
        if (np.diff(p, axis=-1) > 1e-9).any():
            raise ArgumentError("candidates need to stand in order, the likeliest first, at every layer and position")
        self.candidates = [[list(cell) for cell in row] for row in candidates]
        if [[len(cell) for cell in row] for row in self.candidates] != [[K] * T] * L:
            raise ShapeError(
                f"candidates need one string for each probability, (layers, positions, candidates) = {p.shape}"
            )
        for layer, row in enumerate(self.candidates):
            for cell in row:
                checked_strings(f"candidates of layer {layer}", cell, K, "candidate")
        self.tokens = checked_strings("tokens", tokens, T, "position")
        self.targets = None if targets is None else list(targets)
        if self.targets is not None:
            checked_strings("targets", ["" if t is None else t for t in self.targets], T, "position")
        self.rows = layer_axis(L, layers)
        self.title = title_or(title, "Logit lens")
        framed = " Framed: the token that really comes next." if targets is not None else ""
        self.note = title_or(note, f"The likeliest next token after each layer; the colour is its probability.{framed}")

    def __repr__(self):
        L, T, K = self.probabilities.shape
        return f"LogitLens({L} layers × {T} positions, top {K})"

    def hit(self, layer, position):
        """Whether the top token is the one that really comes next."""
        return self.targets is not None and self.candidates[layer][position][0] == self.targets[position]

    def alt(self):
        L, T, _ = self.probabilities.shape
        ways = ", ".join(
            f"{self.rows.at(k)} {html.visible(self.candidates[k][-1][0])} ({self.probabilities[k, -1, 0]:.2f})"
            for k in dict.fromkeys((0, L // 2, L - 1))
        )
        table = f"Table of {L} layers by {T} positions with the likeliest token"
        return f"{self.title}. {table}. After the last token: {ways}."

    def data(self):
        """What the page carries: the distinct tokens once, and for each cell numbers and float32 probabilities."""
        from .figure import colour_table

        number: dict[str, int] = {}
        order = [number.setdefault(token, len(number)) for row in self.candidates for cell in row for token in cell]
        return {
            "title": self.title,
            "note": self.note,
            "scale": {
                "high": 1,
                "diverging": False,
                "words": "probability, 0 to 1",
                "colours": html.base64_text(colour_table()),
            },
            "tokens": [html.visible(token) for token in self.tokens],
            "rows": self.rows._asdict(),
            "names": [html.visible(token) for token in number],
            "order": html.base64_text(np.array(order, dtype="<u4")),
            "probabilities": floats(self.probabilities),
            "hits": [
                [k for k in range(len(self.tokens)) if self.hit(layer, k)] for layer in range(len(self.candidates))
            ],
        }

    def fig(self):
        """The table as a new matplotlib Figure; of a long text the last `MOST_POSITIONS` of logit_lens_figure.py."""
        from . import logit_lens_figure

        return logit_lens_figure.draw(self)
