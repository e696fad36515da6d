"""Why one query looks at one key: their score, channel by channel.

    products_d = q_d k_d / √D        running_d = products_0 + … + products_d        score = running_(D−1)

The score before the softmax is a sum over the channels of the head; often a few channels make most of it. The idea of
showing q, k and their product is that of the neuron view of Vig 2019, "A multiscale visualization of attention in the
transformer model".
"""

import numpy as np

from ..errors import ArgumentError
from .attention_steps import channels, checked_head, exact, product
from .base import View
from .heat import ABOVE, BELOW, LARGEST_PAGE, Heat, Scale, maps_data, scale_data, title_or, token_axis

PARTS = ("q", "k", "products", "running")


class NeuronView(View):
    """q, k, their product and its running sum for one query and one key, chosen on the map of the scores.

    q, k, tokens, keys, mask, causal   those of AttentionSteps; hidden pairs are grey, but have products too
    query, key   which pair is shown first; None: the last query, and the key that it scores highest
    title, note  str, or None for defaults

    Attributes: `q` (Tq, D), `k` (Tk, D), `scores` (Tq, Tk) float64; `seen` (Tq, Tk) bool; `tokens`, `keys` lists of
    str; `query`, `key` int; of that pair `products` (D,) and `running` (D,), as in `inspect.neuron_breakdown`;
    `title`, `note`.
    Raises ShapeError, ArgumentError or NumericsError naming what does not fit.
    """

    script = ("heat.js", "exact.js", "neuron.js")

    def __init__(
        self, q, k, tokens, keys=None, mask=None, causal=False, query=None, key=None, title=None, note=None
    ):  # fmt: skip
        self.q, self.k, self.tokens, self.keys, self.seen = checked_head(q, k, tokens, keys, mask, causal)
        self.scores = product("Q Kᵀ", self.q, self.k.T) / np.sqrt(self.q.shape[1])  # (Tq, Tk)
        self.query = _position("query", query, len(self.q) - 1, len(self.q))
        row = np.where(self.seen[self.query], self.scores[self.query], -np.inf)
        self.key = _position("key", key, int(row.argmax()), len(self.k))
        self.products = self.q[self.query] * self.k[self.key] / np.sqrt(self.q.shape[1])  # (D,)
        self.running = np.cumsum(self.products)  # (D,)
        self.title = title_or(title, "A score, channel by channel")
        self.note = title_or(note, "score = Σ q_d k_d / √D over the channels d of the head, before the softmax")

    def __repr__(self):
        Tq, D = self.q.shape
        return f"NeuronView({Tq} queries × {len(self.k)} keys, D = {D}; query {self.query}, key {self.key})"

    def map(self):
        """The scores with their labels, NaN where the query may not look."""
        values = np.where(self.seen, self.scores, np.nan)
        return Heat("scores", token_axis(self.tokens, "query"), token_axis(self.keys, "key"), values)

    def scale(self):
        """What the colours of the map stand for."""
        return Scale(float(np.abs(self.scores).max()) or 1.0, True, "score q · k / √D")

    def pair(self):
        """The chosen query and key in words."""
        heat = self.map()
        return f"{heat.rows.at(self.query)}, {heat.columns.at(self.key)}"

    def bars(self):
        """name -> (D,): what the four rows of bars show."""
        return {"q": self.q[self.query], "k": self.k[self.key], "products": self.products, "running": self.running}

    def alt(self):
        D = self.q.shape[1]
        strongest = np.argsort(-np.abs(self.products), kind="stable")[:3]
        parts = ", ".join(f"channel {d} gives {self.products[d]:.3g}" for d in strongest)
        hidden = "" if self.seen[self.query, self.key] else " The query may not see this key."
        return (
            f"{self.title}. Map of the scores of {len(self.q)} queries and {len(self.k)} keys; bars of q, k, their "
            f"product and its running sum over {D} channels for {self.pair()}: score {self.running[-1]:.4g}, of which "
            f"{parts}.{hidden}"
        )

    def data(self):
        """What the page carries: q and k with all their digits; the script makes the bars of any pair."""
        size = self.q.size + self.k.size + self.scores.size
        if size > LARGEST_PAGE:
            raise ArgumentError(
                f"a page of {size:,} numbers would choke a browser, at most {LARGEST_PAGE:,}: show fewer tokens, or "
                "draw the picture alone with .fig()."
            )
        return {
            "title": self.title,
            "note": self.note,
            **scale_data(self.scale()),
            "maps": maps_data([self.map()]),
            "inputs": {"q": exact(self.q), "k": exact(self.k)},
            "at": [self.query, self.key],
            "labels": channels(self.q.shape[1]).labels,
            "signs": [ABOVE, BELOW],
        }

    def fig(self):
        """The map and the bars of the chosen pair, as a new matplotlib Figure."""
        from . import neuron_figure

        return neuron_figure.draw(self)


def _position(name, value, default, n):
    """A position from 0 to n − 1, counted from the end if negative."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not -n <= value < n:
        raise ArgumentError(f"{name} is a position from 0 to {n - 1}, got {value!r}")
    return int(value) % n
