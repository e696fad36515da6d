"""How `ComputationGraph` becomes a Matplotlib figure: the boxes and curves of the page, 72 pixels an inch."""

from itertools import pairwise

from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from . import figure, heat_figure, html
from .graph import LABEL_LINE, LINE, box_size

PIXELS = 72.0  # an inch
MARGIN, TOP = 16.0, 56.0  # pixels
LARGEST = 120.0  # inches: a PNG of 200 dots an inch beyond that is too large to open
# fill and border of each kind: blue, orange, green, grey of Okabe & Ito, pale
COLOURS = {
    "op": ("#eef0f4", "#8b8b98"), "leaf": ("#fdf1dc", "#E69F00"), "parameter": ("#e0eff8", "#0072B2"),
    "group": ("#e2f3ec", "#009E73"), "output": ("#fbe6d9", "#D55E00"),
}  # fmt: skip


def draw(view):
    """A new figure of a ComputationGraph."""
    wide, tall = view.layout.width + 2 * MARGIN, view.layout.height + TOP + MARGIN
    shrink = min(1.0, LARGEST * PIXELS / max(wide, tall))
    width, height = max(wide * shrink / PIXELS, 4.5), max(tall * shrink / PIXELS, 1.5)
    points = 7.6 * shrink
    with figure.house_style():
        fig = figure.new_figure(width, height)
        ax = fig.add_axes((0, 0, 1, 1), label="graph")
        ax.set_axis_off()
        ax.set(xlim=(-MARGIN, width * PIXELS / shrink - MARGIN), ylim=(view.layout.height + MARGIN, -TOP))
        draw_graph(ax, view, points, shrink)
        heat_figure.words(fig, view.title, view.note)
    return fig


def draw_graph(ax, graph, points, shrink=1.0, nodes=None):
    """Boxes and arrows on axes measured in pixels, y downwards.

    points   size of letters
    nodes    the graph's nodes with other lines, no longer than their own; None: as they are
    """
    for route in graph.layout.routes.values():
        ax.add_patch(PathPatch(_curve(route), facecolor="none", edgecolor="#8b8b98", linewidth=0.9 * shrink))
        (x, y), size = route[-1], 3.5
        head = Path([(x, y), (x - size, y - 2 * size), (x + size, y - 2 * size), (x, y)])
        ax.add_patch(PathPatch(head, facecolor="#8b8b98", edgecolor="none"))
    for own, node in zip(graph.nodes, nodes or graph.nodes, strict=True):
        _draw_box(ax, node, graph.layout.boxes[node["id"]], box_size(own), points)


def _draw_box(ax, node, middle, size, points):
    (x, y), (width, height) = middle, size
    fill, border = COLOURS[node["kind"]]
    corner = (x - width / 2, y - height / 2)
    box = FancyBboxPatch(
        corner, width, height, boxstyle="round,pad=0,rounding_size=5", facecolor=fill, edgecolor=border
    )
    box.set_linewidth(1.0)
    ax.add_patch(box)
    at = y - height / 2 + 4 + LABEL_LINE / 2
    style = {"ha": "center", "va": "center", "color": figure.INK, **figure.VERBATIM}
    ax.text(x, at, figure.drawable(node["label"]), fontsize=points * 1.05, fontweight="bold", **style)
    for k, line in enumerate(node["lines"]):
        below = at + LABEL_LINE / 2 + (k + 0.5) * LINE
        ax.text(
            x,
            below,
            figure.drawable(html.clip(line, 40)),
            fontsize=points * 0.92,
            **{**style, "color": figure.SOFT},
        )


def _curve(points):
    """A smooth line through the points that leaves and enters boxes straight down."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        bend = (y1 - y0) / 2
        vertices += [(x0, y0 + bend), (x1, y1 - bend), (x1, y1)]
        codes += [Path.CURVE4] * 3
    return Path(vertices, codes)
