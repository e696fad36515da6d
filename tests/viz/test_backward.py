"""BackwardSteps: what it keeps, draws, refuses, and shows in a browser."""

import numpy as np
import pytest

from minigpt.errors import ArgumentError
from minigpt.viz import BackwardSteps
from minigpt.viz.backward import flat, shown
from minigpt.viz.gallery.insides import backward_steps

G = np.array([[0.125, -2.5], [1e-9, np.nan]])
LARGE = np.arange(300.0).reshape(3, 100)


def handed(name="x", **changes):
    one = {"name": name, "box": "x", "shape": (2,), "gradient": np.ones(2), "summed": (0,), "leaf": True,
           "before": None, "after": np.ones(2)}  # fmt: skip
    return one | changes


def step(**changes):
    one = {"box": "y", "text": "%1 = Neg(x)", "formula": "y = -x\n\ndx = -dy", "where": "in h.0, at a.py:1: </script>",
           "outputs": [("%1", G)], "inputs": [handed()]}  # fmt: skip
    return one | changes


NODES = [{"id": "x", "label": "x", "kind": "parameter"}, {"id": "y", "label": "Neg", "kind": "output"}]
EDGES = [("x", "y")]


def test_small_arrays_whole_and_large_ones_in_a_line():
    assert shown(G) == {"text": "(2, 2) float64", "rows": [["0.125", "-2.5"], ["1e-09", "nan"]]}
    assert shown(np.float32(3))["rows"] == [["3"]]
    assert shown(np.zeros((2, 2, 3)))["rows"] == [["0"] * 3] * 4
    assert shown(LARGE) == {"text": "(3, 100) float64 in [0, 299], mean 149.5 ± 86.6"}
    assert "rows" not in shown(np.zeros((1, 17)))
    assert shown(np.zeros((0, 3))) == {"text": "(0, 3), no elements"}
    assert (flat(shown(G)), flat(None), flat(shown(LARGE))) == (
        "0.125 -2.5; 1e-09 nan",
        "nothing",
        "(3, 100) float64 in [0, 299], mean 149.5 ± 86.6",
    )


def test_view_and_figure():
    inputs = [handed(), handed(before=np.ones(2), after=np.array([2.0, 123.456])), handed("c", gradient=None)]
    view = BackwardSteps((s for s in [step(inputs=inputs)]), NODES, EDGES, title="T")
    assert view.steps[0]["formula"] == ["y = -x", "dx = -dy"]
    assert view.steps[0]["changes"] == {1: "grad 0.125, -2.5, 1e-09, nan"}  # x: two names, no one gradient
    assert repr(view) == "BackwardSteps(1 steps, 2 boxes)"
    assert "1 steps, the first is %1 = Neg(x). At the end x.grad is 2 123.46" in view.alt()
    texts = [text.get_text() for text in view.fig().axes[0].texts]
    assert "1  %1 = Neg(x)" in texts
    assert "     out  ∂/∂x: 1 1  (summed over 0)" in texts
    assert "          x.grad = 2 123.46" in texts
    assert "grad 0.125, -2.5, 1e-09, nan" in texts


def test_boxes_have_room_for_the_longest_line_and_the_figure_shows_the_last():
    steps = [
        step(inputs=[handed(after=np.array([0.123456]))]),
        step(inputs=[handed(before=np.ones(1), after=np.array([2.0]))]),
    ]
    view = BackwardSteps(steps, NODES, EDGES)
    assert view.graph.nodes[0]["lines"] == ["grad 0.1235"]
    texts = [text.get_text() for text in view.fig().axes[0].texts]
    assert "grad 2" in texts
    assert "grad 0.1235" not in texts


def test_a_figure_of_many_steps_ends_in_a_count():
    texts = [text.get_text() for text in BackwardSteps([step()] * 100, NODES, EDGES).fig().axes[0].texts]
    assert texts[-1] == "… and 85 more steps"
    assert "1–100" in texts


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "at least one step"),
        ([{"box": "y"}], "a step needs box, formula, inputs, outputs, text, where; got"),
        ([step(inputs=[{"name": "x"}])], "an input of a step needs after, before"),
        ([step(box="z")], "names the box 'z', which is not among the nodes"),
        ([step(inputs=[handed(box="z")])], "names the box 'z'"),
        ([step(outputs=[("y", np.array(["a"]))])], "array of numbers, got dtype"),
        ((step() for _ in range(1001)), "more than 1000 steps"),
    ],
)
def test_refused(steps, message):
    with pytest.raises(ArgumentError, match=message):
        BackwardSteps(steps, NODES, EDGES)


