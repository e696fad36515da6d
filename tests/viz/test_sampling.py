"""SamplingSteps: checks, rest, table, figure, page."""

import base64
import json

import numpy as np
import pytest

from minigpt.errors import ArgumentError, NumericsError, ShapeError
from minigpt.viz import SamplingSteps, sampling_figure
from minigpt.viz.sampling import shown

STAGES = ["model", "T 0.5", "top-k 2"]
PROBABILITIES = np.array([[[0.5, 0.3, 0.1], [0.6, 0.3, 0.05], [0.7, 0.3, 0.0]], [[0.4, 0.2, 0.0001]] * 3])  # (2, 3, 3)
CANDIDATES = [[" cat", "<b>", "\n"], ["你", "🚀", "</script>"]]


def make(**changes):
    given = {"stages": STAGES, "candidates": CANDIDATES, "probabilities": PROBABILITIES, "drawn": [1, 0], **changes}
    return SamplingSteps(**given)


def payload(html):
    line = next(line for line in html.splitlines() if line.startswith("start("))
    return json.loads(line[line.index("{") : line.rindex("}") + 1])


def test_what_it_keeps():
    view = make(prompt="the", ids=[[1, 2, 3], [4, 5, 6]])
    assert view.text == "<b>你"
    assert make(text="other").text == "other"
    np.testing.assert_allclose(view.rest, [[0.1, 0.05, 0.0], [0.3999] * 3])
    assert view.rest[0, 2] == 0  # 1 - 0.7 - 0.3 is not quite 0 in floats
    assert view.ids.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert repr(view) == "SamplingSteps(2 tokens × 3 stages × 3 candidates)"
    with pytest.raises(ValueError, match="read-only"):
        view.probabilities[0] = 0


def test_it_copies():
    mine = PROBABILITIES.copy()
    view = make(probabilities=mine)
    mine[:] = 0
    assert view.probabilities[0, 0, 0] == 0.5


def test_table():
    first, second = (make().table(k).splitlines() for k in (0, 1))
    assert first[0].split() == ["model", "T", "0.5", "top-k", "2"]
    assert first[1].split() == ["␣cat", "0.500", "0.600", "0.700"]
    assert first[2].split() == [">", "<b>", "0.300", "0.300", "0.300"]
    assert first[3].split() == ["↵", "0.100", "0.050", "-"]
    assert first[4].split() == ["all", "others", "0.100", "0.050", "-"]
    assert second[3].split() == ["</script>", "<.001", "<.001", "<.001"]


@pytest.mark.parametrize(
    ("p", "text"), [(0, "-"), (1e-9, "<.001"), (0.0005, "0.001"), (0.12345, "0.123"), (1, "1.000")]
)
def test_shown(p, text):
    assert shown(p) == text


def test_alt_names_stages_and_tokens():
    alt = make().alt()
    assert "2 tokens a table of 3 candidates (rows) by 3 stages (columns: model, T 0.5, top-k 2)" in alt
    assert alt.endswith("Drawn were: <b>, 你.")


def test_page_data():
    data = payload(make(prompt="a b")._repr_html_())
    assert data["tokens"] == [["␣cat", "<b>", "↵"], ["你", "🚀", "</script>"]]
    assert data["drawn"] == [1, 0]
    assert data["prompt"] == "a␣b"
    numbers = np.frombuffer(base64.b64decode(data["probabilities"]), "<f4").reshape(2, 3, 3)
    np.testing.assert_allclose(numbers, PROBABILITIES, rtol=1e-6)
    rest = np.frombuffer(base64.b64decode(data["rest"]), "<f4").reshape(2, 3)
    np.testing.assert_allclose(rest, make().rest, rtol=1e-6)


@pytest.mark.parametrize("T", [1, 2, 40])
def test_figure_has_a_table_per_token(T):
    view = make(probabilities=np.repeat(PROBABILITIES[:1], T, 0), candidates=CANDIDATES[:1] * T, drawn=[1] * T)
    fig = view.fig()
    texts = [text.get_text() for text in fig.axes[0].texts]
    tables = min(T, sampling_figure.MOST_STEPS)
    assert len(fig.axes[0].images) == tables
    assert texts.count("0.300") == 3 * tables
    assert texts.count("–") == 2 * tables  # removed by top-k, and nothing left
    assert ("the first 15 of 40 tokens" in texts[1]) == (T == 40)
    assert len(fig.axes[0].patches) == tables
    assert fig.get_size_inches()[0] <= 14


def test_figure_colours_are_the_probabilities():
    (image, _) = make().fig().axes[0].images
    cells = image.get_array()
    np.testing.assert_allclose(cells.data[:3], PROBABILITIES[0].T)
    assert cells.mask.tolist() == [[False] * 3, [False] * 3, [False, False, True], [False, False, True]]


@pytest.mark.parametrize(
    ("changes", "error", "hint"),
    [
        ({"probabilities": PROBABILITIES[0]}, ShapeError, r"\(tokens, stages, candidates\)"),
        ({"probabilities": np.zeros((0, 3, 3))}, ShapeError, "none of them 0"),
        ({"probabilities": [["a"]]}, ShapeError, "must be an array"),
        ({"probabilities": PROBABILITIES * np.nan}, NumericsError, "NaN"),
        ({"probabilities": PROBABILITIES * 3}, ArgumentError, "look like logits"),
        ({"probabilities": -PROBABILITIES}, ArgumentError, "look like logits"),
        ({"stages": STAGES[:2]}, ShapeError, "got 2 stages"),
        ({"candidates": CANDIDATES[:1]}, ShapeError, "1 lists of candidates"),
        ({"candidates": [["a"], ["b"]]}, ShapeError, "candidates"),
        ({"candidates": [["a", "b", 3], ["a", "b", "c"]]}, ArgumentError, r"candidates\[0\] must be strings"),
        ({"drawn": [1]}, ShapeError, "drawn"),
        ({"drawn": [1, 3]}, ArgumentError, "from 0 to 2"),
        ({"drawn": [1, -1]}, ArgumentError, "from 0 to 2"),
        ({"drawn": [1.0, 0.0]}, ArgumentError, "integers"),
        ({"ids": [1, 2]}, ShapeError, "ids"),
    ],
)
def test_what_does_not_fit(changes, error, hint):
    with pytest.raises(error, match=hint):
        make(**changes)


def test_a_page_that_would_choke_a_browser():
    n = 600
    view = SamplingSteps(["a"], [["x"] * n] * n * 2, np.full((2 * n, 1, n), 1 / n), [0] * (2 * n))
    with pytest.raises(ArgumentError, match="choke a browser"):
        view.data()
