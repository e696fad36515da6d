"""How `SamplingSteps` becomes a Matplotlib figure: one small table per token, on one canvas measured in inches."""

import numpy as np
from matplotlib.patches import Rectangle

from . import figure, html
from .figure import INK, SOFT, VERBATIM
from .sampling import shown

MOST_STEPS = 15
WIDEST = 13.5  # inches
TOKEN, CELL, LINE = 1.0, 0.62, 0.19  # width of the token labels, width and height of a cell
GAP = (0.35, 0.28)  # between tables
LEFT, TOP, BOTTOM = 0.2, 0.75, 0.15
MARK = "#d6006c"


def draw(view):
    """A new figure of a SamplingSteps."""
    T, S, K = view.probabilities.shape
    drawn = min(T, MOST_STEPS)
    width, height = TOKEN + S * CELL, (K + 3) * LINE
    across = int(np.clip((WIDEST - 2 * LEFT + GAP[0]) // (width + GAP[0]), 1, drawn))
    down = -(-drawn // across)
    page = (
        max(2 * LEFT + across * width + (across - 1) * GAP[0], 6.0),
        TOP + down * height + (down - 1) * GAP[1] + BOTTOM,
    )
    with figure.house_style():
        fig = figure.new_figure(*page)
        ax = fig.add_axes((0, 0, 1, 1), label="tables")
        ax.set_axis_off()
        title = figure.drawable(html.clip(view.title, int(page[0] * 9)))
        ax.text(LEFT, page[1] - 0.28, title, fontsize=12, color=INK, **VERBATIM)
        note = "probability after each stage; –: removed; framed: drawn"
        note += f"; the first {drawn} of {T} tokens" if drawn < T else ""
        ax.text(LEFT, page[1] - 0.48, note, fontsize=7.5, color=SOFT)
        colours = figure.weight_colours()
        for step in range(drawn):
            left = LEFT + step % across * (width + GAP[0])
            top = page[1] - TOP - step // across * (height + GAP[1])
            _draw_table(ax, view, step, left, top, colours)
        ax.set(xlim=(0, page[0]), ylim=(0, page[1]))  # last: every image resets them
    return fig


def _draw_table(ax, view, step, left, top, colours):
    _, S, K = view.probabilities.shape
    small = {"fontsize": 7.0, "va": "center", **VERBATIM}
    chosen = view.candidates[step][view.drawn[step]]
    ax.text(left, top - LINE / 2, f"{step + 1}.  {_label(chosen, 24)}", color=INK, **{**small, "fontsize": 8.5})
    for s, name in enumerate(view.stages):
        where = left + TOKEN + (s + 0.5) * CELL, top - 1.5 * LINE
        ax.text(*where, figure.drawable(html.clip(name, 11)), ha="center", color=SOFT, **small)
    cells = np.concatenate([view.probabilities[step], view.rest[step][:, None]], axis=1).T  # (K + 1, S)
    right, low = left + TOKEN + S * CELL, top - (K + 3) * LINE
    removed = cells == 0
    ax.imshow(
        np.ma.array(cells, mask=removed), cmap=colours, vmin=0, vmax=1,
        extent=(left + TOKEN, right, low, top - 2 * LINE), aspect="auto", origin="upper",
    )  # fmt: skip
    for k in range(K + 1):
        y = top - (k + 2.5) * LINE
        drawn = k == view.drawn[step]
        label = _label(view.candidates[step][k], 14) if k < K else "all others"
        ax.text(left + TOKEN - 0.06, y, label, ha="right", color=MARK if drawn else INK if k < K else SOFT, **small)
        for s in range(S):
            ink = SOFT if removed[k, s] else "black" if colours(cells[k, s])[1] > 130 / 255 else "white"
            text = "–" if removed[k, s] else shown(cells[k, s])
            ax.text(left + TOKEN + (s + 0.5) * CELL, y, text, ha="center", color=ink, **small)
        if drawn:
            box = Rectangle((left + TOKEN, y - LINE / 2), S * CELL, LINE, fill=False, edgecolor=MARK, linewidth=1.3)
            ax.add_patch(box)


def _label(token, length):
    return figure.drawable(html.clip(html.visible(token), length))
