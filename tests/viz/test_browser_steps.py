"""AttentionSteps and NeuronView in a real browser: every number shown is the arrays', to the digits printed."""

import re

import numpy as np
import pytest

from minigpt.viz import AttentionSteps, NeuronView
from minigpt.viz.heat_figure import short

TOKENS = ["a", " b", "你", "\n", "<i>"]

# Every step; in it every cell of every array that the step makes, as it is read out, and the numbers in the cells.
EVERY_CELL = """
  const slider = all("input[type=range]")[0];
  out.steps = [];
  for (let s = 0; s <= slider.max; s++) {
    slider.value = s;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    const maps = all(".map").map((map) => {
      const [canvas] = all("canvas", map), now = [];
      for (let r = 0; r < canvas.height; r++) for (let c = 0; c < canvas.width; c++) {
        hover(map, (c + 0.5) / canvas.width, (r + 0.5) / canvas.height);
        now.push(shown(document));
      }
      return {now, cells: all("text", map).map((t) => t.textContent), size: [canvas.height, canvas.width]};
    });
    out.steps.push({name: all(".controls b")[0].textContent, spoken: slider.getAttribute("aria-valuetext"), maps});
  }
"""


def number(text):
    return float(text.replace("−", "-").replace("∞", "inf"))


def result(text):
    """The number at the end of a readout."""
    return number(re.split(r"[ =:]", text)[-1])


def assert_printed(shown, values):
    """Equal to four digits, as printed; sums that cancel to nothing may differ by their rounding."""
    for found, wanted in zip(shown, np.ravel(values), strict=True):
        if np.isfinite(wanted):
            assert found == pytest.approx(wanted, rel=5.01e-4, abs=1e-10)
        else:
            assert found == wanted


def check_every_cell(found, view):
    assert [step["name"] for step in found["steps"]] == [step.name for step in view.steps]
    for shown, step in zip(found["steps"], view.steps, strict=True):
        assert shown["spoken"] == f"step {step.name}"
        names = (*step.parts, *step.makes)
        for name, here in zip(names, shown["maps"], strict=True):
            values = getattr(view, name)
            assert tuple(here["size"]) == values.shape
            if here["cells"] and np.abs(values[np.isfinite(values)]).max(initial=0) > 1e-9:
                assert here["cells"] == [short(value) for value in values.ravel()], (step.name, name)
            if name in step.makes:
                assert_printed([result(text) for text in here["now"]], values)
    assert found["console"] == []


def make(Tq, Tk, D, C=None, scale=1.0, **settings):
    rng = np.random.default_rng(Tq + D)
    q, k, v = scale * rng.normal(size=(Tq, D)), rng.normal(size=(Tk, D)), rng.normal(size=(Tk, D))
    w_o = None if C is None else rng.normal(size=(D, C))
    return AttentionSteps(q, k, v, TOKENS[:Tq], keys=(TOKENS * 2)[:Tk], w_o=w_o, **settings)


DEAD = np.array([True, False, True, True, True])[:, None]  # a row that may look at nothing


@pytest.mark.parametrize(
    "view",
    [
        make(5, 5, 3, 4, causal=True),
        make(5, 5, 2, mask=DEAD, causal=True),
        make(1, 1, 1),
        make(2, 7, 1, 2),
        make(4, 4, 3, scale=1e4, causal=True),
    ],
    ids=["causal", "a dead row", "one number", "cross-attention", "large scores"],
)
def test_every_number_of_every_step_is_the_arrays(browse, view):
    check_every_cell(browse([view._repr_html_()], EVERY_CELL), view)


