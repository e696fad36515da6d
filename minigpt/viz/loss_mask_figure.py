"""How `LossMask` becomes a Matplotlib figure: a box for each token, as wide as its letters."""

import matplotlib
from matplotlib.patches import Rectangle

from . import figure, html
from .figure import INK, SOFT, VERBATIM
from .loss_mask import COLUMNS, LEARNED, width_of

FRAME, PALE = "#777777", "#f2f2f5"
POINTS = 9.0  # of the letters
COLUMN = 0.602 * POINTS / 72  # inches; a letter of DejaVu Sans Mono is 0.602 of its size wide
LINE = 0.27  # inches from line to line
MARGIN, HEAD = 0.2, 0.75  # inches around, and above the first line
MOST_LINES = 60


def draw(view):
    """A new figure of a LossMask."""
    lines = view.lines()
    shown = lines[:MOST_LINES]
    width, height = 2 * MARGIN + (COLUMNS + 1) * COLUMN, HEAD + MARGIN + LINE * (len(shown) + (shown != lines))
    with figure.house_style():
        mono = ["DejaVu Sans Mono", *matplotlib.rcParams["font.family"]]
        fig = figure.new_figure(width, height)
        ax = fig.add_axes((0, 0, 1, 1), label="tokens")
        ax.set_xlim(0, width)
        ax.set_ylim(height, 0)  # inches from the top
        ax.axis("off")
        title = figure.drawable(html.clip(view.title, 80))
        ax.text(MARGIN, 0.27, title, fontsize=12, color=INK, va="center", **VERBATIM)
        legend = f"{view.summary()}: blue, underlined"
        ax.text(MARGIN, 0.52, legend, fontsize=8.5, color=SOFT, va="center", **VERBATIM)
        for row, line in enumerate(shown):
            x, y = MARGIN, HEAD + (row + 0.5) * LINE
            for i in line:
                x = _draw_token(ax, view, i, x, y, mono)
        if shown != lines:
            rest = f"… and {len(lines) - len(shown)} more lines"
            ax.text(MARGIN, height - MARGIN - 0.5 * LINE, rest, fontsize=POINTS, color=SOFT, va="center")
    return fig


def _draw_token(ax, view, i, x, y, mono):
    """Token i with its left edge at x, in the middle of the line at y; returns where the next one starts."""
    learned, text = view.loss_mask[i], figure.drawable(view.shown[i])
    width = COLUMN * max(width_of(view.shown[i]), 1)
    box = Rectangle(
        (x, y - 0.42 * LINE), width, 0.84 * LINE, linewidth=0.8, facecolor=LEARNED if learned else PALE,
        edgecolor=FRAME if view.special[i] else "white", zorder=2 if view.special[i] else 1,
    )  # fmt: skip
    ax.add_patch(box)
    colour = "white" if learned else INK
    ax.text(
        x + width / 2, y, text, fontsize=POINTS * min(1, len(view.shown[i]) / len(text)), fontfamily=mono,
        color=colour, ha="center", va="center", **VERBATIM,
    )  # fmt: skip
    if learned:
        ax.plot([x + 0.01, x + width - 0.01], [y + 0.33 * LINE] * 2, color="white", linewidth=1)
    return x + width
