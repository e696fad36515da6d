"""How `LogitLens` becomes a Matplotlib figure: a table of tokens on the colours of their probabilities."""

import numpy as np
from matplotlib.patches import Rectangle

from . import figure, heat_figure, html
from .heat import Axis, Heat, Scale

MOST_POSITIONS = 20
CELL = (0.66, 0.34)  # inches
MARK = "#d6006c"
SCALE = Scale(1.0, False, "probability, 0 to 1")


def draw(view):
    """A new figure of a LogitLens."""
    L, T, _ = view.probabilities.shape
    first = max(0, T - MOST_POSITIONS)
    labels = [html.visible(token) for token in view.tokens[first:]]
    heat = Heat("", view.rows, Axis("position", labels, True), view.probabilities[:, first:, 0])
    space = heat_figure.room(heat, CELL)
    width = max(0.3 + space.left + space.width + heat_figure.GAP + heat_figure.BAR, 6.0)
    height = heat_figure.TOP + max(space.height, 1.3) + space.below + 0.12
    with figure.house_style():
        fig = figure.new_figure(width, height)
        heat_figure.words(fig, view.title, view.note + (f" The last {T - first} of {T} positions." if first else ""))
        top = height - heat_figure.TOP
        ax = heat_figure.add_map(fig, heat, SCALE, space, 0.3 + space.left, top, written=False)
        for layer, k in np.ndindex(L, T - first):
            p = heat.values[layer, k]
            ink = heat_figure.ink(SCALE, p)
            token = figure.drawable(html.clip(html.visible(view.candidates[layer][first + k][0]), 9))
            middle = {"ha": "center", "va": "center", "color": ink, **figure.VERBATIM}
            ax.text(k, layer - 0.16, token, fontsize=6.5, **middle)
            ax.text(k, layer + 0.24, f"{p:.2f}", fontsize=5.5, **middle)
            if view.hit(layer, first + k):
                ax.add_patch(Rectangle((k - 0.47, layer - 0.46), 0.94, 0.92, fill=False, edgecolor=MARK, linewidth=1.2))
        heat_figure.add_bar(
            fig, SCALE, 0.3 + space.left + space.width + heat_figure.GAP, top, min(max(space.height, 1.3), 3)
        )
    return fig
