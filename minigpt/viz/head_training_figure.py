"""How `HeadTraining` becomes a Matplotlib figure: a strip of frames, the loss below with their steps marked."""

import numpy as np

from . import figure, heat_figure
from .heat import ABOVE

MOST_FRAMES = 8
LOSS = 1.7  # inches


def draw(view):
    """A new figure of a HeadTraining."""
    maps = view.maps()
    kept = np.unique(np.linspace(0, len(maps) - 1, min(len(maps), MOST_FRAMES)).round().astype(int))
    T = len(view.tokens)
    side = float(np.clip(12 / len(kept), 1.3, 2.4))
    space = heat_figure.room(maps[0], (side / T, side / T))._replace(width=side, height=side)
    left, step = 0.3 + space.left, side + 0.18
    width = max(left + len(kept) * step + heat_figure.BAR, 5.5)
    below = space.below + (LOSS + 0.75 if view.loss is not None else 0.1)
    height = heat_figure.TOP + side + below
    with figure.house_style():
        fig = figure.new_figure(width, height)
        shown = view.note if len(kept) == len(maps) else f"{view.note} {len(kept)} of them shown."
        heat_figure.words(fig, view.title, shown)
        top = height - heat_figure.TOP
        for place, k in enumerate(kept):
            ax = heat_figure.add_map(fig, maps[k], view.scale, space, left + place * step, top, written=False)
            if place:
                ax.set(yticks=[], ylabel="")
        heat_figure.add_bar(fig, view.scale, left + len(kept) * step, top, side)
        if view.loss is not None:
            size = len(kept) * step - 0.18, LOSS
            ax = heat_figure.axes(fig, left, top - side - space.below - 0.15, *size, "loss")
            _draw_loss(ax, view, view.steps[kept])
    return fig


def _draw_loss(ax, view, steps):
    ax.plot(view.loss["steps"], view.loss["losses"], color=ABOVE, linewidth=1.4)
    for step in steps:
        ax.axvline(step, color="#9a9aa6", linewidth=0.8, linestyle=(0, (4, 3)))
    ax.set_xlabel("step (dashed: the maps above)", fontsize=8, color=figure.SOFT)
    ax.set_ylabel(figure.drawable(f"loss, {view.unit}"), fontsize=8, color=figure.SOFT, **figure.VERBATIM)
    ax.tick_params(labelsize=7, colors=figure.SOFT)
    ax.grid(axis="y", color="#e6e6ea", linewidth=0.8)
    ax.set_axisbelow(True)
