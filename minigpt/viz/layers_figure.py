"""How `LayerStatistics` becomes a Matplotlib figure: a panel for each quantity, on a logarithmic axis."""

import numpy as np

from . import figure, html
from .figure import INK, SOFT, VERBATIM
from .loss import COLOURS

MARKERS = "os^Dvx"  # names differ by marker as well as by colour
PANEL, HEIGHT = 3.9, 3.9  # inches


def draw(view):
    """A new figure of a LayerStatistics."""
    n = len(view.quantities)
    width = PANEL * n + 0.3
    with figure.house_style():
        fig = figure.new_figure(width, HEIGHT)
        for k, quantity in enumerate(view.quantities):
            box = ((0.75 + k * PANEL) / width, 0.62 / HEIGHT, (PANEL - 0.85) / width, (HEIGHT - 1.75) / HEIGHT)
            _draw_panel(fig.add_axes(box, label=quantity), view, quantity)
        title = figure.drawable(html.clip(view.title, 80))
        fig.text(0.15 / width, 1 - 0.3 / HEIGHT, title, fontsize=12, color=INK, **VERBATIM)
        handles, labels = fig.axes[0].get_legend_handles_labels()
        fig.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(0.06 / width, 1 - 0.36 / HEIGHT), ncols=len(labels),
            frameon=False, fontsize=8, labelcolor=SOFT,
        )  # fmt: skip
    return fig


def _draw_panel(ax, view, quantity):
    for k, name in enumerate(view.names):
        values = view.values[name][quantity]
        shown = np.where(values > 0, values, np.nan)
        label = figure.drawable(html.clip(html.one_line(name), 24)).replace("$", r"\$")
        style = {"color": COLOURS[k], "marker": MARKERS[k], "markersize": 3.5, "linewidth": 1.4}
        first = view.start(name, quantity)
        ax.plot(first + np.arange(len(values)), shown, label=label, **style)
    if any(entry[quantity].any() for entry in view.values.values()):
        ax.set_yscale("log")
    dead = view.dead(quantity)
    if dead:
        names = figure.drawable(html.clip(", ".join(html.one_line(name) for name in dead), 40))
        note = {"fontsize": 8, "color": SOFT, "ha": "right", "transform": ax.transAxes, **VERBATIM}
        ax.text(1.0, 1.025, f"0 in all layers: {names}", **note)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(axis="y", color="#e6e6ea", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=8.5, colors=SOFT)
    ax.set_xlabel("layer", fontsize=9.5, color=INK)
    heading = figure.drawable(html.clip(view.heading(quantity), 40))
    ax.set_title(heading, fontsize=9.5, color=INK, loc="left", **VERBATIM)