def test_keys_slider_buttons_and_every_number(browse):
    """At each step the tables are the arrays, and the boxes say what is done."""
    view = backward_steps()
    probe = """
      const rows = () => all(".gradient").map((row) => [row.dataset.name, all("table", row).map((table) =>
        all("tr", table).map((line) => all("td", line).map((cell) => cell.textContent)))]);
      const states = () => all("svg > g[data-state]").map((box) => box.dataset.state);
      const graph = all("svg")[0], slider = all("input[type=range]")[0], [back, next] = all("button");
      out.steps = [];
      const last = () => all("svg g text:last-child").map((line) => line.textContent);
      const note = () => out.steps.push([shown(views[0]), rows(), states(), last()]);
      note(); press(graph, "ArrowRight"); note(); next.click(); note(); press(slider, "End"); note();
      out.nexts = [back.disabled, next.disabled];
      press(graph, "ArrowLeft"); out.left = shown(views[0]);
      press(graph, "Home"); out.home = shown(views[0]); out.ends = [back.disabled, next.disabled];
      press(graph, "ArrowLeft"); out.stays = shown(views[0]);
      slider.value = 2; slider.dispatchEvent(new Event("input")); out.slid = shown(views[0]);
      all("svg > g[data-state]")[2].dispatchEvent(new MouseEvent("click")); out.clicked = shown(views[0]);
      out.labelled = all("button, input, svg[role]").every((e) => e.ariaLabel);
    """
    found = browse([view._repr_html_()], probe)
    for k, (now, rows, states, _) in enumerate(found["steps"]):
        step = view.steps[k]
        assert now == f"step {k + 1} of 4: {step['text']}"
        wanted = [(f"∂loss/∂{o['name']}", [o["gradient"]["rows"]]) for o in step["outputs"]]
        for i in step["inputs"]:
            wanted.append((f"∂loss/∂{i['name']}", [i["gradient"]["rows"]]))
            if i["leaf"] or i["before"]:
                before = [i["before"]["rows"]] if i["before"] else []
                wanted.append((f"{i['name']}.grad", [*before, i["after"]["rows"]]))
        assert [(name, tables) for name, tables in rows] == wanted
        assert states[step["box"]] == "now"
        assert states.count("now") == 1
    assert found["steps"][3][2] == ["given", "given", "now", "done", "done", "done"]
    assert found["steps"][0][3] == ["", "", "", "", "grad 1, 1", "grad 1"]
    assert found["steps"][3][3][:2] == ["grad 0.21, 0.3932", "grad 2.054"]
    assert found["nexts"] == [False, True]
    assert found["left"].startswith("step 3 of 4")
    assert found["home"] == found["stays"] == "step 1 of 4: %4 = Sum(%3)"
    assert found["ends"] == [True, False]
    assert found["slid"].startswith("step 3 of 4")
    assert found["clicked"] == "step 4 of 4: %1 = Mul(x, w)"
    assert found["labelled"]
    assert found["console"] == []


def test_twelve_on_a_page_each_on_its_own(browse):
    """Text that looks like markup stays text, NaN and large arrays show."""
    own = BackwardSteps([step(), step(outputs=[("%1", LARGE)], inputs=[handed(gradient=None)])], NODES, EDGES)
    probe = """
      out.ready = views.map((view) => view.dataset.ready);
      press(all("svg", views[0])[0], "ArrowRight");
      press(all("svg", views[1])[0], "ArrowRight");
      out.now = views.map(shown);
      out.text = [0, 2].map((k) => all(".gradient", views[k]).map((row) => row.textContent));
    """
    found = browse([own.to_html()] * 2 + [own.to_html()] + [backward_steps().to_html()] * 9, probe)
    assert found["ready"] == ["1"] * 12
    assert found["now"][0] == "step 2 of 2: %1 = Neg(x) in h.0, at a.py:1: </script>"
    assert (
        found["now"][2:]
        == ["step 1 of 2: %1 = Neg(x) in h.0, at a.py:1: </script>"] + ["step 1 of 4: %4 = Sum(%3)"] * 9
    )
    assert found["text"][0] == [
        "↓ in∂loss/∂%1(3, 100) float64 in [0, 299], mean 149.5 ± 86.6", "↑ outx (2,)wants no gradient",
    ]  # fmt: skip
    assert "1e-09nan" in found["text"][1][0]
    assert found["console"] == []
