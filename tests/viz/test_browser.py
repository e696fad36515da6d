"""Pages in a real browser, opened from disk: the scripts run, the numbers shown are the arrays' numbers."""

import numpy as np
import pytest

from minigpt.viz import AttentionGrid, KernelThreads, LossCurve
from minigpt.viz.figure import colour_table
from minigpt.viz.threads_figure import thread_colours


def test_the_console_is_watched(browse):
    """Otherwise "no error on the console" would mean nothing."""
    found = browse([], "undefined_name();")
    assert "undefined_name is not defined" in found["console"][0]


def test_many_views_on_one_page(browse, attention):
    """Two kinds, the same view twice, tokens that try to break out: all run, each on its own."""
    grid = AttentionGrid(attention(1, 2, 4), ["</script>", "<b>", "你好", "\x00"])._repr_html_()
    other = AttentionGrid(attention(2, 1, 3, causal=False), "abc", title="<i>")._repr_html_()
    curve = LossCurve({"a": {"train": {"steps": [1, 2], "losses": [2.0, 1.5]}}})._repr_html_()
    probe = """
      out.ready = views.map((view) => view.dataset.ready);
      out.heads = views.map((view) => all(".head", view).length);
      out.images = all("img").length;
      out.markup = all("b b, i").length;
      all(".head", views[1])[1].click();
      const large = (view) => all("[aria-pressed=true]", view)[0].ariaLabel.slice(0, 15);
      out.pressed = views.slice(0, 2).map(large);
    """
    found = browse([grid, grid, other, curve], probe)
    assert found["ready"] == ["1"] * 4
    assert found["heads"] == [2, 2, 2, 0]
    assert found["images"] == 0  # every picture gave way to a live view
    assert found["markup"] == 0
    assert found["pressed"] == ["layer 0, head 0", "layer 0, head 1"]  # the twin did not follow
    assert found["console"] == []


@pytest.mark.parametrize("causal", [True, False])
def test_every_number_shown_is_the_arrays(browse, attention, causal):
    weights = attention(2, 3, 6, causal=causal)
    probe = """
      const head = all(".head")[4];
      out.small = []; out.large = [];
      const cells = (target, into) => {
        for (let i = 0; i < 6; i++) for (let j = 0; j < 6; j++) {
          hover(target, (j + 0.5) / 6, (i + 0.5) / 6);
          into.push(shown(document));
        }
      };
      cells(all(".map", head)[0], out.small);
      head.click();
      cells(all(".big .map")[0], out.large);
      out.marked = all(".on").map((label) => label.lastChild.data);
      out.entropy = all(".head").map((b) => b.lastChild.data);
      out.pixels = [...all(".big canvas")[0].getContext("2d").getImageData(0, 0, 6, 6).data];
    """
    view = AttentionGrid(weights, ["a", " b", "你", "d", "\n", "f"])
    found = browse([view._repr_html_()], probe)
    tokens = ["a", "␣b", "你", "d", "↵", "f"]
    for (query, key), line in zip(np.ndindex(6, 6), found["small"], strict=True):
        where, value = line.rsplit(": ", 1)
        assert where == f"layer 1, head 1: query {query} {tokens[query]} → key {key} {tokens[key]}"
        if causal and key > query:
            assert value == "masked, a later token"
        else:
            assert float(value) == pytest.approx(weights[1, 1, query, key], abs=0.5 / 255 + 0.005)
    assert found["large"] == found["small"]
    assert found["marked"] == ["f", "f"]  # key label and query label of the last cell
    assert found["entropy"] == [f"{value:.2f} nats" for value in view.entropy.ravel()]
    colours = colour_table()[np.rint(weights[1, 1] * 255).astype(int)]  # (6, 6, 3)
    painted = np.array(found["pixels"]).reshape(6, 6, 4)
    shown = np.tri(6, dtype=bool) if causal else np.ones((6, 6), dtype=bool)
    np.testing.assert_array_equal(painted[shown][:, :3], colours[shown])
    np.testing.assert_array_equal(painted[..., 3], 255 * shown)  # masked cells let the grey behind through
    assert found["console"] == []


