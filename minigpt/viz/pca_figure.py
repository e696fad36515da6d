"""How `EmbeddingPCA` becomes a Matplotlib figure: points, labels where there is room, shares of the components."""

import numpy as np

from . import figure, heat_figure, html
from .loss import COLOURS

MARKERS = "os^Dv*"
WIDTH, HEIGHT = 9.6, 6.6  # inches
POINTS = 7.5
MOST_SHARES = 10


def draw(view):
    """A new figure of an EmbeddingPCA."""
    with figure.house_style():
        fig = figure.new_figure(WIDTH, HEIGHT)
        heat_figure.words(fig, view.title, view.note)
        ax = heat_figure.axes(fig, 0.75, HEIGHT - 0.95, 6.2, 5.05, "points")
        groups = np.array([view.names.index(group) for group in view.groups])
        for k, name in enumerate(view.names):
            label = figure.drawable(html.clip(html.one_line(name), 24)).replace("$", r"\$") or None
            ax.scatter(
                *view.points[groups == k].T, s=14, color=COLOURS[k], marker=MARKERS[k], label=label, linewidths=0
            )
        ax.margins(0.08)
        ax.axhline(0, color="#e6e6ea", linewidth=0.8, zorder=0)
        ax.axvline(0, color="#e6e6ea", linewidth=0.8, zorder=0)
        ax.set_xlabel(view.axis(0), fontsize=9, color=figure.INK)
        ax.set_ylabel(view.axis(1), fontsize=9, color=figure.INK)
        ax.tick_params(labelsize=7.5, colors=figure.SOFT)
        if len(view.names) > 1:
            ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 0.42), labelcolor=figure.SOFT)
        _label(ax, view, groups)
        shares = view.explained[:MOST_SHARES]
        bars = heat_figure.axes(fig, 7.55, HEIGHT - 1.15, 1.8, 1.9, "explained variance")
        colours = [COLOURS[0]] * 2 + ["#b9b9c4"] * (len(shares) - 2)
        bars.bar(np.arange(1, len(shares) + 1), 100 * shares, color=colours)
        bars.set_title("variance, %", fontsize=8.5, color=figure.INK, loc="left")
        bars.set_xlabel("component", fontsize=8, color=figure.SOFT)
        bars.tick_params(labelsize=7, colors=figure.SOFT)
        bars.locator_params(axis="x", integer=True)
    return fig


def _label(ax, view, groups):
    """Labels right of their points, those furthest from the middle first; none covers another."""
    figure_box = ax.figure.bbox
    taken: list[tuple] = []
    places = ax.transData.transform(view.points)
    for k in np.argsort(-np.linalg.norm(view.points, axis=1), kind="stable"):
        text = figure.drawable(html.clip(html.visible(view.labels[k]), 14))
        x, y = places[k]
        scale = ax.figure.dpi / 72
        width = sum(1 + (ord(ch) >= 0x2E80) for ch in text) * 0.62 * POINTS * scale
        box = (x, y - 0.6 * POINTS * scale, x + width + 5 * scale, y + 0.6 * POINTS * scale)
        if box[2] > figure_box.x1 or any(_overlap(box, other) for other in taken):
            continue
        taken.append(box)
        offset = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
        ax.annotate(text, view.points[k], fontsize=POINTS, color=figure.INK, **offset, **figure.VERBATIM)


def _overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
