"""Maps in a real browser: the numbers read out are the arrays', sliders and keys move."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import viz

RNG = np.random.default_rng(5)

# every cell of the first map of a view, row by row, as it is read out
READ_OUT = """
  out.now = [];
  const map = all(".map")[0];
  for (let r = 0; r < ROWS; r++) for (let c = 0; c < COLUMNS; c++) {
    hover(map, (c + 0.5) / COLUMNS, (r + 0.5) / ROWS);
    out.now.push(shown(document));
  }
"""


@pytest.mark.parametrize(
    ("view", "array"),
    [
        ((v := viz.PatchingGrid(RNG.normal(size=(3, 4)), ["a", " b", "你", "<b>"])), v.values),
        ((v := viz.AblationEffect(RNG.normal(size=(2, 5)))), v.heads),
        ((v := viz.PositionCosine(RNG.normal(size=(6, 3)))), v.cosine),
        ((v := viz.LayerHistograms([RNG.normal(size=40)] * 2, bins=5)), v.shares),
        ((v := viz.HeadScores({"induction": RNG.random((2, 3))})), v.scores["induction"][0]),
        (
            (v := viz.HeatMaps({"states": RNG.normal(size=(4, 3))}, columns=["x", " y", "\n"], tokens=True)),
            v.values["states"],
        ),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, viz.View) else "",
)
def test_every_number_read_out_is_the_arrays(browse, view, array):
    rows, columns = array.shape
    found = browse([view._repr_html_()], READ_OUT.replace("ROWS", str(rows)).replace("COLUMNS", str(columns)))
    read = [float(text.replace("−", "-").rstrip("%").split()[-1]) for text in found["now"]]
    np.testing.assert_allclose(np.reshape(read, array.shape), array, rtol=2e-3, atol=1e-6)
    assert found["console"] == []


def test_a_head_through_training_is_scrubbed(browse):
    frames = RNG.dirichlet(np.ones(3), (4, 3))  # (S, T, T)
    view = viz.HeadTraining(frames, [0, 10, 20, 30], ["x", "y", "z"], loss={"steps": [0, 30], "losses": [2.5, 1.25]})
    probe = """
      const slider = all("input[type=range]")[0];
      out.now = [];
      for (const k of [0, 1, 2, 3]) {
        slider.value = k;
        slider.dispatchEvent(new Event("input", {bubbles: true}));
        hover(all(".map")[0], 0.5 / 3, 2.5 / 3);
        out.now.push(shown(document));
      }
    """
    found = browse([view._repr_html_()], probe)
    for k, text in enumerate(found["now"]):
        assert text.startswith(f"step {10 * k}")
        assert "query 2 z → key 0 x" in text
        assert float(text.split()[-1]) == pytest.approx(frames[k, 2, 0], rel=1e-3)
    assert "loss 2.500" in found["now"][0]
    assert "loss 1.250" in found["now"][3]
    assert found["console"] == []


CAUSAL = np.tri(5) * RNG.uniform(0.5, 1, (3, 5, 5))
CAUSAL /= CAUSAL.sum(axis=-1, keepdims=True)


def test_a_causal_head_through_training_has_its_numbers_where_they_belong(browse):
    """The page has the lower triangles only; a later key is masked."""
    view = viz.HeadTraining(CAUSAL, [1, 2, 3], "abcde")
    found = browse([view._repr_html_()], READ_OUT.replace("ROWS", "5").replace("COLUMNS", "5"))
    read = [text.split()[-1] for text in found["now"]]
    assert [word == "masked" for word in read] == (np.tri(5) == 0).ravel().tolist()
    numbers = [0 if word == "masked" else float(word) for word in read]
    np.testing.assert_allclose(np.reshape(numbers, (5, 5)), CAUSAL[-1], rtol=1e-3)
    assert found["console"] == []


def test_rollout_of_a_causal_model_has_its_numbers_where_they_belong(browse):
    """The query chosen is unrolled into a row for each layer and one for the rollout."""
    view = viz.AttentionRollout(CAUSAL[:2], CAUSAL[2], "abcde")
    probe = """
      out.rows = [];
      for (let q = 0; q < 5; q++) {
        all(".text span")[q].dispatchEvent(new PointerEvent("pointerenter"));
        for (let r = 0; r < 3; r++) for (let k = 0; k < 5; k++) {
          hover(all(".big .map")[0], (k + 0.5) / 5, (r + 0.5) / 3);
          out.rows.push(all(".now b")[2].textContent);
        }
      }
    """
    found = browse([view._repr_html_()], probe)
    read = [[0 if text.endswith("masked") else float(text.split()[-1])] for text in found["rows"]]
    want = np.stack([view.raw[0], view.raw[1], view.rollout], axis=1)  # (query, layer, key)
    np.testing.assert_allclose(np.reshape(read, want.shape), want, rtol=1e-3)
    assert found["console"] == []


def test_statistics_of_every_layer_are_read_out(browse):
    values = {
        "<b>good": {"activation": [1.0, 1.5, 2.25], "gradient": [0.0002, 3e-7]},
        "flat": {"activation": [1.0, 0.0, 1e-3], "gradient": [0.0, 0.0]},
    }
    view = viz.LayerStatistics(values, units={"gradient": "nats per unit"})
    probe = """
      const plots = all("svg[role=application]");
      focus(plots[0]);
      out.read = [shown(document)];
      press(plots[0], "ArrowRight"); out.read.push(shown(document));
      press(plots[1], "ArrowRight"); out.read.push(shown(document));
      press(plots[1], "ArrowRight"); out.stays = shown(document);
      hover(plots[1], 0.0, 0.5);
      out.hovered = shown(document);
      out.marks = plots.map((plot) => all("path[d^='M-']", plot).length);
      out.text = all(".mg-view *").map((node) => node.childElementCount ? "" : node.textContent);
    """
    found = browse([view._repr_html_()], probe)
    assert found["read"] == [
        "layer 0<b>good: activation 1 · gradient –flat: activation 1 · gradient –",
        "layer 1<b>good: activation 1.5 · gradient 0.0002 nats per unitflat: activation 0 · gradient 0 nats per unit",
        "layer 2<b>good: activation 2.25 · gradient 3e−7 nats per unitflat: activation 0.001 · gradient 0 nats per "
        "unit",
    ]
    assert found["stays"] == found["read"][2]
    assert found["hovered"] == found["read"][0]
    assert found["marks"] == [5, 2]  # zeros have no place on a logarithmic axis
    assert "0 in all layers: flat" in found["text"]
    assert "gradient, nats per unit" in found["text"]
    assert found["console"] == []


def test_a_graph_tells_what_a_box_is_made_of(browse):
    x = mg.Tensor(np.array([2.0, 3.0]), requires_grad=True, name="x")
    view = mg.debug.graph((x * x).sum())
    probe = """
      const plot = all("svg[role=application]")[0];
      focus(plot);
      out.last = shown(document);
      press(plot, "ArrowUp");
      out.middle = shown(document);
      out.boxes = all("rect", plot).length;
      out.titles = all("title", plot).map((t) => t.textContent);
    """
    found = browse([view._repr_html_()], probe)
    assert found["last"].startswith("Sum 13") or "13" in found["last"]
    assert "made of x" in found["middle"]
    assert "goes into Sum" in found["middle"]
    assert found["boxes"] == 3
    assert any("4, 9" in title for title in found["titles"])
    assert found["console"] == []


def test_twelve_views_in_one_notebook(browse):
    score = viz.HeadScores({"induction": RNG.random((2, 3))})
    views = [viz.PatchingGrid(RNG.normal(size=(2, 3)), list("abc"), title=f"number {k}") for k in range(10)]
    found = browse(
        [v._repr_html_() for v in [score, *views, score]], "out.ready = views.map((view) => view.dataset.ready);"
    )
    assert found["ready"] == ["1"] * 12
    assert found["console"] == []