def test_cross_attention_reads_other_tokens(browse):
    """More keys than queries: every number is where it belongs, and the text shaded is that of the keys."""
    weights = np.random.default_rng(3).dirichlet(np.ones(5), (1, 2, 3))  # (1, 2, 3 queries, 5 keys)
    probe = """
      all(".head")[1].click();
      out.lines = []; out.words = all(".text span").map((word) => word.textContent);
      for (let i = 0; i < 3; i++) for (let j = 0; j < 5; j++) {
        hover(all(".big .map")[0], (j + 0.5) / 5, (i + 0.5) / 3);
        out.lines.push(shown(document));
      }
      out.size = [all(".big canvas")[0].width, all(".big canvas")[0].height];
      out.marked = all(".on").map((label) => label.lastChild.data);
    """
    found = browse([AttentionGrid(weights, "xyz", keys="abcde")._repr_html_()], probe)
    for (query, key), line in zip(np.ndindex(3, 5), found["lines"], strict=True):
        where, value = line.rsplit(": ", 1)
        assert where == f"layer 0, head 1: query {query} {'xyz'[query]} → key {key} {'abcde'[key]}"
        assert float(value) == pytest.approx(weights[0, 1, query, key], abs=0.5 / 255 + 0.005)
    assert found["words"] == list("abcde")
    assert found["size"] == [5, 3]
    assert sorted(found["marked"]) == ["e", "z"]
    assert found["console"] == []


def test_keyboard(browse, attention):
    probe = """
      const head = all(".head")[1];
      focus(head);
      out.focused = shown(document);
      press(head, "Home"); press(head, "ArrowDown"); press(head, "ArrowDown"); press(head, "ArrowRight");
      out.moved = shown(document);
      head.click();  // what Enter does
      out.large = document.activeElement.getAttribute("aria-label");
      press(document.activeElement, "ArrowUp");
      out.up = shown(document);
      press(document.activeElement, "Escape");
      out.back = document.activeElement === head;
      out.labelled = all("button, [tabindex], canvas[role]").every((e) => e.ariaLabel);
    """
    found = browse([AttentionGrid(attention(1, 2, 4), "abcd")._repr_html_()], probe)
    assert found["focused"].startswith("layer 0, head 1: query 3 d → key 0 a")
    assert found["moved"].startswith("layer 0, head 1: query 2 c → key 1 b")
    assert found["large"].startswith("layer 0, head 1, large")
    assert found["up"].startswith("layer 0, head 1: query 1 b → key 1 b")
    assert found["back"] is True
    assert found["labelled"] is True
    assert found["console"] == []


def test_loss_readout(browse):
    runs = {
        "<b>一": {
            "train": {"steps": [0, 10, 20], "losses": [3.25, 2.5, 2.125]},
            "val": {"steps": [0], "losses": [3.5]},
        },
        "two": {"val": {"steps": [0, 20], "losses": [3.0, float("nan")]}},
    }
    probe = """
      const plot = all("svg")[0];
      focus(plot);
      out.end = shown(document);
      press(plot, "Home"); press(plot, "ArrowRight");
      out.second = shown(document);
      hover(plot, 0.0, 0.5);
      out.hover = shown(document);
      out.text = all("svg text").map((t) => t.textContent);
      out.ready = views[0].dataset.ready;
    """
    found = browse([LossCurve(runs, references={"bigram": 2.4}, unit="nats/token")._repr_html_()], probe)
    assert found["end"] == "step 20<b>一: train 2.125, val 3.500 at step 0two: val not finite"
    assert found["second"].startswith("step 10<b>一: train 2.500, val 3.500 at step 0two: val 3.000 at step 0")
    assert found["hover"].startswith("step 0<b>一: train 3.250, val 3.500two: val 3.000")
    assert "loss, nats/token" in found["text"]
    assert "bigram: 2.400" in found["text"]
    assert found["ready"] == "1"
    assert found["console"] == []


