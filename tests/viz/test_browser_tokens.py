"""Views of tokens and of probabilities in a real browser: their scripts run, and show the arrays' numbers."""

import numpy as np
import pytest

from minigpt.viz import LossMask, ReliabilityDiagram, SamplingSteps, TokenScores, html


def test_tokens_that_carry_loss(browse):
    tokens = ["<|user|>", "2 + 2?\n", "</script>", "<|end|>", "<|assistant|>", "4", "<|end|>"]
    view = LossMask(tokens, [False] * 5 + [True] * 2)
    probe = """
      out.learned = all(".text u").map((token) => token.textContent);
      out.lines = all(".text").map((line) => line.textContent);
      out.colour = getComputedStyle(all("u")[0]).backgroundColor;
      out.before = shown(views[0]);
      hover(all(".text u")[0], 0.5, 0.5);
      out.over = shown(views[0]);
      hover(all(".text span")[0], 0.5, 0.5);
      out.other = shown(views[0]);
      out.ready = views[0].dataset.ready;
    """
    found = browse([view._repr_html_()], probe)
    assert found["learned"] == ["4", "<|end|>"]
    assert found["lines"] == ["<|user|>2␣+␣2?↵", "</script><|end|><|assistant|>4<|end|>"]
    assert found["colour"] == "rgb(0, 114, 178)"
    assert found["before"] == "2 of 7 tokens carry loss: blue, underlined"
    assert found["over"] == "token 5: 4 carries loss"
    assert found["other"] == "token 0: <|user|> is only read"
    assert found["ready"] == "1"
    assert found["console"] == []


def test_sampling_tables_follow_the_token(browse):
    """The table shows the arrays of the token pointed at; arrow keys walk through the text."""
    p = np.random.default_rng(0).dirichlet(np.ones(4), (3, 2))[..., :3]  # (3 tokens, 2 stages, 3 candidates)
    p[1, 1, 2] = 0.0
    view = SamplingSteps(
        ["model", "T 0.8"], [["a", "<b>", "c"], ["d", "你", "f"], ["g", "h", " "]], p, [0, 1, 2], "so "
    )
    probe = """
      const text = all("[role=application]")[0];
      const rows = () => all("tbody tr").map((row) => [...row.children].map((cell) => cell.textContent));
      out.start = shown(document);
      out.words = all(".text span").map((span) => span.textContent);
      out.tables = [rows()];
      press(text, "ArrowRight"); out.tables.push(rows());
      out.drawn = all("tr.drawn").map((row) => row.rowIndex);
      out.removed = getComputedStyle(all("tbody tr")[2].children[2]).backgroundColor;
      press(text, "End"); out.tables.push(rows());
      press(text, "ArrowRight"); out.end = shown(document);
      all(".text span")[1].dispatchEvent(new PointerEvent("pointerenter"));
      out.pointed = shown(document);
      out.ready = views[0].dataset.ready;
    """
    found = browse([view._repr_html_()], probe)
    assert found["words"] == ["so␣", "a", "你", "␣"]
    for step, table in enumerate(found["tables"]):
        assert [row[0] for row in table[:-1]] == [html.visible(token) for token in view.candidates[step]]
        assert table[-1][0] == "all others"
        for k, row in enumerate(table):
            for s, text in enumerate(row[1:]):
                value = p[step, s, k] if k < 3 else view.rest[step, s]
                small = {0: "–"}.get(value, "<.001") if value < 0.0005 else None
                assert text == small if small else float(text) == pytest.approx(value, abs=0.00051)
    assert found["drawn"] == [2]
    assert found["removed"] == "rgb(217, 217, 221)"
    assert found["start"].startswith("token 1 of 3: a, probability")
    assert found["end"].startswith("token 3 of 3: ␣, probability")
    assert found["pointed"] == found["start"]
    assert found["ready"] == "1"
    assert found["console"] == []


def test_reliability_readout(browse):
    bins = {"edges": [0, 0.5, 1], "low": [0.1, 0.6], "high": [0.5, 0.9], "count": [40, 1200]}
    models = {
        "<b>一": {**bins, "confidence": [0.25, 0.75], "accuracy": [0.3, 0.8]},
        "two": {**bins, "confidence": [0.3, 0.95], "accuracy": [0.3, 0.7]},
    }
    probe = """
      const plot = all("svg")[0];
      focus(plot);
      out.end = shown(document);
      press(plot, "Home");
      out.first = shown(document);
      press(plot, "ArrowRight");
      out.second = shown(document);
      hover(plot, 0.7, 0.5);
      out.hover = shown(document);
      out.labels = all(".mg-view p").map((p) => p.textContent);
      out.paths = all("svg path").length;
      out.ready = views[0].dataset.ready;
    """
    view = ReliabilityDiagram(models, note="two bins")
    found = browse([view._repr_html_()], probe)
    assert found["end"] == "two: 1,200 predictions, sure of 0.950, right in 0.700 (0.600 to 0.900)"
    assert found["first"] == "<b>一: 40 predictions, sure of 0.250, right in 0.300 (0.100 to 0.500)"
    assert found["second"].startswith("two: 40 predictions, sure of 0.300")
    assert found["hover"].startswith("<b>一: 1,200 predictions, sure of 0.750, right in 0.800")
    assert found["labels"][:3] == ["two bins", view.label("<b>一"), view.label("two")]
    assert found["ready"] == "1"
    assert found["console"] == []


def test_token_scores_side_by_side(browse):
    scores = {"occlusion": [0.5, -2.0, 0.0], "rollout": [0.25, 0.25, 0.5]}
    probe = """
      const row = all("[role=application]")[0], words = all(".text").map((text) => all("span", text));
      focus(row);
      out.end = shown(document);
      press(row, "ArrowLeft");
      out.left = shown(document);
      out.marked = words.map((line) => line.findIndex((word) => word.className === "query"));
      words[1][0].dispatchEvent(new PointerEvent("pointerenter"));
      out.hover = shown(document);
      out.texts = words.map((line) => line.map((word) => word.textContent).join(""));
      out.tops = all(".text").map((text) => text.getBoundingClientRect().top);
      out.colours = words[0].map((word) => getComputedStyle(word).backgroundColor);
      out.ready = views[0].dataset.ready;
    """
    found = browse([TokenScores(["<b>", " a", "中"], scores)._repr_html_()], probe)
    assert found["end"] == "token 2 中: occlusion 0 · rollout 0.5"
    assert found["left"] == "token 1 ␣a: occlusion −2 · rollout 0.25"
    assert found["marked"] == [1, 1]
    assert found["hover"] == "token 0 <b>: occlusion +0.5 · rollout 0.25"
    assert found["texts"] == ["<b>␣a中"] * 2
    assert found["tops"][0] == found["tops"][1]  # side by side
    assert len(set(found["colours"])) == 3
    assert found["ready"] == "1"
    assert found["console"] == []
