"""TokenScores: scales, figure, page, errors."""

import json

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from minigpt.errors import ArgumentError, NumericsError, ShapeError
from minigpt.viz import TokenScores
from minigpt.viz.token_scores import AGAINST, FOR, STRONGEST

TOKENS = ["The", " cat", "\n", "中"]
SCORES = {"occlusion": [0.5, -2.0, 0.0, 1.0], "rollout": [0.1, 0.2, 0.3, 0.4]}


def payload(html):
    line = next(line for line in html.splitlines() if line.startswith("start("))
    return json.loads(line[line.index("{") : line.rindex("}") + 1])


def test_scales_and_alternative_text():
    view = TokenScores(TOKENS, SCORES, title="Why?", note="Careful.")
    assert view.scales == {"occlusion": 2.0, "rollout": 0.4}
    np.testing.assert_allclose(view.strength("occlusion"), [0.25, -1, 0, 0.5])
    assert view.strongest("occlusion") == (1, -2.0)
    assert "occlusion: strongest is token 1, “␣cat”, with −2." in view.alt()
    assert view.alt().endswith("Careful.")


def test_nothing_matters():
    view = TokenScores(["a", "b"], {"s": [0, 0]})
    np.testing.assert_array_equal(view.strength("s"), 0)
    view.fig().canvas.draw()


def test_figure_cells_have_the_colours_of_their_scores():
    view = TokenScores(TOKENS, SCORES)
    (ax,) = view.fig().axes
    cells = [patch.get_facecolor()[:3] for patch in ax.patches]
    assert len(cells) == 8
    wanted = [*view.strength("occlusion"), *view.strength("rollout")]
    for colour, strength in zip(cells, wanted, strict=True):
        share = STRONGEST * abs(strength)
        mixed = 1 - share + share * np.array(to_rgb(FOR if strength >= 0 else AGAINST))
        np.testing.assert_allclose(colour, mixed)
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("␣cat") == 2
    assert "occlusion: up to 2" in texts


def test_a_long_text_is_cut_into_stretches_that_fit():
    tokens = [f"token{k}" for k in range(60)]
    fig = TokenScores(tokens, {"a": np.arange(60), "b": -np.arange(60)}, note="word " * 60).fig()
    fig.canvas.draw()
    (ax,) = fig.axes
    assert len(ax.patches) == 120
    for text in ax.texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= fig.bbox.x1 + 1
        assert 0 <= box.y0 < box.y1 <= fig.bbox.y1 + 1
    corners = {(round(p.get_x(), 3), round(p.get_y(), 3)) for p in ax.patches}
    assert len(corners) == 120  # none covers another


def test_page():
    data = payload(TokenScores(["</script>", "b"], {"s": [1 / 3, -0.1]}, note="n")._repr_html_())
    assert data["tokens"] == ["</script>", "b"]
    (score,) = data["scores"]
    assert score["values"] == [0.3333, -0.1]
    assert score["shade"] == [80.0, -24.0]
    assert score["signed"] is True
    assert payload(TokenScores(["a"], {"s": [2]})._repr_html_())["scores"][0]["signed"] is False


@pytest.mark.parametrize(
    ("tokens", "scores", "error", "hint"),
    [
        ([], SCORES, ArgumentError, "at least one string"),
        ([1, 2, 3, 4], SCORES, ArgumentError, "tokenizer.decode"),
        (TOKENS, {}, ArgumentError, "got dict"),
        (TOKENS, [1, 2, 3, 4], ArgumentError, "got list"),
        (TOKENS, {"a": [1, 2]}, ShapeError, r"a needs one score for each of the 4 tokens"),
        (TOKENS, {"a": np.zeros((4, 2))}, ShapeError, r"got \(4, 2\)"),
        (TOKENS, {"a": list("abcd")}, ArgumentError, "a needs numbers"),
        (TOKENS, {"a": [0, np.inf, 0, 0]}, NumericsError, "a has inf at token 1"),
        (TOKENS, {1: [0, 0, 0, 0]}, ArgumentError, "names of scores are strings"),
    ],
)
def test_refused(tokens, scores, error, hint):
    with pytest.raises(error, match=hint):
        TokenScores(tokens, scores)
