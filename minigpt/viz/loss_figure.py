"""How `LossCurve` becomes a Matplotlib figure: curves, and one label at the end of each."""

from typing import Any

from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from . import figure, html
from .figure import INK, SOFT, VERBATIM
from .loss import COLOURS, GREY, worth_drawing

MARKERS = "os^D"  # runs differ by marker as well as by colour
LABEL_POINTS = 8.5
WIDTH, HEIGHT = 10.0, 4.8  # inches
MOST_POINTS = 4000  # about two for each dot of a printed line
LEFT, BOTTOM, TOP = 0.75, 0.6, 0.8  # around the axes
_MARK: dict[str, Any] = {"markersize": 4.5, "markerfacecolor": "white", "linestyle": "none"}


def draw(view):
    """A new figure of a LossCurve."""
    labels = [(figure.drawable(text), end, place, colour) for text, end, place, colour in view.labels()]
    # A character of the label font is about 0.56 of its size wide, a CJK one twice that.
    widest = max(sum(1 + (ord(ch) >= 0x2E80) for ch in text) for text, *_ in labels)
    right = min(0.3 + widest * 0.56 * LABEL_POINTS / 72, 0.5 * WIDTH)
    with figure.house_style():
        fig = figure.new_figure(WIDTH, HEIGHT)
        box = (
            LEFT / WIDTH,
            BOTTOM / HEIGHT,
            (WIDTH - LEFT - right) / WIDTH,
            (HEIGHT - BOTTOM - TOP) / HEIGHT,
        )
        ax = fig.add_axes(box, label="loss")
        ax.set_ylim(*view.limits)
        for k, run in enumerate(view.runs.values()):
            _draw_run(ax, run, COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)], view.window > 1)
        for value in view.references.values():
            ax.axhline(value, color=GREY, linewidth=1, linestyle=(0, (5, 3)), zorder=1)
        ax.margins(x=0.02)
        ax.grid(axis="y", color="#e6e6ea", linewidth=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=8.5, colors=SOFT)
        ax.set_xlabel(figure.drawable(html.clip(view.axis, 40)), fontsize=9.5, color=INK, **VERBATIM)
        unit = figure.drawable(html.clip(view.unit, 40))
        ax.set_ylabel(f"loss, {unit}", fontsize=9.5, color=INK, **VERBATIM)
        title = figure.drawable(html.clip(view.title, 80))
        fig.text(0.15 / WIDTH, 1 - 0.3 / HEIGHT, title, fontsize=12, color=INK, **VERBATIM)
        _draw_legend(fig, view)
        _draw_labels(ax, labels, view.limits)
    return fig


def _draw_run(ax, run, colour, marker, smoothed):
    if "train" in run:
        train = run["train"]
        if smoothed:
            kept = worth_drawing(train["losses"], MOST_POINTS)
            raw = {"color": colour, "alpha": 0.25, "linewidth": 0.7}
            ax.plot(train["steps"][kept], train["losses"][kept], zorder=2, **raw)
        single = "." if len(train["steps"]) == 1 else None
        ax.plot(train["steps"], train["smooth"], color=colour, linewidth=1.6, marker=single, zorder=3)
    if "val" in run:
        style = {"marker": marker, "color": colour, **_MARK}
        ax.plot(run["val"]["steps"], run["val"]["losses"], zorder=4, **style)
        if "train" not in run:  # validation alone is easier to follow along a thin line
            ax.plot(run["val"]["steps"], run["val"]["losses"], color=colour, alpha=0.6, linewidth=0.9, zorder=3)


def _draw_labels(ax, labels, limits):
    """Each label right of the axes, level with its curve's end, or joined to it by a thin line."""
    low, high = limits
    margin = ax.get_yaxis_transform()  # x in axes widths, y in losses
    for text, end, place, colour in labels:
        ends = [min(max(end, low), high), place]
        ax.plot([1.0, 1.015], ends, color=colour, linewidth=0.8, transform=margin, clip_on=False)
        darker = tuple(0.8 * part for part in to_rgb(colour))  # thin letters need more contrast than lines
        ax.text(1.02, place, text, fontsize=LABEL_POINTS, color=darker, va="center", transform=margin, **VERBATIM)


def _draw_legend(fig, view):
    """What lines, marks and dashes mean; colours are explained by the labels."""
    handles = []
    if any("train" in run for run in view.runs.values()):
        handles.append(Line2D([], [], color=SOFT, linewidth=1.6, label=view.smoothing()))
    if any("val" in run for run in view.runs.values()):
        handles.append(Line2D([], [], color=SOFT, label="validation", marker="o", **_MARK))
    if view.references:
        handles.append(Line2D([], [], color=GREY, linestyle=(0, (5, 3)), linewidth=1, label="reference"))
    fig.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.06 / WIDTH, 1 - 0.36 / HEIGHT),
        ncols=len(handles),
        frameon=False,
        fontsize=8,
        labelcolor=SOFT,
    )
