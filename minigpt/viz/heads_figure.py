"""How `HeadView` becomes a Matplotlib figure: two columns of tokens, lines between them, one canvas in inches."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from . import figure, html
from .figure import INK, SOFT, VERBATIM
from .heads import DASHES, HEAD_COLOURS

LINES_WIDTH = 2.6  # inches between the two columns
LEAST = 0.02  # weaker lines would not be seen
MOST_LINES = 100  # of all heads together: of more none can be followed, and a picture of them takes much room
LEGEND_ROW = 7  # heads in a row of the legend


def draw(view):
    """A new figure of one layer of a HeadView."""
    T, K = view.seen.shape
    queries, keys = (
        [figure.drawable(html.clip(html.visible(token), 16)) for token in tokens] for tokens in (view.tokens, view.keys)
    )
    row = float(np.clip(9 / max(T, K), 0.13, 0.26))
    points = min(9.0, row * 72 * 0.75)
    widest = max(sum(1 + (ord(ch) >= 0x2E80) for ch in label) for label in (*queries, *keys))
    room = 0.35 + widest * points * 0.62 / 72
    legend = 0.2 * -(-len(view.heads) // LEGEND_ROW)
    width = max(2 * room + LINES_WIDTH, 4.8)
    room = (width - LINES_WIDTH) / 2
    height = max(T, K) * row + 1.0 + legend
    top = height - 0.85 - legend
    with figure.house_style():
        fig = figure.new_figure(width, height)
        ax = fig.add_axes((0, 0, 1, 1), label="lines")
        ax.set_axis_off()
        ax.set(xlim=(0, width), ylim=(0, height))
        title = figure.drawable(html.clip(view.title, int(width * 9)))
        ax.text(0.15, height - 0.3, title, fontsize=12, color=INK, **VERBATIM)
        least = _least(view)
        words = f"layer {view.layers[view.layer]}; line: attention weight, 0 to 1" + (
            f", from {least:.2f} up" if least else ""
        )
        ax.text(0.15, height - 0.52, words, fontsize=8, color=SOFT)
        for k, head in enumerate(view.heads):
            _legend(ax, 0.15 + 0.6 * (k % LEGEND_ROW), height - 0.75 - 0.2 * (k // LEGEND_ROW), head)
        for side, labels, mask in ((0, queries, view.query_mask), (1, keys, view.key_mask)):
            x, align = (room - 0.08, "right") if side == 0 else (room + LINES_WIDTH + 0.08, "left")
            ax.text(x, top + 0.08, ("query", "key")[side], ha=align, fontsize=8, color=SOFT)
            for k, label in enumerate(labels):
                colour = INK if mask[k] else "#a9a9b6"
                y = top - (k + 0.5) * row
                ax.text(x, y, label, ha=align, va="center", fontsize=points, color=colour, **VERBATIM)
        for head in view.heads:
            ax.add_collection(_lines(view, head, max(least, LEAST), room, top, row))
    return fig


def look(head):
    """Colour and dashes of a head's lines."""
    dash = DASHES[head // len(HEAD_COLOURS)]
    return HEAD_COLOURS[head % len(HEAD_COLOURS)], (0, dash) if dash else "solid"


def _legend(ax, x, y, head):
    colour, dash = look(head)
    ax.plot([x, x + 0.18], [y + 0.03, y + 0.03], color=colour, linestyle=dash, linewidth=2.5)
    ax.text(x + 0.22, y, f"H{head}", fontsize=8, color=INK)


def _least(view):
    """The smallest weight that is drawn so that at most MOST_LINES are, or 0 if that needs no limit."""
    weights = np.sort((view.weights[view.layer, view.heads] * view.seen).ravel())[::-1]
    return float(weights[MOST_LINES - 1]) if (weights > LEAST).sum() > MOST_LINES else 0.0


def _lines(view, head, least, room, top, row):
    """The lines of a head from a weight up, as opaque as their weight."""
    weights = np.clip(view.weights[view.layer, head] * view.seen, 0, 1)
    query, key = np.nonzero(weights >= least)
    start = np.stack([np.full(len(query), room), top - (query + 0.5) * row], axis=1)
    end = np.stack([np.full(len(key), room + LINES_WIDTH), top - (key + 0.5) * row], axis=1)
    colour, dash = look(head)
    rgba = [(*to_rgb(colour), weight) for weight in weights[query, key].tolist()]
    return LineCollection(list(np.stack([start, end], axis=1)), colors=rgba, linestyles=[dash], linewidths=1.4)
