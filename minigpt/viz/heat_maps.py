"""Any numbers in rows and columns: states by token, gates by unit, shares by layer, probabilities by class.

For what has no view of its own. Several maps stand side by side with one scale, so that they can be compared.
"""

import numpy as np

from ..errors import ArgumentError, ShapeError
from .heat import Axis, Heat, HeatView, Scale, checked_numbers, checked_strings, title_or, token_axis


class HeatMaps(HeatView):
    """One or several maps with the same rows; numbers from 0 up in viridis, others blue above 0 and vermilion below.

    maps      dict name -> (R, C) numbers; the maps may differ in C
    rows      R strings, or None to number them from 0
    columns   C strings for all maps, a dict name -> strings (or None), or None to number them from 0
    row, column   str, what a row and a column are: "unit", "layer"; "" where the labels say it
    tokens    True: the columns are tokens of a text, whose whitespace is made visible and which are counted
    words     str, what the numbers are, with the unit
    diverging   True, False, or None: whether there is a number below 0
    high      the number with the strongest colour, such as 1 for probabilities; None: the largest there is
    title, note   str, or None for defaults

    Attributes: `values` dict name -> (R, C) float64, read-only; `scale`, `title`, `note`.
    Raises ArgumentError, ShapeError or NumericsError naming the map.
    """

    def __init__(
        self, maps, rows=None, columns=None, row="row", column="column", tokens=False, words="value", diverging=None,
        high=None, title=None, note=None,
    ):  # fmt: skip
        if not isinstance(maps, dict) or not maps:
            raise ArgumentError(f'maps needs a dict such as {{"state": (R, C)}}, got {type(maps).__name__}')
        names = (title_or(row, ""), title_or(column, ""))
        self.values = {title_or(name, ""): checked_numbers(str(name), values, names) for name, values in maps.items()}
        heights = {name: len(values) for name, values in self.values.items()}
        if len(set(heights.values())) > 1:
            raise ShapeError(f"all maps need the same rows, got {heights}")
        R = next(iter(heights.values()))
        self.rows = Axis(names[0], _labels("rows", rows, R, names[0]))
        self.columns = {}
        for name, values in self.values.items():
            given = columns.get(name) if isinstance(columns, dict) else columns
            labels = _labels("columns", given, values.shape[1], names[1])
            what = "" if isinstance(columns, dict) and name in columns else names[1]  # these labels say what they are
            self.columns[name] = token_axis(labels, what) if tokens else Axis(what, labels)
        lowest = min(values.min() for values in self.values.values())
        diverging = bool(lowest < 0) if diverging is None else diverging
        if lowest < 0 and not diverging:
            raise ArgumentError(f"numbers from 0 up have colours without diverging; the smallest here is {lowest:.3g}")
        largest = max(float(np.abs(values).max()) for values in self.values.values())
        if high is not None and not largest <= high * (1 + 1e-6):
            raise ArgumentError(
                f"high={high} is to have the strongest colour, but there is a number of size {largest:.4g}"
            )
        self.scale = Scale(float(high) if high is not None else largest or 1.0, diverging, title_or(words, ""))
        self.title = title_or(title, f"{', '.join(self.values)}")
        self.note = title_or(note, "Blue: above 0. Vermilion: below 0." if diverging else "")

    def __repr__(self):
        return f"HeatMaps({', '.join(f'{name}: {v.shape[0]} × {v.shape[1]}' for name, v in self.values.items())})"

    def maps(self):
        alone = len(self.values) == 1
        return [
            Heat("" if alone else name, self.rows, self.columns[name], values) for name, values in self.values.items()
        ]


def _labels(name, labels, n, what):
    """n strings, those given or numbers."""
    return [str(k) for k in range(n)] if labels is None else checked_strings(name, labels, n, what or "one of them")