def test_threads_are_named_and_walked_through(browse):
    """Forty threads write a tile, and after the barrier read it backwards."""
    accesses = [("<tile>", t, True, (0, 0, 0), t, 0, 0) for t in range(40)]
    accesses += [("<tile>", 39 - t, False, (0, 0, 0), t, 1, 0) for t in range(40)]
    accesses += [("<tile>", 0, False, (0, 0, 0), t, 1, 0) for t in range(12)]
    trace = {
        "kernel": "turn",
        "block": (40, 1, 1),
        "arrays": {"<tile>": {"shape": (4, 10), "bytes": 4}},
        "accesses": accesses,
    }
    probe = """
      const [before, after] = all("canvas"), table = all("[role=application]")[0];
      const pixels = (canvas) => {  // of a copy: reading the page's own canvas again and again would be remarked upon
        const copy = document.createElement("canvas"), pen = copy.getContext("2d", {willReadFrequently: true});
        [copy.width, copy.height] = [canvas.width, canvas.height];
        pen.drawImage(canvas, 0, 0);
        return (x, y) => [...pen.getImageData(x, y, 1, 1).data];
      };
      const outlined = (canvas) => {
        const side = canvas.width / 10, at = pixels(canvas), found = [];
        for (let k = 0; k < 40; k++) {
          const left = at(k % 10 * side, (Math.floor(k / 10) + 0.5) * side);
          if (left[0] > 180 && left[1] < 60 && left[3] > 150) found.push(k);
        }
        return found;
      };
      out.start = shown(document);
      out.first = [outlined(before), outlined(after)];
      press(table, "ArrowDown");
      out.second = outlined(before);
      press(table, "ArrowRight");
      out.barrier = shown(document);
      out.after = [outlined(before), outlined(after)];
      press(table, "End");
      out.end = shown(document);
      all("button").slice(0, 1)[0].click();
      out.clicked = shown(document);
      hover(before, 0.55, 0.3);
      out.written = shown(document);
      hover(after, 0.01, 0.01);
      out.read = shown(document);
      out.colour = pixels(before)(before.width / 10 - 4, 3);
      out.captions = all(".soft").map((line) => line.textContent);
      out.ready = views[0].dataset.ready;
    """
    view = KernelThreads(trace, steps=["write", "read"])
    found = browse([view._repr_html_()], probe)
    assert found["start"] == "write (until barrier 1): request 1 of 1 is outlined, as warp 0 makes it"
    lanes = set(range(32))
    assert set(found["first"][0]) >= lanes
    assert found["first"][1] == []
    assert set(found["second"]) & lanes <= {31}  # an outline is as wide as the gap to the left neighbour
    assert set(found["second"]) >= set(range(32, 40))
    assert found["barrier"] == "read (after barrier 1): request 1 of 2 is outlined, as warp 1 makes it"
    assert found["after"][0] == []
    assert set(range(8)) <= set(found["after"][1]) <= set(range(9))
    assert found["end"].startswith("read (after barrier 1): request 2 of 2")
    assert found["clicked"] == found["barrier"]
    assert found["written"] == "<tile> [1, 5], write (until barrier 1): 1 store by thread 15, first in request 1"
    threads = "threads 0, 1, 2, 3, 4, 5, 6, 7, … (13)"
    assert found["read"] == f"<tile> [0, 0], read (after barrier 1): 13 loads by {threads}, first in request 1"
    assert found["colour"] == [*(thread_colours(40)[0] * 255).round().astype(int), 255]
    assert "40 stores, each element once" in found["captions"]
    assert found["ready"] == "1"
    assert found["console"] == []


def test_a_script_that_fails_leaves_the_picture(browse, attention):
    broken = AttentionGrid(attention(1, 1, 3), "abc")._repr_html_().replace('"shape":[1,1,3],', "")
    found = browse([broken], "out.ready = views[0].dataset.ready; out.images = all('img').length;")
    assert found["ready"] == "failed"
    assert found["images"] == 1
    assert len(found["console"]) == 1


@pytest.mark.slow
def test_sixteen_by_sixteen_heads_of_128_tokens_stay_responsive(browse, attention):
    """Moving over the heads and enlarging one, by the page's own clock, with room for slow machines."""
    view = AttentionGrid(attention(16, 16, 128), [f" word{k}" for k in range(128)])
    probe = """
      out.ready = views[0].dataset.ready;
      const t0 = performance.now();
      for (let k = 0; k < 100; k++) hover(all(".head .map")[k], 0.3, 0.005 * k);
      out.move = (performance.now() - t0) / 100;
      const t1 = performance.now();
      all(".head")[200].click();
      out.click = performance.now() - t1;
    """
    found = browse([view._repr_html_()], probe)
    assert found["ready"] == "1"
    assert found["move"] < 50  # milliseconds
    assert found["click"] < 500
    assert found["console"] == []
