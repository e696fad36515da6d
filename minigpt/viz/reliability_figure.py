"""How `ReliabilityDiagram` becomes a Matplotlib figure: the diagram, and below it the number of predictions."""

from . import figure, html
from .figure import INK, SOFT, VERBATIM
from .loss import COLOURS

GREY = "#8a8a92"
MARKERS = "os^D"  # models differ by marker as well as by colour
WIDTH, SIDE, BARS = 6.4, 4.6, 0.9  # inches: the figure, the diagram's side, the height of the lower axes
LEFT, BOTTOM, GAP = 0.85, 0.6, 0.25
LINE = 0.24  # of text above the diagram


def draw(view):
    """A new figure of a ReliabilityDiagram."""
    words = LINE * (len(view.models) + (1 if view.note else 0)) + 0.55
    height = BOTTOM + BARS + GAP + SIDE + words
    with figure.house_style():
        fig = figure.new_figure(WIDTH, height)
        box = (LEFT / WIDTH, (BOTTOM + BARS + GAP) / height, SIDE / WIDTH, SIDE / height)
        ax = fig.add_axes(box, label="reliability")
        low = fig.add_axes((LEFT / WIDTH, BOTTOM / height, SIDE / WIDTH, BARS / height), label="count", sharex=ax)
        ax.plot([0, 1], [0, 1], color=GREY, linestyle=(0, (5, 3)), linewidth=1, zorder=1)
        for k, model in enumerate(view.models.values()):
            _draw_model(ax, low, model, k)
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        ax.set_ylabel("share of right predictions", fontsize=9.5, color=INK)
        ax.tick_params(labelbottom=False)
        low.set_ylabel("predictions", fontsize=9.5, color=INK)
        low.set_xlabel("confidence: probability of the likeliest token", fontsize=9.5, color=INK)
        for axes in (ax, low):
            axes.grid(color="#e6e6ea", linewidth=0.8)
            axes.set_axisbelow(True)
            axes.tick_params(labelsize=8.5, colors=SOFT)
        low.locator_params(axis="y", nbins=3)
        fig.align_ylabels((ax, low))
        _draw_words(fig, view, height)
    return fig


def _draw_model(ax, low, model, k):
    colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
    x, y = model["confidence"], model["accuracy"]
    bars = [(y - model["low"]).clip(0), (model["high"] - y).clip(0)]
    ax.errorbar(x, y, yerr=bars, fmt="none", ecolor=colour, elinewidth=1, alpha=0.6, zorder=2)
    ax.plot(x, y, color=colour, linewidth=1.3, marker=marker, markersize=5, markerfacecolor="white", zorder=3)
    low.vlines(x, 0, model["count"], color=colour, linewidth=4 if k == 0 else 1.6, alpha=0.75)
    low.set_ylim(bottom=0)


def _draw_words(fig, view, height):
    """Title, what the bins are, and a line for each model in its colour."""
    x, y = 0.15 / WIDTH, height - 0.3
    fig.text(x, y / height, figure.drawable(html.clip(view.title, 60)), fontsize=12, color=INK, **VERBATIM)
    if view.note:
        y -= LINE
        note = figure.drawable(html.clip(view.note, 110))
        fig.text(x, y / height, note, fontsize=8, color=SOFT, **VERBATIM)
    for k, name in enumerate(view.models):
        y -= LINE
        text = figure.drawable(view.label(name))
        fig.text(x, y / height, f"● {text}", fontsize=8.5, color=COLOURS[k % len(COLOURS)], **VERBATIM)
