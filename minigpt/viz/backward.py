"""A backward pass, one op at a time: a slider goes along the tape from the result back to the leaves.

At each step: the graph with the op whose turn it is, its rule, the gradients that come in and go out, over which axes
a repeated input was summed, and what each leaf's `.grad` is now. It knows no Tensor: `minigpt.debug.record_backward`
makes the steps.
"""

import numpy as np

from ..display import describe
from ..errors import ArgumentError
from . import html
from .base import View
from .graph import ComputationGraph

MOST_STEPS = 1000
WHOLE, WIDEST = 64, 16  # elements, and elements in a row, of an array whose numbers are all shown
IN_BOX = 4  # elements of a gradient that is written into its box
STEP_KEYS = {"box", "text", "formula", "where", "outputs", "inputs"}
INPUT_KEYS = {"name", "box", "shape", "gradient", "summed", "leaf", "before", "after"}


class BackwardSteps(View):
    """The steps of a backward pass over a graph of boxes and arrows.

    steps   iterable of dicts in the order of backward, each
            "box"      id of the op's node
            "text"     str, what the op made of what: "%3 = Mul(x, %2)"
            "formula"  str, lines of its rule
            "where"    str, module and line it ran in; ""
            "outputs"  list of (name, d loss / d output: an array, or None if nothing reached it)
            "inputs"   list of dicts: "name"; "box" id of its node; "shape"; "gradient" array that goes out to it, or
                       None if none is wanted; "summed" axes of the result it was summed over; "leaf" bool; "before"
                       and "after": what had been added up for it without and with this gradient (None: nothing)
    nodes, edges, title, note   as `ComputationGraph` takes them

    Arrays are turned into text at once and not kept: up to 64 numbers whole, of larger ones shape, range and mean.
    Attributes: `steps` list of dicts of strings and lists; `graph` the ComputationGraph; `title`, `note`.
    Raises ArgumentError for no steps, more than MOST_STEPS of them, keys or boxes that are not there.
    """

    script = ("chart.js", "boxes.js", "backward.js")

    def __init__(self, steps, nodes, edges, title=None, note=None):
        plain = ComputationGraph(nodes, edges, title, note)  # checks them
        self.title = html.one_line(title) if title is not None else "Backward, step by step"
        self.note = plain.note
        number = {node["id"]: k for k, node in enumerate(plain.nodes)}
        self.steps: list[dict] = []
        for step in steps:
            if len(self.steps) == MOST_STEPS:
                raise ArgumentError(f"more than {MOST_STEPS} steps cannot be looked through; record a smaller graph")
            self.steps.append(_checked_step(step, number))
        if not self.steps:
            raise ArgumentError("BackwardSteps needs at least one step")
        longest = _note_changes(self.steps)
        nodes = [
            {**node, "lines": [*node["lines"], longest[k]]} if k in longest else node
            for k, node in enumerate(plain.nodes)
        ]  # room for the longest line
        self.graph = ComputationGraph(nodes, edges, self.title, self.note)

    def __repr__(self):
        return f"BackwardSteps({len(self.steps)} steps, {len(self.graph.nodes)} boxes)"

    def alt(self):
        leaves = {i["name"]: i["after"] for step in self.steps for i in step["inputs"] if i["leaf"] and i["after"]}
        ends = "; ".join(f"{name}.grad is {flat(array)}" for name, array in leaves.items())
        first = self.steps[0]["text"]
        return f"{self.title}. {len(self.steps)} steps, the first is {first}. " + html.clip(f"At the end {ends}.", 400)

    def data(self):
        """What the page carries: the graph, and each step with all its numbers as text."""
        return {**self.graph.data(), "steps": self.steps}

    def fig(self):
        """All steps on one page: the graph with the number of each op's turn, and what each step hands on."""
        from . import backward_figure

        return backward_figure.draw(self)


def shown(array) -> dict | None:
    """An array as {"rows": lists of numbers as text, "text": one line}; rows only if it is small. None stays None."""
    if array is None:
        return None
    array = np.asarray(array)
    if array.dtype.kind not in "fiub":
        raise ArgumentError(f"a gradient is an array of numbers, got dtype {array.dtype}")
    width = array.shape[-1] if array.ndim else 1
    if not 0 < array.size <= WHOLE or width > WIDEST:
        return {"text": html.one_line(describe(array)) if array.size else f"{array.shape}, no elements"}
    rows = [[f"{value:.5g}" for value in row] for row in array.reshape(-1, width).tolist()]
    return {"text": f"{array.shape} {array.dtype}", "rows": rows}


def flat(array: dict | None) -> str:
    """What `shown` made of an array, in one line."""
    if array is None:
        return "nothing"
    if "rows" not in array:
        return array["text"]
    if len(array["rows"]) == len(array["rows"][0]) == 1:
        return array["rows"][0][0]
    return "; ".join(" ".join(row) for row in array["rows"])


def _checked_step(step, number) -> dict:
    if not isinstance(step, dict) or set(step) != STEP_KEYS:
        raise ArgumentError(f"a step needs {', '.join(sorted(STEP_KEYS))}; got {step!r:.80}")
    inputs = []
    for given in step["inputs"]:
        if not isinstance(given, dict) or set(given) != INPUT_KEYS:
            raise ArgumentError(f"an input of a step needs {', '.join(sorted(INPUT_KEYS))}; got {given!r:.80}")
        inputs.append({
            "name": html.one_line(given["name"]), "box": _box(given["box"], number),
            "shape": str(tuple(given["shape"])),
            "gradient": shown(given["gradient"]), "summed": [int(axis) for axis in given["summed"]],
            "leaf": bool(given["leaf"]), "before": shown(given["before"]), "after": shown(given["after"]),
        })  # fmt: skip
    return {
        "box": _box(step["box"], number), "text": html.one_line(step["text"]),
        "formula": [html.one_line(line) for line in step["formula"].split("\n") if line.strip()],
        "where": html.one_line(step["where"]), "inputs": inputs,
        "outputs": [{"name": html.one_line(name), "gradient": shown(array)} for name, array in step["outputs"]],
    }  # fmt: skip


def _box(given, number) -> int:
    if str(given) not in number:
        raise ArgumentError(f"a step names the box {given!r}, which is not among the nodes")
    return number[str(given)]


def _note_changes(steps) -> dict[int, str]:
    """Give each step its "changes": box -> the line about its gradient that is right from then on.

    Only where the box stands for one array: a box of several ops, or an op with several outputs, has no one gradient.
    Returns the longest line of each box.
    """
    arrays: dict[int, set] = {}
    for step in steps:
        found = [(step["box"], o["name"], o["gradient"]) for o in step["outputs"]]
        found += [(i["box"], i["name"], i["after"]) for i in step["inputs"]]
        step["changes"] = {}
        for box, name, array in found:
            arrays.setdefault(box, set()).add(name)
            if array and "rows" in array and sum(map(len, array["rows"])) <= IN_BOX:
                numbers = (f"{float(text):.4g}" for row in array["rows"] for text in row)
                step["changes"][box] = f"grad {', '.join(numbers)}"
    longest: dict[int, str] = {}
    for step in steps:
        step["changes"] = {box: line for box, line in step["changes"].items() if len(arrays[box]) == 1}
        for box, line in step["changes"].items():
            longest[box] = max(longest.get(box, ""), line, key=len)
    return longest
