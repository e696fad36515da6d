"""How `Comparison` becomes a Matplotlib figure."""

import numpy as np

from . import figure
from .figure import INK, SOFT, VERBATIM
from .loss import COLOURS, moving_average

WIDTH, HEIGHT = 12.0, 4.2  # inches
MARKERS = "os^D"


def draw(view):
    """A new figure of a Comparison."""
    with figure.house_style():
        fig = figure.new_figure(WIDTH, HEIGHT)
        loss, gradient, recall = (
            fig.add_axes((left, 0.14, 0.25, 0.66), label=name)
            for left, name in ((0.06, "loss"), (0.39, "gradient"), (0.72, "recall"))
        )
        for k, name in enumerate(view.loss):
            style = {"color": COLOURS[k % len(COLOURS)], "linewidth": 1.6, "label": figure.drawable(name)}
            values = view.loss[name]
            window = max(1, len(values) // 50) | 1
            loss.plot(np.arange(1, len(values) + 1), moving_average(values, window), **style)
            norms = view.gradient[name]
            gradient.plot(np.arange(len(norms)), np.where(norms > 0, norms, np.nan), **style)
            distances, accuracies = view.recall[name]
            recall.plot(distances, accuracies, marker=MARKERS[k % len(MARKERS)], markersize=4, **style)
        gradient.set_yscale("log")
        recall.set_xscale("log", base=2)
        recall.set_ylim(-0.03, 1.03)
        _words(loss, "training loss on the text", "step", "nats per token")
        _words(gradient, "gradient norm through time", "tokens back, k", "relative to k = 0")
        _words(recall, "recall of a token", "tokens back, k", "accuracy")
        handles, labels = loss.get_legend_handles_labels()
        fig.legend(handles, labels, loc="upper right", ncols=len(labels), frameon=False, fontsize=9, labelcolor=SOFT)
        fig.text(0.02, 0.94, figure.drawable(view.title), fontsize=12, color=INK, **VERBATIM)
    return fig


def _words(ax, title, x, y):
    ax.set_title(title, fontsize=10, color=INK, loc="left")
    ax.set_xlabel(x, fontsize=9, color=INK)
    ax.set_ylabel(y, fontsize=9, color=INK)
    ax.tick_params(labelsize=8, colors=SOFT)
    ax.grid(color="#e6e6ea", linewidth=0.8)
    ax.set_axisbelow(True)
