"""How `BackwardSteps` becomes a Matplotlib figure: the graph with the turns of its ops, and a list of the steps."""

from . import figure, heat_figure, html
from .backward import flat
from .figure import INK, SOFT, VERBATIM
from .graph import box_size
from .graph_figure import LARGEST, MARGIN, PIXELS, TOP, draw_graph

FEWEST, LONGEST = 60, 90  # lines that there is always room for, letters of a line
LINE, LETTER, NARROWEST = 14.0, 5.0, 360.0  # height of a line, width of a letter and of the whole, pixels
MARK = "#d6006c"


def draw(view):
    """A new figure of a BackwardSteps."""
    graph = view.graph
    lines = _lines(view, max(FEWEST, int(graph.layout.height / LINE)))
    room = max(len(text) for text, _ in lines) * LETTER
    wide = max(graph.layout.width + room + 4 * MARGIN, NARROWEST)
    tall = max(graph.layout.height + 12, LINE * len(lines)) + TOP + MARGIN
    shrink = min(1.0, LARGEST * PIXELS / max(wide, tall))
    points = 7.6 * shrink
    with figure.house_style():
        fig = figure.new_figure(wide * shrink / PIXELS, tall * shrink / PIXELS)
        ax = fig.add_axes((0, 0, 1, 1), label="steps")
        ax.set_axis_off()
        ax.set(xlim=(-MARGIN, wide - MARGIN), ylim=(tall - TOP, -TOP))
        draw_graph(ax, graph, points, shrink, _at_the_end(view))
        for box, turns in _turns(view).items():
            node = graph.nodes[box]
            (x, y), (width, height) = graph.layout.boxes[node["id"]], box_size(node)
            badge = {"boxstyle": "round,pad=0.25", "facecolor": MARK, "edgecolor": "white", "linewidth": 0.8}
            ax.text(
                x - width / 2, y - height / 2, turns, fontsize=points * 0.9, color="white", fontweight="bold",
                ha="center", va="center", bbox=badge, **VERBATIM,
            )  # fmt: skip
        left = graph.layout.width + 2 * MARGIN
        for k, (text, ink) in enumerate(lines):
            style = {"fontweight": "bold"} if ink == INK else {}
            ax.text(left, (k + 0.5) * LINE, text, fontsize=points, color=ink, va="center", **style, **VERBATIM)
        heat_figure.words(fig, view.title, f"{len(view.steps)} steps; numbers: the turn of each op. {view.note}")
    return fig


def _at_the_end(view) -> list[dict]:
    """The nodes with the gradients that they have when all is done."""
    last: dict[int, str] = {}
    for step in view.steps:
        last |= step["changes"]
    return [
        {**node, "lines": [*node["lines"][:-1], last[k]]} if k in last else node
        for k, node in enumerate(view.graph.nodes)
    ]


def _turns(view) -> dict[int, str]:
    """Box -> "2", "2, 4", or "3–9" where many ops are one box."""
    turns: dict[int, list[int]] = {}
    for k, step in enumerate(view.steps, start=1):
        turns.setdefault(step["box"], []).append(k)
    return {box: ", ".join(map(str, ks)) if len(ks) < 4 else f"{ks[0]}–{ks[-1]}" for box, ks in turns.items()}


def _lines(view, most) -> list[tuple[str, str]]:
    """(text, colour) of each line of the list; the first steps if there are too many."""
    lines: list[tuple[str, str]] = []
    for k, step in enumerate(view.steps, start=1):
        about = [(f"{k}  {step['text']}", INK)]
        about += [(f"     in   ∂/∂{o['name']}: {flat(o['gradient'])}", SOFT) for o in step["outputs"]]
        for i in step["inputs"]:
            if i["gradient"] is None:
                continue
            summed = f"  (summed over {', '.join(map(str, i['summed']))})" if i["summed"] else ""
            about.append((f"     out  ∂/∂{i['name']}: {flat(i['gradient'])}{summed}", SOFT))
            if i["before"] or i["leaf"]:
                name = f"{i['name']}.grad" if i["leaf"] else f"{i['name']} so far"
                about.append((f"          {name} = {flat(i['after'])}", MARK))
        if lines and len(lines) + len(about) > most:
            lines.append((f"… and {len(view.steps) - k + 1} more steps", SOFT))
            break
        lines += about
    return [(figure.drawable(html.clip(text, LONGEST)), ink) for text, ink in lines]
