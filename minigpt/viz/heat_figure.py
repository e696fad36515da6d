"""How heat maps become a Matplotlib figure: maps side by side, labels, one colour bar."""

import textwrap
from typing import NamedTuple

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize

from . import figure, html
from .figure import INK, SOFT, VERBATIM
from .heat import ABOVE, BELOW, MOST_WRITTEN

LABEL_LENGTH = 14  # longer labels are cut in the picture, not in the data
SMALLEST, POINTS = 5.0, 8.0  # of labels; where they would be smaller, only some are written
TOP, GAP, BAR = 0.95, 0.3, 1.05  # inches: title and note of two lines, between maps, colour bar with its words


class Room(NamedTuple):
    """What one map needs, in inches: its own size, and space for labels left of it and below."""

    width: float
    height: float
    left: float
    below: float


def colour_map(scale):
    """The Matplotlib colour map of a scale, the same colours as in the page on white."""
    if scale.diverging:
        return LinearSegmentedColormap.from_list("difference", [BELOW, "white", ABOVE]).with_extremes(bad=figure.MASKED)
    return figure.weight_colours()


def norm(scale):
    return Normalize(-scale.high if scale.diverging else 0, scale.high)


def room(heat, cell=None):
    """How large to draw a map."""
    R, C = heat.values.shape
    if cell is None:
        cell = (0.42, 0.24) if heat.values.size <= MOST_WRITTEN else (float(np.clip(6.5 / max(R, C), 0.045, 0.3)),) * 2
    width, height = max(C * cell[0], 0.5), R * max(cell[1], 0.16 if R <= 24 else 0)
    return Room(
        width, height, 0.3 + longest(heat.rows.labels), 0.3 + (0.12 if _flat(heat) else longest(heat.columns.labels))
    )


def longest(labels):
    """Width in inches of the longest label. CJK characters are about twice as wide as Latin ones."""
    shown = (html.clip(label, LABEL_LENGTH) for label in labels)
    return max(sum(1 + (ord(ch) >= 0x2E80) for ch in figure.drawable(label)) for label in shown) * 0.6 * POINTS / 72


def draw(title, note, maps, scale):
    """A new figure of maps side by side with a common scale."""
    rooms = [room(heat) for heat in maps]
    tallest, below = max(r.height for r in rooms), max(r.below for r in rooms)
    width = max(0.25 + sum(r.left + r.width + GAP for r in rooms) + BAR, 5.5)
    height = TOP + max(tallest, 1.2) + below + 0.12
    with figure.house_style():
        fig = figure.new_figure(width, height)
        words(fig, title, note)
        left = 0.25
        for heat, space in zip(maps, rooms, strict=True):
            left += space.left
            add_map(fig, heat, scale, space, left, height - TOP)
            left += space.width + GAP
        add_bar(fig, scale, left, height - TOP, min(max(tallest, 1.2), 3.0))
    return fig


def words(fig, title, note):
    """Title and note at the top of a figure."""
    width, height = fig.get_size_inches()
    fig.text(
        0.15 / width,
        1 - 0.3 / height,
        figure.drawable(html.clip(title, int(width * 9))),
        fontsize=12,
        color=INK,
        **VERBATIM,
    )
    lines = textwrap.wrap(figure.drawable(note), int(width * 17), max_lines=2, placeholder=" …")
    for n, line in enumerate(lines):
        y = 1 - (0.52 + 0.14 * n) / height
        fig.text(0.15 / width, y, line, fontsize=7.5, color=SOFT, **VERBATIM)


def axes(fig, left, top, width, height, label):
    """Axes whose upper left corner is `left`, `top` inches from the lower left corner of the figure."""
    W, H = fig.get_size_inches()
    return fig.add_axes((left / W, (top - height) / H, width / W, height / H), label=label)


