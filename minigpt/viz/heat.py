"""Numbers in rows and columns as colours: what the views of layers, heads and positions share.

Two scales. Attention weights, probabilities and other numbers from 0 up: viridis, as in `AttentionGrid`. Differences:
blue above 0, vermilion below, the stronger the further from 0, as in `TokenScores`; 0 has the colour of the paper, on
white and on dark. Both are told apart by colour-blind readers.
"""

from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, NumericsError, ShapeError
from . import html
from .base import View, only_strings

ABOVE, BELOW = "#0072B2", "#D55E00"  # Okabe & Ito's blue and vermilion
MOST_WRITTEN = 200  # cells of a map with their numbers written into them
LARGEST_PAGE = 2_000_000  # numbers


class Axis(NamedTuple):
    """The rows or the columns of a map.

    name      what they are: "layer", "head", "position"
    labels    one string for each, as shown
    numbered  whether a reader needs the number too: "position 3 ␣cat", but "layer 3"
    """

    name: str
    labels: list[str]
    numbered: bool = False

    def at(self, k):
        """Row or column k in words."""
        return f"{self.name} {k} {self.labels[k]}" if self.numbered else f"{self.name} {self.labels[k]}".strip()


class Scale(NamedTuple):
    """What the colours stand for: 0 (diverging: −high) to high, in words with a unit."""

    high: float
    diverging: bool
    words: str


class Heat(NamedTuple):
    """One map: name above it ("" for none), rows, columns, (R, C) float64, NaN where masked."""

    name: str
    rows: Axis
    columns: Axis
    values: np.ndarray


class HeatView(View):
    """A view of one or several maps with a common scale. Subclasses give `maps()`, `scale`, `title` and `note`."""

    script: str | tuple[str, ...] | None = ("heat.js", "maps.js")
    note = ""  # a line below the title: what the numbers are
    scale: Scale

    def maps(self):
        """The maps from left to right, a list of Heat."""
        raise NotImplementedError(f"{type(self).__name__} has no maps()")

    def alt(self):
        parts = [f"{self.title}. Colour is the {self.scale.words}."]
        for heat in self.maps():
            what = f"{heat.name}: h" if heat.name else "H"
            parts.append(
                f"{what}eat map of {count(len(heat.rows.labels), heat.rows.name)} by "
                f"{count(len(heat.columns.labels), heat.columns.name)}; {extremes(heat)}."
            )
        return " ".join(parts)

    def data(self):
        """What the page carries: every number as float32."""
        return {"title": self.title, "note": self.note, **scale_data(self.scale), "maps": maps_data(self.maps())}

    def fig(self):
        """The maps side by side, as a new matplotlib Figure."""
        from . import heat_figure

        return heat_figure.draw(self.title, self.note, self.maps(), self.scale)


def scale_data(scale):
    """A scale for the script."""
    from .figure import colour_table

    colours = [ABOVE, BELOW] if scale.diverging else html.base64_text(colour_table())
    return {"scale": {**scale._asdict(), "high": float(f"{scale.high:.6g}"), "colours": colours}}


def maps_data(maps):
    """Maps for the script. Raises ArgumentError if they are too large for a page."""
    size = sum(heat.values.size for heat in maps)
    if size > LARGEST_PAGE:
        raise ArgumentError(
            f"a page of {size:,} numbers would choke a browser, at most {LARGEST_PAGE:,}: show fewer positions or "
            "layers, or draw the picture alone with .fig()."
        )
    return [
        {
            "name": heat.name,
            "rows": heat.rows._asdict(),
            "columns": heat.columns._asdict(),
            **packed(heat.values),
            "written": heat.values.size <= MOST_WRITTEN,
        }
        for heat in maps
    ]


def floats(values):
    """Numbers for the script: float32, little-endian, base64."""
    return html.base64_text(np.asarray(values).astype("<f4"))


def packed(maps):
    """Maps (..., R, C) for the script; of square ones whose later keys are all masked only the lower triangles."""
    R, C = maps.shape[-2:]
    later = np.triu(np.ones((R, C), dtype=bool), k=1)
    triangle = bool(R == C > 1 and np.isnan(maps[..., later]).all())
    return {"values": floats(maps[..., ~later] if triangle else maps), "triangle": triangle}


def extremes(heat):
    """Largest and smallest value of a map, and where: for those who do not see it."""
    parts = []
    for word, k in (("largest", np.nanargmax(heat.values)), ("smallest", np.nanargmin(heat.values))):
        r, c = np.unravel_index(int(k), heat.values.shape)
        value = html.minus(f"{heat.values[r, c]:.3g}")
        parts.append(f"{word} {value} at {heat.rows.at(r)}, {heat.columns.at(c)}")
    return "; ".join(parts)


def masked_later(maps):
    """Attention maps (..., T, T) with NaN for the keys after each query, if none of them gets any weight."""
    T = maps.shape[-1]
    later = np.triu(np.ones((T, T), dtype=bool), k=1)
    return np.where(later, np.nan, maps) if T > 1 and not maps[..., later].any() else maps


PLURALS = {"query": "queries"}  # that another letter than s makes


def count(n, name):
    """`1 layer`, `12 layers`, `3 queries`; of an axis without a name `1 column`."""
    name = name or "column"
    return f"{n} {name}" if n == 1 else f"{n} {PLURALS.get(name, f'{name}s')}"


def layer_axis(L, labels=None):
    """Layers counted from 0, or named by the caller."""
    if labels is None:
        return Axis("layer", [str(layer) for layer in range(L)])
    return Axis("", checked_strings("layers", labels, L, "layer"))


def token_axis(tokens, name="position"):
    """Tokens of a text, whitespace made visible."""
    return Axis(name, [html.visible(token) for token in tokens], numbered=True)


def checked_numbers(name, values, axes):
    """A read-only float64 copy with the named axes, none of them empty and all values finite.

    axes  their names in order, such as ("layers", "heads"); a layer given as a list of arrays is fine too
    Raises ArgumentError, ShapeError or NumericsError naming what was given.
    """
    try:
        array = np.array(values)
    except ValueError as error:  # nested lists of unequal length
        raise ShapeError(f"{name} needs as many numbers in every row: {error}") from error
    if array.dtype.kind not in "fiub":
        raise ArgumentError(
            f"{name} needs numbers, got {type(values).__name__} of dtype {array.dtype}. Of a Tensor take .numpy()."
        )
    if array.ndim != len(axes) or 0 in array.shape:
        raise ShapeError(f"{name} needs the axes ({', '.join(axes)}), none of them empty; got shape {array.shape}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        where = [int(k) for k in np.argwhere(~np.isfinite(array))[0]]
        raise NumericsError(f"{name} has {array[tuple(where)]} at {where} of ({', '.join(axes)})")
    array.flags.writeable = False
    return array


def checked_strings(name, strings, n, what):
    """A list of n strings. Raises ArgumentError or ShapeError."""
    strings = only_strings(name, strings)
    if len(strings) != n:
        raise ShapeError(f"{name} needs one string for each {what}, {n} of them; got {len(strings)}")
    return strings


def checked_rises(name, numbers, n, what):
    """n numbers that rise strictly, float64: training steps. Raises ArgumentError or ShapeError."""
    array = checked_numbers(name, numbers, (what,))
    if len(array) != n or (np.diff(array) <= 0).any():
        raise ShapeError(f"{name} needs {n} numbers that rise strictly, one for each {what}; got {array.tolist()}")
    return array


def title_or(title, default):
    """The title on one line."""
    return html.one_line(title) if title is not None else default
