"""How `NeuronView` becomes a Matplotlib figure: the map of the scores, and four rows of bars beside it."""

import numpy as np
from matplotlib.patches import Rectangle

from . import figure, heat_figure, html
from .figure import INK, SOFT, VERBATIM
from .heat import ABOVE, BELOW
from .heat_figure import GAP, TOP

BAR_ROW, BETWEEN = 0.62, 0.22  # inches
MOST_WRITTEN = 16  # channels with their numbers above the bars
MARK = "#d6006c"
NAMES = {"q": "q", "k": "k", "products": "q k / √D", "running": "running sum"}


def draw(view):
    """A new figure of a NeuronView."""
    heat, scale, D = view.map(), view.scale(), view.q.shape[1]
    R, C = heat.values.shape
    cell = min(0.42, 3.2 / C), min(0.24, 3.2 / R)
    space = heat_figure.room(heat, cell)
    bars = max(3.2, min(6.0, 0.36 * D))
    left = 0.25 + space.left
    bars_left = left + space.width + GAP + heat_figure.BAR + 0.55
    tallest = max(space.height + space.below, 4 * (BAR_ROW + BETWEEN) + 0.3)
    with figure.house_style():
        fig = figure.new_figure(bars_left + bars + 0.25, TOP + 0.2 + tallest)
        heat_figure.words(fig, view.title, view.note)
        top = tallest + 0.1
        ax = heat_figure.add_map(fig, heat, scale, space, left, top, cell[0] >= 0.27)
        ax.add_patch(Rectangle((view.key - 0.5, view.query - 0.5), 1, 1, fill=False, edgecolor=MARK, linewidth=1.5))
        heat_figure.add_bar(fig, scale, left + space.width + GAP, top, min(max(space.height, 1.0), 2.5))
        words = f"{html.clip(view.pair(), 60)}: score {view.running[-1]:.4g}".replace("-", "−")
        fig_size = fig.get_size_inches()
        x, y = bars_left / fig_size[0], (top + 0.08) / fig_size[1]
        fig.text(x, y, figure.drawable(words), fontsize=9, color=INK, **VERBATIM)
        for n, (name, values) in enumerate(view.bars().items()):
            ax = heat_figure.axes(fig, bars_left, top - 0.12 - n * (BAR_ROW + BETWEEN), bars, BAR_ROW, name)
            _draw_bars(ax, name, values, last=n == 3)
    return fig


def _draw_bars(ax, name, values, last):
    D = len(values)
    ax.bar(range(D), values, color=[ABOVE if value >= 0 else BELOW for value in values], width=0.8)
    ax.axhline(0, color=SOFT, linewidth=0.6)
    ax.set_xlim(-0.6, D - 0.4)
    high = np.abs(values).max() or 1.0
    ax.set_ylim(-1.25 * high if (values < 0).any() else 0, 1.25 * high if (values > 0).any() else 0.25 * high)
    ax.set_ylabel(NAMES[name], fontsize=8, color=SOFT, rotation=0, ha="right", va="center")
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_yticks([])
    if D <= MOST_WRITTEN:
        for d, value in enumerate(values):
            place = {"ha": "center", "va": "bottom" if value >= 0 else "top"}
            ax.text(d, value, heat_figure.short(value), fontsize=6.5, color=INK, **place)
    every = max(1, -(-D // 16))
    ax.set_xticks(range(0, D, every) if last else [])
    ax.tick_params(length=0, labelsize=7, labelcolor=INK)
    if last:
        ax.set_xlabel("channel", fontsize=8, color=SOFT)