def add_map(fig, heat, scale, space, left, top, written=True):
    """One map with its labels; its numbers in the cells where there are few."""
    ax = axes(fig, left, top, space.width, space.height, heat.name or "map")
    ax.imshow(
        np.ma.masked_invalid(heat.values),
        cmap=colour_map(scale),
        norm=norm(scale),
        aspect="auto",
        interpolation="nearest",
    )
    for spine in ax.spines.values():
        spine.set(visible=True, color="#d4d4dc", linewidth=0.8)
    ax.tick_params(length=0, pad=2, labelcolor=INK)
    _ticks(ax.set_yticks, heat.rows.labels, space.height, 0)
    _ticks(ax.set_xticks, heat.columns.labels, space.width, 0 if _flat(heat) else 90)
    ax.set_ylabel(heat.rows.name, fontsize=8, color=SOFT)
    ax.set_xlabel(heat.columns.name, fontsize=8, color=SOFT)
    ax.set_title(
        figure.drawable(html.clip(heat.name, max(20, int(space.width * 13)))),
        fontsize=9,
        color=INK,
        loc="left",
        **VERBATIM,
    )
    if written and heat.values.size <= MOST_WRITTEN:
        for r, c in np.argwhere(~np.isnan(heat.values)):
            value = heat.values[r, c]
            ax.text(c, r, short(value), fontsize=6.5, ha="center", va="center", color=ink(scale, value))
    return ax


def add_bar(fig, scale, left, top, tall):
    """The colours of a scale with its words and unit."""
    bar = fig.colorbar(
        ScalarMappable(norm(scale), colour_map(scale)), cax=axes(fig, left, top, 0.12, tall, "colour bar")
    )
    words = textwrap.fill(figure.drawable(scale.words), max(16, int(tall * 16)), max_lines=3, placeholder="…")
    bar.set_label(words, fontsize=8, color=SOFT, **VERBATIM)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)


def short(value):
    """A number for a cell: three digits mostly, no 0 before the point, 1.2e5 from 100 000 up, as in the page."""
    if value == -np.inf:
        return "−∞"
    if abs(value) >= 1e5:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    digits = 0 if value == 0 or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0.00"
    return html.minus(text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text)


def ink(scale, value):
    """Black or white, whichever can be read on the colour of a value."""
    if not np.isfinite(value):
        return "black"
    red, green, blue, _ = colour_map(scale)(norm(scale)(value))
    return "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.55 else "black"


def _flat(heat):
    """Whether the labels of the columns can stand side by side."""
    return all(len(label) < 4 for label in heat.columns.labels) and heat.values.size <= MOST_WRITTEN


def _ticks(set_ticks, labels, extent, rotation):
    """All labels where they are large enough to read, else every second, fourth, …"""
    every = 1
    while (points := 72 * 0.9 * extent * every / len(labels)) < SMALLEST and every < len(labels):
        every *= 2
    shown = [figure.drawable(html.clip(label, LABEL_LENGTH)) for label in labels[::every]]
    set_ticks(range(0, len(labels), every), labels=shown, fontsize=min(POINTS, points), rotation=rotation, **VERBATIM)


def draw_rows(title, note, maps, scale, across=4, cell=None):
    """A new figure of equal maps in rows of `across`, with a common scale. Labels stand left and below only."""
    n = len(maps)
    columns = min(n, across)
    rows = -(-n // columns)
    spaces = [room(heat, cell or (float(np.clip(2.6 / len(heat.columns.labels), 0.02, 0.24)),) * 2) for heat in maps]
    space = spaces[0]
    step = max(space.width, 1.2) + GAP, space.height + 0.35
    width = max(0.25 + space.left + columns * step[0] + BAR, 5.5)
    height = TOP + rows * step[1] + space.below + 0.12
    with figure.house_style():
        fig = figure.new_figure(width, height)
        words(fig, title, note)
        for k, heat in enumerate(maps):
            left, top = 0.25 + space.left + k % columns * step[0], height - TOP - k // columns * step[1]
            ax = add_map(fig, heat, scale, space, left, top)
            if k % columns:
                ax.set(yticks=[], ylabel="")
            if k + columns < n:
                ax.set(xticks=[], xlabel="")
        add_bar(fig, scale, 0.25 + space.left + columns * step[0], height - TOP, min(step[1] * rows - 0.35, 3.0))
    return fig