def test_sums_are_written_out_with_their_numbers(browse):
    view = make(4, 4, 3, 2, causal=True)
    probe = """
      const next = all("button").find((b) => b.ariaLabel === "next step");
      out.now = {};
      for (let k = 0; k < 8; k++) {
        next.click();
        const maps = all(".map"), last = maps[maps.length - 1], [canvas] = all("canvas", last);
        hover(last, 1.5 / canvas.width, 3.5 / canvas.height);
        out.now[all(".controls b")[0].textContent] = shown(document);
        out.marks = maps.map((m) => all(".mark", m)[0].style.cssText);
      }
      next.click();
      out.end = all(".controls b")[0].textContent;
      out.path = all(".soft").map((p) => p.textContent).find((t) => t.startsWith("query 3"));
      out.formula = all("[role=img]").filter((p) => p.ariaLabel.startsWith("softmax")).map((p) => p.textContent)[0];
    """
    found = browse([view._repr_html_()], probe)

    def written_sum(text):
        """What the terms of a sum come to."""
        terms = re.findall(r"\(?(−?[\d.e]+)\)? · \(?(−?[\d.e]+)\)?", text)
        return sum(number(a) * number(b) for a, b in terms), len(terms)

    now = found["now"]
    assert now["QKᵀ"].startswith("query 3 ↵ → key 1 ␣b: row 3 of Q times row 1 of K:")
    for step, terms, value in (
        ("QKᵀ", 3, view.products[3, 1]),
        ("· V", 4, view.output[3, 1]),
        ("· W_O", 3, view.projected[3, 1]),
    ):
        total, n = written_sum(now[step])
        assert n == terms
        assert total == pytest.approx(value, abs=3e-3)
        assert result(now[step]) == pytest.approx(value, rel=1e-3)
    assert "÷ √3 = " in now["÷ √d"]
    assert "may be seen, stays" in now["mask"]
    assert "the largest of row 3 is" in now["− row maximum"]
    assert "exp(" in now["exp"]
    sums = re.search(r"is ([^=]+) = ", now["÷ row sum"]).group(1).split(" + ")
    assert sum(map(number, sums)) == pytest.approx(view.sums[3, 0], abs=1e-3)
    assert len(sums) == 4
    assert found["end"] == "· W_O"  # there is none after the last
    assert found["path"].count("→") == 6
    assert found["formula"] == "exp( Q Kᵀ / √d + mask − max ) / row sum · V · W_O"
    assert found["marks"][0].startswith("top: 66px; left: 0px; height: 22px")
    assert found["console"] == []


def test_of_many_terms_the_first_and_the_rest(browse):
    view = make(5, 5, 64, causal=True)
    probe = """
      all("button")[1].click();
      hover(all(".map")[2], 0.1, 0.9);
      out.now = shown(document);
      out.cells = all("text", all(".map")[0]).length;
    """
    found = browse([view._repr_html_()], probe)
    assert found["now"].count(" · ") == 10
    rest = number(re.search(r"\(54 more: (−?[\d.]+)\)", found["now"]).group(1))
    assert rest == pytest.approx(view.q[4, 10:] @ view.k[0, 10:], rel=1e-3)
    assert found["cells"] == 0  # 5 × 64 numbers have no room in the cells


def test_steps_by_keyboard_alone(browse):
    probe = """
      const slider = all("input[type=range]")[0], name = () => all(".controls b")[0].textContent;
      focus(slider);
      press(slider, "ArrowRight"); press(slider, "ArrowRight");
      out.second = name();
      press(slider, "End"); out.end = name();
      press(slider, "ArrowRight"); out.still = name();
      press(slider, "Home"); press(slider, "ArrowLeft"); out.first = name();
      press(slider, "ArrowRight");
      const map = all("[role=application]")[2];
      focus(map);
      press(map, "Home"); press(map, "ArrowUp"); press(map, "ArrowRight");
      out.now = shown(document);
      out.reachable = all("[role=application], input, button").every((e) => e.tabIndex >= 0 && e.ariaLabel);
      out.alive = document.contains(slider);
    """
    found = browse([make(5, 5, 3, causal=True)._repr_html_()], probe)
    assert found["second"] == "÷ √d"
    assert found["end"] == found["still"] == "· V"
    assert found["first"] == "tokens → q, k, v"
    assert found["now"].startswith("query 3 ↵ → key 1 ␣b")
    assert found["reachable"] is True
    assert found["alive"] is True
    assert found["console"] == []


