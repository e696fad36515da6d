"""A computation as a graph: boxes for arrays and operations, arrows from inputs to what was made of them.

Drawn without Graphviz (`graph_layout.py`), inputs at the top, the result at the bottom. It knows no Tensor: boxes and
arrows come as plain data; `minigpt.debug.graph` makes them from a Tensor.
"""

from ..errors import ArgumentError
from . import html
from .base import View
from .graph_layout import layout

MOST_NODES = 150
KINDS = ("op", "leaf", "parameter", "group", "output")
LETTER, LABEL_LINE, LINE, PADDING = 6.3, 16.0, 13.0, 14.0  # width and heights of letters in a box, pixels
LONGEST = 40  # characters of a line


class ComputationGraph(View):
    """Boxes and arrows in layers.

    nodes   list of dicts: "id" str, "label" str (name of the operation or of the leaf), "lines" strings below it
            (shape, value, gradient; may be left out), "kind" one of "op", "leaf", "parameter", "group", "output"
            ("op" if left out), "about" str for a tooltip (may be left out)
    edges   list of (from id, to id), without cycles; the same pair twice is one arrow
    title, note   str, or None for defaults

    Attributes: `nodes` list of dicts with all five keys, `edges` list of pairs, `layout`, `title`, `note`.
    Raises ArgumentError for unknown or repeated ids, a cycle, or more than MOST_NODES boxes.
    """

    script = ("boxes.js", "graph.js")

    def __init__(self, nodes, edges, title=None, note=None):
        self.nodes = [_checked_node(node) for node in nodes]
        ids = [node["id"] for node in self.nodes]
        if not ids or len(set(ids)) < len(ids):
            twice = sorted({name for name in ids if ids.count(name) > 1})
            raise ArgumentError(f"nodes needs at least one node, and every id once; repeated: {twice}")
        if len(ids) > MOST_NODES:
            raise ArgumentError(
                f"a graph of {len(ids)} boxes cannot be read, at most {MOST_NODES} are drawn: draw a part, or put the "
                "boxes of one module together"
            )
        self.edges = list(dict.fromkeys((str(a), str(b)) for a, b in edges))
        unknown = sorted({end for edge in self.edges for end in edge} - set(ids))
        if unknown:
            raise ArgumentError(f"edges name nodes that are not there: {', '.join(unknown[:5])}")
        self.layout = layout({node["id"]: box_size(node) for node in self.nodes}, self.edges)
        self.title = html.one_line(title) if title is not None else "Computation graph"
        default = f"{len(ids)} boxes, {len(self.edges)} arrows; inputs above, the result below."
        self.note = html.one_line(note) if note is not None else default

    def __repr__(self):
        return f"ComputationGraph({len(self.nodes)} nodes, {len(self.edges)} edges)"

    def alt(self):
        used = {a for a, _ in self.edges}
        leaves = [node["label"] for node in self.nodes if node["kind"] in ("leaf", "parameter")]
        ends = [node["label"] for node in self.nodes if node["id"] not in used]
        inputs = html.clip(", ".join(leaves), 200) or "none"
        return f"{self.title}. {self.note} Inputs: {inputs}. Result: {html.clip(', '.join(ends), 100)}."

    def data(self):
        """What the page carries: places in pixels, to a tenth."""
        boxes = [
            {**node, "at": _round(self.layout.boxes[node["id"]]), "size": _round(box_size(node))} for node in self.nodes
        ]
        number = {node["id"]: k for k, node in enumerate(self.nodes)}
        routes = [
            [number[a], number[b], [_round(point) for point in points]] for (a, b), points in self.layout.routes.items()
        ]
        size = _round((self.layout.width, self.layout.height))
        return {"title": self.title, "note": self.note, "boxes": boxes, "routes": routes, "size": size}

    def fig(self):
        """The same picture as a new matplotlib Figure."""
        from . import graph_figure

        return graph_figure.draw(self)


def box_size(node):
    """(width, height) of a box in pixels. CJK letters are about twice as wide as Latin ones."""
    longest = max(sum(1 + (ord(ch) >= 0x2E80) for ch in line) for line in (node["label"] + "  ", *node["lines"]))
    return max(46.0, longest * LETTER + PADDING), LABEL_LINE + LINE * len(node["lines"]) + 8


def _checked_node(node):
    if not isinstance(node, dict) or not {"id", "label"} <= set(node) <= {"id", "label", "lines", "kind", "about"}:
        raise ArgumentError(f'a node needs {{"id": …, "label": …}}, and may have lines, kind, about; got {node!r:.80}')
    kind = node.get("kind", "op")
    if kind not in KINDS:
        raise ArgumentError(f"kind of node {node['id']!r} is one of {', '.join(KINDS)}, got {kind!r}")
    if isinstance(node.get("lines", []), str):
        raise ArgumentError(f"lines of node {node['id']!r} needs a list of strings")
    return {
        "id": str(node["id"]),
        "label": html.clip(html.one_line(node["label"]), LONGEST),
        "lines": [html.clip(html.one_line(line), LONGEST) for line in node.get("lines", [])],
        "kind": kind,
        "about": html.one_line(node.get("about", "")),
    }


def _round(point):
    return [round(part, 1) for part in point]
