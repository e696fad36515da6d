"""ComputationGraph and its layout: ranks, order, places; any graph without cycles can be laid out."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt.errors import ArgumentError
from minigpt.viz import ComputationGraph
from minigpt.viz.graph import box_size
from minigpt.viz.graph_layout import crossings, layout, longest_paths, ordered, pushed_apart

DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


def test_ranks_are_longest_paths_and_sources_stand_beside_their_users():
    edges = [*DIAMOND, ("d", "e"), ("a", "e"), ("x", "e")]
    assert longest_paths("abcdex", edges) == {"a": 0, "b": 1, "c": 1, "d": 2, "e": 3, "x": 2}


def test_a_cycle_is_named():
    with pytest.raises(ArgumentError, match="cycle through b, c"):
        longest_paths("abc", [("a", "b"), ("b", "c"), ("c", "b")])


def test_crossings_are_counted_and_undone():
    below = {"a": ["y"], "b": ["x"], "x": [], "y": []}
    above = {"a": [], "b": [], "x": ["b"], "y": ["a"]}
    rows = [["a", "b"], ["x", "y"]]
    assert crossings(rows, below) == 1
    assert crossings(ordered(rows, above, below), below) == 0


def test_pushed_apart_moves_as_little_as_it_can():
    assert pushed_apart([0, 100], [10, 10], [1, 1], 5) == [0, 100]
    assert pushed_apart([0, 0], [10, 10], [1, 1], 5) == [-7.5, 7.5]
    assert pushed_apart([0, 0], [10, 10], [3, 1], 4) == [-3.5, 10.5]  # the heavier one moves less
    assert pushed_apart([], [], [], 5) == []


@st.composite
def graphs(draw):
    """Nodes 0 … n − 1 of various sizes, edges from lower to higher numbers."""
    n = draw(st.integers(1, 14))
    pairs = [(a, b) for b in range(n) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30)) if pairs else []
    widths = draw(st.lists(st.integers(10, 200), min_size=n, max_size=n))
    return {k: (width, 20 + width % 7) for k, width in enumerate(widths)}, edges


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_boxes_never_overlap_and_edges_run_down(graph):
    sizes, edges = graph
    plan = layout(sizes, edges)
    for a in sizes:
        (x, y), (w, h) = plan.boxes[a], sizes[a]
        assert w / 2 - 1e-6 <= x <= plan.width - w / 2 + 1e-6
        assert h / 2 - 1e-6 <= y <= plan.height - h / 2 + 1e-6
        for b in range(a):
            (u, v), (ww, hh) = plan.boxes[b], sizes[b]
            assert abs(x - u) >= (w + ww) / 2 - 1e-6 or abs(y - v) >= (h + hh) / 2 - 1e-6
    for (a, b), points in plan.routes.items():
        assert points[0] == (plan.boxes[a][0], plan.boxes[a][1] + sizes[a][1] / 2)
        assert points[-1] == (plan.boxes[b][0], plan.boxes[b][1] - sizes[b][1] / 2)
        assert all(upper[1] < lower[1] for upper, lower in pairwise(points))


def test_a_chain_with_leaves_at_its_side_stays_straight():
    """Leaves do not drag the chain along with them, rank after rank."""
    sizes = {k: (60.0, 30.0) for k in range(20)} | {f"w{k}": (120.0, 30.0) for k in range(1, 20)}
    edges = [(f"w{k}", k) for k in range(1, 20)] + [(k - 1, k) for k in range(1, 20)]
    plan = layout(sizes, edges)
    assert plan.width < 500


NODES = [{"id": "a", "label": "a", "kind": "leaf"}, {"id": "b", "label": "Tanh", "lines": ["4 × 2"], "about": "y"}]


def test_view_and_figure():
    view = ComputationGraph(NODES, [("a", "b"), ("a", "b")], title="T")
    assert view.edges == [("a", "b")]
    assert view.alt() == "T. 2 boxes, 1 arrows; inputs above, the result below. Inputs: a. Result: Tanh."
    fig = view.fig()
    assert [text.get_text() for text in fig.axes[0].texts] == ["a", "Tanh", "4 × 2"]
    assert box_size({"label": "中中中中中中", "lines": []})[0] > box_size({"label": "xxxxxx", "lines": []})[0]
    long = ComputationGraph([{"id": "a", "label": "x" * 200}], [])
    assert len(long.nodes[0]["label"]) == 40


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ([], [], "at least one node"),
        ([*NODES, NODES[0]], [], r"every id once; repeated: \['a'\]"),
        (NODES, [("a", "z")], "not there: z"),
        (NODES, [("a", "b"), ("b", "a")], "cycle"),
        ([{"id": "a"}], [], "a node needs"),
        ([{"id": "a", "label": "a", "kind": "circle"}], [], "kind of node 'a'"),
        ([{"id": "a", "label": "a", "lines": "x"}], [], "list of strings"),
        ([{"id": str(k), "label": "x"} for k in range(151)], [], "151 boxes cannot be read, at most 150"),
    ],
)
def test_refused(nodes, edges, message):
    with pytest.raises(ArgumentError, match=message):
        ComputationGraph(nodes, edges)