def test_sixty_four_tokens_stay_responsive(browse):
    """Few elements, and no more of them after all steps; the clock has room for slow machines."""
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 64, 64)).astype(np.float32)
    view = AttentionSteps(q, k, v, [f" w{n}" for n in range(64)], causal=True, w_o=rng.normal(size=(64, 256)))
    probe = """
      const slider = all("input[type=range]")[0], nodes = () => document.getElementsByTagName("*").length;
      out.nodes = []; out.milliseconds = 0;
      for (const s of [...Array(9).keys(), ...Array(9).keys()]) {
        const from = performance.now();
        slider.value = s;
        slider.dispatchEvent(new Event("input", {bubbles: true}));
        for (let n = 0; n < 10; n++) hover(all(".map")[0], 0.3, n / 10);
        out.milliseconds = Math.max(out.milliseconds, performance.now() - from);
        out.nodes.push(nodes());
      }
    """
    found = browse([view._repr_html_()], probe)
    assert max(found["nodes"]) < 3000
    assert found["nodes"][:9] == found["nodes"][9:]
    assert found["milliseconds"] < 5000
    assert found["console"] == []


@pytest.mark.parametrize(("T", "D"), [(5, 8), (3, 1), (5, 64)])
def test_neurons_of_every_pair_and_channel(browse, T, D):
    q, k = np.random.default_rng(D).normal(size=(2, T, D))
    view = NeuronView(q, k, TOKENS[:T], causal=True)
    probe = (
        """
      const map = all(".map")[0], plot = all("svg[role=application]")[0];
      out.pairs = [];
      for (let r = 0; r < T; r++) for (let c = 0; c < T; c++) {
        hover(map, (c + 0.5) / T, (r + 0.5) / T);
        const score = shown(document), channels = [];
        focus(plot);
        press(plot, "Home");
        for (let d = 0; d < D; d++) { channels.push(shown(document)); press(plot, "ArrowRight"); }
        press(plot, "Escape");
        const bars = all("rect", plot).map((b) => [b.dataset.bar, Number(b.getAttribute("height"))]);
        out.pairs.push({score, channels, bars});
      }
      out.written = all("text", map).map((t) => t.textContent);
    """.replace("T;", f"{T};")
        .replace("/ T", f"/ {T}")
        .replace("D;", f"{D};")
    )
    found = browse([view._repr_html_()], probe)
    for (i, j), pair in zip(np.ndindex(T, T), found["pairs"], strict=True):
        products = q[i] * k[j] / np.sqrt(D)
        running = np.cumsum(products)
        score = re.search(r"score (−?[\d.e−]+?)most", pair["score"]).group(1)
        assert number(score) == pytest.approx(running[-1], rel=5.01e-4)
        assert ("masked" in pair["score"]) == (j > i)
        pattern = r"\(?(−?[\d.e−]+)\)? · \(?(−?[\d.e−]+)\)? ÷ √\d+ = (\S+); running sum (\S+) of"
        read = [re.search(pattern, text).groups() for text in pair["channels"]]
        for n, wanted in enumerate((q[i], k[j], products, running)):
            assert_printed([number(numbers[n]) for numbers in read], wanted)
        for name, wanted in (("q", q[i]), ("k", k[j]), ("products", products), ("running", running)):
            heights = np.array([height for bar, height in pair["bars"] if bar.split()[0] == name])
            np.testing.assert_allclose(heights / heights.max(), np.abs(wanted) / np.abs(wanted).max(), rtol=1e-6)
    assert found["written"] == [short(x) if np.isfinite(x) else "" for x in view.map().values.ravel()]
    assert found["console"] == []


def test_a_click_holds_a_pair(browse):
    q, k = np.random.default_rng(0).normal(size=(2, 3, 4))
    probe = """
      const map = all(".map")[0];
      const over = (r, c) => hover(map, (c + 0.5) / 3, (r + 0.5) / 3);
      const click = () => map.dispatchEvent(new MouseEvent("click", {bubbles: true}));
      over(1, 2); click(); over(0, 0);
      out.held = shown(document);
      click(); out.other = shown(document);
      over(2, 2); out.still = shown(document);
      over(0, 0); click(); over(2, 1);
      out.free = shown(document);
    """
    found = browse([NeuronView(q, k, "abc")._repr_html_()], probe)
    assert found["held"].startswith("query 1 b, key 2 c")
    assert found["other"].startswith("query 0 a, key 0 a")
    assert found["still"].startswith("query 0 a, key 0 a")
    assert found["free"].startswith("query 2 c, key 1 b")
    assert found["console"] == []
