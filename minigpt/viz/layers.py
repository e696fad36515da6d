"""How large numbers are, layer by layer: activations and gradients of one or several starts, runs or models.

Both axes of what goes wrong in deep models are ratios: a factor of 1.5 a layer is a factor of 130 after twelve. So the
values are drawn on a logarithmic axis, where such a factor is a straight line.
"""

import numpy as np

from ..errors import ArgumentError, ShapeError
from . import html
from .base import View
from .heat import floats
from .loss import COLOURS

MOST_LINES = len(COLOURS)


class LayerStatistics(View):
    """One panel for each quantity, in it one line for each name, against the layer.

    values   dict name -> dict quantity -> (layers,) numbers from 0 up: `InitialisationStudy.by_layer()`, or your own.
             All names need the same quantities; the number of layers may differ. All end at the last layer: beside
             L + 1 values, from the embeddings on, L values are those of the blocks.
    title    str, or None for a default
    units    dict quantity -> str, the unit of its numbers, or None where they have none

    Attributes, all plain: `values` with every list as a float64 array, `names` and `quantities` lists of str, `units`
    dict quantity -> str ("" without one), `title`.
    Zeros (nothing there, such as the gradients of weights that are all 0) have no place on a logarithmic axis: they are
    left out of the lines, and named above them.

    Raises ArgumentError or ShapeError naming what does not fit.
    """

    script = ("heat.js", "chart.js", "layers.js")

    def __init__(self, values, title=None, units=None):
        if not isinstance(values, dict) or not values:
            raise ArgumentError('values needs a dict such as {"gpt2": {"activation": [...], "gradient": [...]}}')
        if len(values) > MOST_LINES:
            raise ArgumentError(f"at most {MOST_LINES} names can be told apart in one picture, got {len(values)}")
        self.values = {str(name): _checked_entry(str(name), entry) for name, entry in values.items()}
        self.names = list(self.values)
        self.quantities = list(self.values[self.names[0]])
        for name in self.names:
            if set(self.values[name]) != set(self.quantities):
                raise ArgumentError(
                    f"{name!r} has {sorted(self.values[name])}, {self.names[0]!r} has {sorted(self.quantities)}: all "
                    "names need the same quantities"
                )
        unknown = set(units or {}) - set(self.quantities)
        if unknown:
            raise ArgumentError(f"units of {sorted(unknown)}, but the quantities are {self.quantities}")
        self.units = {quantity: html.one_line((units or {}).get(quantity, "")) for quantity in self.quantities}
        self.title = html.one_line(title) if title is not None else "Root mean squares by layer"

    def __repr__(self):
        return f"LayerStatistics({', '.join(self.names)}; {', '.join(self.quantities)})"

    def dead(self, quantity):
        """The names whose values are all 0."""
        return [name for name in self.names if not self.values[name][quantity].any()]

    def heading(self, quantity):
        """A quantity with its unit."""
        return html.one_line(f"{quantity}, {self.units[quantity]}" if self.units[quantity] else quantity)

    def start(self, name, quantity):
        """The layer of the first of these values: all end at the last layer."""
        return max(len(other) for other in self.values[name].values()) - len(self.values[name][quantity])

    def alt(self):
        parts = []
        for quantity in self.quantities:
            ends = "; ".join(
                f"{html.one_line(name)} from {self.values[name][quantity][0]:.2g} to "
                f"{self.values[name][quantity][-1]:.2g}"
                for name in self.names
            )
            parts.append(f"{self.heading(quantity)}: {ends}.")
        return f"{self.title}, first to last layer. {' '.join(parts)}"

    def data(self):
        """What the page carries: every number as float32."""
        lengths = [len(values) for entry in self.values.values() for values in entry.values()]
        return {
            "title": self.title,
            "names": [html.one_line(name) for name in self.names],
            "colours": list(COLOURS),
            "first": min(self.start(name, quantity) for name in self.names for quantity in self.quantities),
            "last": max(lengths) - 1,
            "quantities": [
                {
                    "name": html.one_line(quantity),
                    "unit": self.units[quantity],
                    "label": f"{self.heading(quantity)} by layer",
                    "starts": [self.start(name, quantity) for name in self.names],
                    "values": [floats(self.values[name][quantity]) for name in self.names],
                    "dead": [html.one_line(name) for name in self.dead(quantity)],
                }
                for quantity in self.quantities
            ],
        }

    def fig(self):
        """The panels side by side, as a new matplotlib Figure."""
        from . import layers_figure

        return layers_figure.draw(self)


def _checked_entry(name, entry):
    if not isinstance(entry, dict) or not entry:
        raise ArgumentError(f"{name!r} needs a dict from quantities to values by layer, got {type(entry).__name__}")
    checked = {}
    for quantity, values in entry.items():
        values = np.array(values, np.float64)
        if values.ndim != 1 or not len(values):
            raise ShapeError(f"{name!r}, {quantity!r}: needs one number for each layer, got shape {values.shape}")
        if not np.isfinite(values).all() or values.min() < 0:
            raise ArgumentError(f"{name!r}, {quantity!r}: needs finite numbers from 0 up, got {values.tolist()}")
        checked[str(quantity)] = values
    return checked
