"""How `HeadScores` becomes a Matplotlib figure: maps, and below each its curves over training."""

import numpy as np

from . import figure, heat_figure
from .heat import ABOVE

LEFT, CURVES = 0.25, 1.9  # inches: margin, height of a panel of curves


def draw(view):
    """A new figure of a HeadScores."""
    if view.steps is None:
        return heat_figure.draw(view.title, view.note, view.maps(), view.scale)
    maps = view.maps()
    space = heat_figure.room(maps[0])
    wide = max(space.width, 2.2)
    across = space.left + 0.2 + wide + heat_figure.GAP
    width = max(LEFT + len(maps) * across + heat_figure.BAR, 5.5)
    height = heat_figure.TOP + space.height + space.below + 0.45 + CURVES + 0.55
    with figure.house_style():
        fig = figure.new_figure(width, height)
        heat_figure.words(fig, view.title, view.note)
        top = height - heat_figure.TOP
        for k, heat in enumerate(maps):
            left = LEFT + k * across + space.left + 0.2
            heat_figure.add_map(fig, heat, view.scale, space, left, top)
            curves = heat_figure.axes(
                fig, left, top - space.height - space.below - 0.45, wide, CURVES, f"{heat.name} over steps"
            )
            _draw_curves(curves, view, heat.name)
        heat_figure.add_bar(fig, view.scale, LEFT + len(maps) * across + 0.05, top, min(space.height, 3.0))
    return fig


def _draw_curves(ax, view, name):
    """All heads thin and grey, the strongest at the end strong and named."""
    layer, head, value = view.strongest(name)
    scores = view.scores[name].reshape(len(view.steps), -1)  # (S, L * H)
    style = {"marker": "." if len(view.steps) < 2 else None}
    ax.plot(view.steps, scores, color="#9a9aa6", linewidth=0.7, **style)
    ax.plot(view.steps, view.scores[name][:, layer, head], color=ABOVE, linewidth=1.8, **style)
    ax.set_ylim(0, max(view.scale.high, float(np.max(scores))) * 1.05)
    ax.set_title(f"layer {layer}, head {head}: {value:.2f}", fontsize=8.5, color=ABOVE, loc="left")
    ax.set_xlabel("step", fontsize=8, color=figure.SOFT)
    ax.tick_params(labelsize=7, colors=figure.SOFT)
    ax.grid(axis="y", color="#e6e6ea", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.locator_params(axis="x", nbins=5)
