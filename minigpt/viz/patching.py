"""What a patched activation does: layer × position, or any two other things that were patched, and one metric.

An activation of a clean run is put into a run on a corrupted prompt (or the other way round) at one layer and one
position at a time; the metric says how much of the clean behaviour comes back. Source: Meng et al. 2022, "Locating
and editing factual associations in GPT" (causal tracing); Wang et al. 2023, "Interpretability in the wild".
"""

import numpy as np

from .heat import Axis, Heat, HeatView, Scale, checked_numbers, checked_strings, layer_axis, title_or, token_axis


class PatchingGrid(HeatView):
    """A metric by layer (rows) and position (columns), blue above 0, vermilion below.

    values   (L, T): the metric after patching, with 0 for "nothing changed": subtract the unpatched value, or give a
             share of what was lost
    tokens   T strings, the prompt
    layers   L names of the rows, or None for layer 0, 1, …
    metric   str, what was measured with its unit, such as "change of logit difference, nats"
    heads    True: the columns are H heads instead of positions, and tokens may be None
    title, note   str, or None for defaults

    Attributes: `values` (L, T) float64, read-only; `tokens`, `rows`, `columns`, `scale`, `title`, `note`.
    Raises ArgumentError, ShapeError or NumericsError naming what does not fit.
    """

    def __init__(self, values, tokens=None, layers=None, metric="change of the metric", heads=False, title=None, note=None):
        self.values = checked_numbers("values", values, ("layers", "heads" if heads else "positions"))
        L, T = self.values.shape
        self.rows = layer_axis(L, layers)
        if heads:
            self.tokens, self.columns = None, Axis("head", [str(head) for head in range(T)])
        else:
            self.tokens = checked_strings("tokens", tokens if tokens is not None else (), T, "position")
            self.columns = token_axis(self.tokens)
        self.scale = Scale(float(np.abs(self.values).max()) or 1.0, True, title_or(metric, ""))
        self.title = title_or(title, f"Patching by layer and {self.columns.name}")
        self.note = title_or(note, "Each cell: one run in which only that activation was replaced.")

    def __repr__(self):
        L, T = self.values.shape
        return f"PatchingGrid({L} layers × {T} {self.columns.name}s; {self.scale.words})"

    def maps(self):
        return [Heat("", self.rows, self.columns, self.values)]
