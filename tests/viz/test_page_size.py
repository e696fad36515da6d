"""Pages stay small, large ones stay responsive, and twelve views in one notebook leave each other alone."""

import numpy as np
import pytest

from minigpt import viz
from minigpt.viz import gallery

L, H, T, D = 4, 4, 32, 16
TOKENS = [f" word{k}" for k in range(T)]

MULTI_HEAD = {
    "AttentionGrid": lambda w: viz.AttentionGrid(w, TOKENS),
    "HeadView": lambda w: viz.HeadView(w, TOKENS),
    "CrossAttention": lambda w: viz.CrossAttention(w, TOKENS, TOKENS),
    "AttentionRollout": lambda w: viz.AttentionRollout(w, w.mean(axis=(0, 1)), TOKENS),
    "HeadScores": lambda w: viz.HeadScores({"induction": w.max(axis=(2, 3)), "previous": w[..., 1, 0]}),
    "AblationEffect": lambda w: viz.AblationEffect(w[..., 1, 0], w[:, 0, 1, 0]),
}


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "both ways"])
@pytest.mark.parametrize("name", MULTI_HEAD)
def test_four_layers_of_four_heads_and_32_tokens_fit_in_100_kilobytes(tmp_path, attention, name, causal):
    view = MULTI_HEAD[name](attention(L, H, T, causal=causal))
    assert view.save(tmp_path / "page.html").stat().st_size < 100_000


def test_one_head_of_32_tokens_too(tmp_path):
    q, k, v = np.random.default_rng(0).normal(size=(3, T, D)).astype(np.float32)
    assert viz.AttentionSteps(q, k, v, TOKENS, causal=True).save(tmp_path / "steps.html").stat().st_size < 100_000
    assert viz.NeuronView(q, k, TOKENS, causal=True).save(tmp_path / "neuron.html").stat().st_size < 100_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["AttentionGrid", "HeadView"])
def test_sixteen_layers_of_sixteen_heads_and_128_tokens(browse, attention, name):
    """Elements are as many as heads and tokens, not as weights; looking around adds none."""
    view = getattr(viz, name)(attention(16, 16, 128), [f" w{k}" for k in range(128)])
    probe = """
      const nodes = () => document.getElementsByTagName("*").length;
      out.ready = views[0].dataset.ready;
      const pixels = (c) => c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      out.painted = all("canvas").slice(0, 20).every((c) => c.width > 1 && pixels(c).some((x) => x));
      out.nodes = [nodes()];
      const from = performance.now();
      const places = all(".head .map").length ? all(".head .map").slice(0, 40) : all("[role=application]");
      for (const place of places) for (const y of [0.1, 0.5, 0.9]) hover(place, 0.4, y);
      const toggles = all(".head").length ? all(".head").slice(100, 103) : all("button[aria-pressed]").slice(0, 3);
      for (const toggle of toggles) toggle.click();
      out.milliseconds = (performance.now() - from) / (3 * places.length + 3);
      out.now = shown(document);
      out.nodes.push(nodes());
    """
    found = browse([view._repr_html_()], probe)
    assert found["ready"] == "1"
    assert found["painted"] is True
    assert found["nodes"][0] < 3000
    assert abs(found["nodes"][1] - found["nodes"][0]) < 300  # readouts and marks
    assert found["milliseconds"] < 500
    assert found["now"]
    assert found["console"] == []


def test_twelve_kinds_of_views_in_one_notebook(browse, read_html):
    """As a notebook is converted to a page: outputs one after the other, each with all that it needs."""
    live = [view for view in (make() for make in gallery.examples().values()) if view.script]
    kinds = live[:12]
    assert len({type(view) for view in kinds}) == 12
    cells = [
        f'<div class="jp-Cell"><div class="jp-OutputArea-output">{view._repr_html_()}</div></div>' for view in kinds
    ]
    assert not [attributes for _, attributes in read_html("".join(cells)).elements if "id" in attributes]
    probe = """
      out.ready = views.map((view) => view.dataset.ready);
      out.globals = Object.keys(window).filter((key) => ["draw", "heatMap", "el", "start"].includes(key));
      out.images = all("img").length;
      const reading = () => views.map((view) => (all(".now", view)[0] || view).textContent);
      out.changed = views.map((view, k) => {
        const before = reading(), target = all(".map, [role=application], svg[tabindex], .tokens", view)[0];
        if (!target) return null;
        for (const [x, y] of [[0.2, 0.9], [0.8, 0.95]]) hover(target, x, y);
        target.closest("[tabindex]") && press(target.closest("[tabindex]"), "End");
        return reading().map((text, n) => text === before[n] ? -1 : n).filter((n) => n >= 0);
      });
    """
    found = browse(cells, probe)
    assert found["ready"] == ["1"] * 12
    assert found["images"] == 0
    assert found["globals"] == []
    for k, changed in enumerate(found["changed"]):
        assert changed in (None, [], [k])  # never another view
    assert sum(changed == [k] for k, changed in enumerate(found["changed"])) >= 9
    assert found["console"] == []
