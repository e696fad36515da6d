"""How numbers are spread, layer by layer: histograms of activations, gradients or weights.

A root mean square by layer (`LayerStatistics`) cannot tell a few huge numbers from many middling ones, nor see units
that are always 0. Here every layer has a row: the colour is the share of its numbers in a bin. All layers share the
bins, so that rows can be compared.
"""

import numpy as np

from ..errors import ArgumentError
from . import html
from .heat import Axis, Heat, HeatView, Scale, checked_numbers, layer_axis, title_or

MOST_BINS = 200


class LayerHistograms(HeatView):
    """Layers as rows, bins of values as columns.

    layers     list over layers of arrays of any shape (activations, gradients, weights of that layer)
    bins       int, how many bins of equal width between the limits
    limits     (low, high), or None: what holds the middle 99.8 per cent of all numbers. Numbers beyond it are counted
               in the first or last bin, and said in the note
    quantity   str with its unit, such as "activation" or "gradient, nats per unit"
    names      names of the layers, or None for layer 0, 1, …
    title      str, or None for a default

    Attributes: `shares` (L, bins) float64, rows sum to 1; `edges` (bins + 1,); `mean`, `deviation`, `zeros` (L,): the
    share of exact zeros; `quantity`, `scale`, `title`, `note`.
    Raises ArgumentError, ShapeError or NumericsError naming the layer.
    """

    def __init__(self, layers, bins=41, limits=None, quantity="activation", names=None, title=None):
        flat = [checked_numbers(f"layer {k}", np.ravel(values), ("numbers",)) for k, values in enumerate(layers)]
        if not flat:
            raise ArgumentError("layers needs at least one array")
        if not isinstance(bins, int) or not 1 <= bins <= MOST_BINS:
            raise ArgumentError(f"bins is a whole number from 1 to {MOST_BINS}, got {bins!r}")
        low, high = _middle(flat) if limits is None else map(float, limits)
        if not low < high:
            raise ArgumentError(f"limits needs two numbers, the smaller first; got {limits!r}")
        self.edges = np.linspace(low, high, bins + 1)
        inside = [np.histogram(np.clip(values, low, high), self.edges)[0] for values in flat]
        self.shares = np.stack([counts / counts.sum() for counts in inside])  # (L, bins)
        self.mean = np.array([values.mean() for values in flat])
        self.deviation = np.array([values.std() for values in flat])
        self.zeros = np.array([(values == 0).mean() for values in flat])
        outside = sum(int(((values < low) | (values > high)).sum()) for values in flat)
        self.rows = layer_axis(len(flat), names)
        self.quantity = title_or(quantity, "")
        self.scale = Scale(float(self.shares.max()), False, "share of the numbers of the layer")
        self.title = title_or(title, f"{self.quantity.capitalize()} by layer")
        total = sum(values.size for values in flat)
        self.note = (
            f"{total:,} numbers; {outside / total:.2%} lie beyond the ends and are counted there. "
            f"Standard deviation {self.deviation[0]:.3g} in the first layer, {self.deviation[-1]:.3g} in the last."
        )

    def __repr__(self):
        L, bins = self.shares.shape
        return f"LayerHistograms({L} layers × {bins} bins; {self.quantity})"

    def maps(self):
        middles = (self.edges[1:] + self.edges[:-1]) / 2
        columns = Axis(self.quantity, [html.minus(f"{middle:.3g}") for middle in middles])
        return [Heat("", self.rows, columns, self.shares)]


def _middle(flat):
    """Limits that hold 99.8 per cent of all numbers, a little apart if they are all the same."""
    low, high = np.quantile(np.concatenate(flat), [0.001, 0.999])
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(high) + 0.5)
