"""How `AttentionSteps` becomes a Matplotlib figure: its arrays in their order, rows of maps with a colour bar each."""

from typing import NamedTuple

import numpy as np
from matplotlib.cm import ScalarMappable

from . import figure, heat_figure
from .heat import Heat, Scale

WIDEST = 12.0  # inches
LARGEST_MAP = (3.3, 2.6)  # inches
CELL = (0.4, 0.22)  # inches, at most
WRITTEN = (0.27, 0.12)  # inches: smaller cells have no room for a number
BAR, BETWEEN, ROW_GAP = 0.07, 0.5, 0.42  # a colour bar, after a map with its numbers, from row to row


class Panel(NamedTuple):
    """One map. labelled: whether its rows have names of their own; else they are those of the map left of it."""

    heat: Heat
    scale: Scale
    space: heat_figure.Room
    written: bool
    labelled: bool

    @property
    def left(self):
        return self.space.left if self.labelled else 0.1

    @property
    def width(self):
        return self.left + self.space.width + BETWEEN


def draw(view):
    """A new figure of an AttentionSteps."""
    rows = _in_rows([_panel(view, name, title) for name, title in _titles(view)])
    width = max(6.5, 0.25 + max(sum(panel.width for panel in row) for row in rows))
    heights = [max(panel.space.height + panel.space.below for panel in row) + ROW_GAP for row in rows]
    with figure.house_style():
        fig = figure.new_figure(width, heat_figure.TOP + sum(heights))
        note = "Blue: above 0, vermilion: below, each map to its own largest number; grey: may not be seen."
        heat_figure.words(fig, view.title, f"{view.note} {note}")
        top = sum(heights)
        for row, height in zip(rows, heights, strict=True):
            left = 0.25
            for panel in row:
                _draw_panel(fig, panel, left + panel.left, top)
                left += panel.width
            top -= height
    return fig


def _titles(view):
    """(array, title of its map) in the order of computation; the first step's three arrays by their letters."""
    titles = [("q", "1  Q"), ("k", "1  K"), ("v", "1  V")]
    for number, step in enumerate(view.steps[1:], start=2):
        if "w_o" in step.parts:
            titles.append(("w_o", "W_O"))
        titles.append((step.makes[0], f"{number}  {step.name}"))
    return titles


def _panel(view, name, title):
    heat = view.heat(name)._replace(name=title)
    R, C = heat.values.shape
    cell = min(CELL[0], LARGEST_MAP[0] / C), min(CELL[1], LARGEST_MAP[1] / R)
    space = heat_figure.room(heat, cell)
    written = cell[0] >= WRITTEN[0] and space.height / R >= WRITTEN[1]
    return Panel(heat, view.scale(name), space, written, True)


def _in_rows(panels):
    """As many maps in a row as fit; rows with the same labels as those of the map left of it need none."""
    rows: list[list[Panel]] = []
    room = 0.0
    for panel in panels:
        if rows and panel.heat.rows.labels == rows[-1][-1].heat.rows.labels:
            panel = panel._replace(labelled=False)
        if panel.width > room:
            panel = panel._replace(labelled=True)
            rows.append([])
            room = WIDEST - 0.25
        rows[-1].append(panel)
        room -= panel.width
    return rows


def _draw_panel(fig, panel, left, top):
    heat, scale, space, *_ = panel
    ax = heat_figure.add_map(fig, heat, scale, space, left, top, panel.written)
    if not panel.labelled:
        ax.set(yticks=[], ylabel="")
    tall = min(space.height, 1.5)
    axes = heat_figure.axes(fig, left + space.width + 0.06, top, BAR, tall, "colour bar")
    low = -scale.high if scale.diverging else 0
    mappable = ScalarMappable(heat_figure.norm(scale), heat_figure.colour_map(scale))
    ticks = np.linspace(low, scale.high, 3 if scale.diverging and tall > 0.4 else 2)
    bar = fig.colorbar(mappable, cax=axes, ticks=ticks)
    bar.ax.set_yticklabels([f"{tick:.3g}".replace("-", "−") for tick in ticks])
    bar.ax.tick_params(labelsize=6, length=0, pad=2)
    bar.outline.set_visible(False)
