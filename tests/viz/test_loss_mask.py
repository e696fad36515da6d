"""LossMask: what is marked, in the figure, on the page and in a terminal."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest

from minigpt.errors import ArgumentError, ShapeError
from minigpt.viz import LossMask, html
from minigpt.viz.loss_mask import LEARNED, width_of

TOKENS = ["<|user|>", "2 ", "+\n", "2?", "<|end|>", "<|assistant|>", "4", "<|end|>"]
LOSS = np.array([0, 0, 0, 0, 0, 0, 1, 1], bool)


def payload(text):
    line = next(line for line in text.splitlines() if line.startswith("start("))
    return json.loads(line[line.index("{") : line.rindex("}") + 1])


def test_attributes():
    view = LossMask(TOKENS, LOSS)
    assert view.tokens == TOKENS
    assert view.shown[1:3] == ["2␣", "+↵"]
    assert view.special.tolist() == [True, False, False, False, True, True, False, True]
    assert repr(view) == "LossMask(2 of 8 tokens carry loss)"
    typed = LossMask(["<|end|>", "<|end|>"], [False, True], special=[False, True])  # the first was typed by a user
    assert typed.special.tolist() == [False, True]


def test_the_view_owns_its_arrays():
    loss = LOSS.copy()
    view = LossMask(TOKENS, loss)
    loss[:] = False
    assert view.loss_mask.sum() == 2


def test_terminal_without_colours():
    view = LossMask(TOKENS, LOSS)
    assert view.text() == (
        "2 of 8 tokens carry loss\n<|user|>2␣+↵\n\n2?<|end|><|assistant|>4<|end|>\n                      ^^^^^^^^"
    )
    assert "\x1b" not in view.text()


def test_terminal_in_colour():
    text = LossMask(TOKENS, LOSS).text(colour=True)
    marked = re.findall(r"\x1b\[1;4;97;44m(.*?)\x1b\[0m", text)
    assert marked == ["4", "<|end|>"]
    assert re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()[1:] == ["<|user|>2␣+↵", "2?<|end|><|assistant|>4<|end|>"]


def test_an_escape_in_a_token_does_not_reach_the_terminal():
    text = LossMask(["\x1b[31m", "a"], [False, True]).text(colour=True)
    assert "\x1b[31m" not in text
    assert "\\x1b[31m" in text


def test_lines_are_no_wider_than_asked_for():
    tokens = ["汉字", "e\u0301", "abc", "x" * 30, "y"] * 4
    view = LossMask(tokens, [True] * 20)
    lines = view.lines(12)
    assert [i for line in lines for i in line] == list(range(20))
    assert all(sum(width_of(view.shown[i]) for i in line) <= 12 or len(line) == 1 for line in lines)
    assert width_of("汉a") == 3
    assert width_of("e\u0301") == 1


def test_figure():
    fig = LossMask(TOKENS, LOSS, title="One exchange").fig()
    (ax,) = fig.axes
    texts = [text.get_text() for text in ax.texts]
    assert texts[0] == "One exchange"
    assert texts[2:] == ["<|user|>", "2␣", "+↵", "2?", "<|end|>", "<|assistant|>", "4", "<|end|>"]
    blue = [html_colour(patch.get_facecolor()) == LEARNED.lower() for patch in ax.patches]
    assert blue == LOSS.tolist()
    assert len(ax.lines) == 2  # underlined too: seen without colours
    boxes = [patch.get_bbox() for patch in ax.patches]
    assert all(a.x1 <= b.x0 + 1e-9 or a.y1 <= b.y0 + 1e-9 for a, b in pairwise(boxes))


def html_colour(rgba):
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgba[:3])


def test_a_long_dialogue_is_cut_in_the_figure_only():
    view = LossMask(["several words "] * 400, [True] * 400)
    fig = view.fig()
    assert "more lines" in fig.axes[0].texts[-1].get_text()
    assert sum(len(line) for line in view.data()["lines"]) == 400


def test_page(tmp_path, read_html):
    view = LossMask(["</script><b>", "$x$", "\u202e", "4"], [False, False, False, True])
    text = view.to_html()
    page = read_html(html.page("t", text))
    assert len(page.scripts) == 1
    assert payload(text)["lines"] == [
        [["</script><b>", 0, 0, 0], ["$x$", 0, 0, 1], ["\\u202e", 0, 0, 2], ["4", 1, 0, 3]]
    ]
    assert "[4]" in page.all("img")[0]["alt"]
    for name in ("a.html", "a.png", "a.svg"):
        assert view.save(tmp_path / name).stat().st_size > 500
    assert view._repr_html_() == text


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([], []), ArgumentError, "at least one"),
        (("abc", [True] * 3), ArgumentError, "a list of strings"),
        (([1, 2], [True] * 2), ArgumentError, "a list of strings"),
        ((["a", "b"], [True]), ShapeError, r"loss_mask needs one entry for each of the 2 tokens.*got shape \(1,\)"),
        ((["a", "b"], [0, 1]), ArgumentError, "loss_mask needs True or False.*int64"),
        ((["a", "b"], [True, True], [True]), ShapeError, "special needs one entry"),
    ],
)
def test_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        LossMask(*arguments)
