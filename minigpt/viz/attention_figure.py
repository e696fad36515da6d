"""How `AttentionGrid` becomes a Matplotlib figure: one canvas measured in inches, one image per head.

One canvas instead of an axes per head: 256 axes would take seconds, 256 images do not.
"""

from typing import NamedTuple

import numpy as np
from matplotlib.cm import ScalarMappable

from . import figure, html
from .figure import INK, SOFT, VERBATIM
from .weights import UNITS

LABEL_POINTS = 5.5  # the smallest token labels; where they would be smaller they are left out
LABEL_LENGTH = 14  # longer tokens are cut in the labels, not in the data


class _Layout(NamedTuple):
    """Where things stand on the figure, in inches from its lower left corner."""

    width: float
    height: float
    panel: tuple[float, float]  # width and height of one map, equal unless queries and keys differ in number
    gap: tuple  # between maps: horizontal, vertical
    left: float  # left edge of the first column of maps
    top: float  # upper edge of the first row of maps
    queries: list  # their labels; empty where they would be too small
    keys: list
    points: float  # their size

    def corner(self, layer, head):
        """Lower left corner of a map."""
        width, height = self.panel
        return self.left + head * (width + self.gap[0]), self.top - height - layer * (height + self.gap[1])


def draw(view):
    """A new figure of all heads of an AttentionGrid."""
    L, H, _, _ = view.weights.shape
    queries, keys = (
        [figure.drawable(html.clip(html.visible(token), LABEL_LENGTH)) for token in tokens]
        for tokens in (view.tokens, view.keys)
    )
    page = _layout(L, H, queries, keys)
    with figure.house_style():
        fig = figure.new_figure(page.width, page.height)
        ax = fig.add_axes((0, 0, 1, 1), label="heads")
        ax.set_axis_off()
        colours = figure.weight_colours()
        for layer in range(L):
            for head in range(H):
                _draw_head(ax, page, view, layer, head, colours)
        _draw_tokens(ax, page, L, H)
        _draw_words(ax, page, view)
        _draw_colour_bar(fig, page, L, H, colours)
        ax.set(xlim=(0, page.width), ylim=(0, page.height))  # last: every image resets them
    return fig


def _layout(L, H, queries, keys):
    """Maps as large as the labels want, within a figure that still fits on a screen."""
    T = max(len(queries), len(keys))
    wanted = T * LABEL_POINTS / 72 / 0.9  # side of a map whose rows are as high as a label
    most = float(np.clip(11 / max(L, H), 0.62, 3.6))
    least = float(np.clip(7.5 / max(L, H), 0.62, 2.6))
    panel = float(np.clip(wanted, least, most))  # the longer side
    width, height = panel * len(keys) / T, panel * len(queries) / T
    points = min(9.0, 72 * 0.9 * panel / T)
    if panel < wanted:
        queries, keys = [], []
    # CJK characters are about twice as wide as Latin ones.
    widest = max((sum(1 + (ord(ch) >= 0x2E80) for ch in label) for label in (*queries, *keys)), default=0)
    room = 0.2 + widest * points * 0.6 / 72  # axis name and token labels
    gap = (0.12, 0.3) if panel > 1.2 else (0.1, 0.19)
    across = H * width + (H - 1) * gap[0]
    down = L * height + (L - 1) * gap[1]
    page_height = room + 0.15 + down + 0.85
    return _Layout(
        width=max(room + 0.15 + across + 1.0, 4.6),
        height=page_height,
        panel=(width, height),
        gap=gap,
        left=room + 0.15,
        top=page_height - 0.85,
        queries=queries,
        keys=keys,
        points=points,
    )


def _draw_head(ax, page, view, layer, head, colours):
    """One map and its caption: layer, head, entropy, in as many words as there is room for."""
    x, y = page.corner(layer, head)
    width, height = page.panel
    ax.imshow(
        np.ma.array(view.weights[layer, head], mask=~view.seen),
        cmap=colours,
        vmin=0,
        vmax=1,
        extent=(x, x + width, y, y + height),
        aspect="auto",
        origin="upper",
    )
    text, points = view.caption(layer, head), 8.0
    if width < 1.7:
        text = text.replace("layer ", "L").replace(", head ", " H")
    if width < 1.0:
        text, points = text.removesuffix(" nats").replace(":", " "), 5.0
    ax.text(x, y + height + 0.04, text, fontsize=points, color=INK)


def _draw_tokens(ax, page, L, H):
    """Query tokens left of the first column, key tokens below the last row."""
    style = {"fontsize": page.points, "color": INK, **VERBATIM}
    width, height = page.panel
    for k, label in enumerate(page.queries):
        for layer in range(L):
            x, y = page.corner(layer, 0)
            middle = y + height - (k + 0.5) * height / len(page.queries)
            ax.text(x - 0.04, middle, label, ha="right", va="center", **style)
    for k, label in enumerate(page.keys):
        for head in range(H):
            x, y = page.corner(L - 1, head)
            middle = x + (k + 0.5) * width / len(page.keys)
            ax.text(middle, y - 0.04, label, ha="center", va="top", rotation=90, **style)


def _draw_words(ax, page, view):
    """Title, what the numbers mean, and the names of the axes."""
    L, H, _, _ = view.weights.shape
    title = figure.drawable(html.clip(view.title, int(page.width * 9)))
    ax.text(0.15, page.height - 0.3, title, fontsize=12, color=INK, **VERBATIM)
    note = f"nats: mean entropy over query rows; an even spread would give {view.even_entropy():.2f}"
    ax.text(0.15, page.height - 0.52, note, fontsize=7.5, color=SOFT)
    low = page.corner(L - 1, 0)[1]
    right = page.corner(0, H - 1)[0] + page.panel[0]
    style = {"fontsize": 8, "color": SOFT}
    ax.text(0.1, (low + page.top) / 2, "query token", rotation=90, ha="left", va="center", **style)
    ax.text((page.left + right) / 2, 0.06, "key token", ha="center", va="bottom", **style)


def _draw_colour_bar(fig, page, L, H, colours):
    """One bar for all maps: they share one scale."""
    right = page.corner(0, H - 1)[0] + page.panel[0]
    tall = min(page.top - page.corner(L - 1, 0)[1], 3.0)
    box = ((right + 0.2) / page.width, (page.top - tall) / page.height, 0.12 / page.width, tall / page.height)
    bar = fig.colorbar(ScalarMappable(cmap=colours), cax=fig.add_axes(box, label="colour bar"))
    bar.set_label(UNITS, fontsize=8, color=SOFT)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
