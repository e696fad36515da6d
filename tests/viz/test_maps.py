"""Views of numbers by layer, head and position: what they take, refuse and say, and the pages they make."""

from itertools import pairwise

import numpy as np
import pytest

import minigpt as mg
from minigpt import viz

RNG = np.random.default_rng(3)
TOKENS = ["a", " b", "你", "\n", "<i>"]
CAUSAL = np.tri(5) / np.tri(5).sum(axis=1, keepdims=True)

VIEWS = {
    "rollout": lambda: viz.AttentionRollout(np.stack([[CAUSAL, CAUSAL]] * 2), CAUSAL @ CAUSAL, TOKENS),
    "scores": lambda: viz.HeadScores({"previous token": RNG.random((2, 3)), "induction": RNG.random((2, 3))}),
    "scores by step": lambda: viz.HeadScores({"induction": RNG.random((4, 2, 3))}, steps=[0, 10, 20, 40]),
    "lens": lambda: viz.LogitLens(
        TOKENS, RNG.dirichlet(np.ones(9), (2, 5))[..., :1], [[["x"]] * 5] * 2, targets=TOKENS
    ),
    "training": lambda: viz.HeadTraining(
        [CAUSAL, CAUSAL], [0, 50], TOKENS, loss={"steps": [0, 25, 50], "losses": [2.0, np.nan, 1.0]}
    ),
    "pca": lambda: viz.EmbeddingPCA(RNG.normal(size=(5, 4)), TOKENS, groups=list("aabbb")),
    "cosine": lambda: viz.PositionCosine(RNG.normal(size=(5, 4))),
    "histograms": lambda: viz.LayerHistograms([RNG.normal(size=50), RNG.normal(size=(5, 9))]),
    "ablation": lambda: viz.AblationEffect(RNG.normal(size=(2, 3)), RNG.normal(size=2), baseline=1.5),
    "patching": lambda: viz.PatchingGrid(RNG.normal(size=(2, 5)), TOKENS),
    "any": lambda: viz.HeatMaps({"i": RNG.random((2, 5)), "f": RNG.random((2, 5))}, columns=TOKENS, tokens=True),
    "layers": lambda: viz.LayerStatistics({"a": {"activation": [1.0, 0.5]}}),
    "graph": lambda: viz.ComputationGraph([{"id": "1", "label": "x"}, {"id": "2", "label": "<Sum>"}], [("1", "2")]),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_page_a_picture_and_words(name, read_html, tmp_path):
    view = VIEWS[name]()
    page = read_html(view._repr_html_())
    (image,) = page.all("img")  # what is left where scripts are stripped
    assert image["src"].startswith("data:image/png;base64,")
    assert len(image["alt"]) > 30
    assert "http" not in view.to_html().replace("http://www.w3.org/2000/svg", "")
    assert len(view.to_html()) < 60_000
    assert view.to_html() == view.to_html()  # no ids, no dates
    assert view.save(tmp_path / "view.png").stat().st_size > 2000


WRONG = {
    "one axis too few": (lambda: viz.HeadScores({"s": np.ones(3)}), "needs the axes (layers, heads)"),
    "not a number": (lambda: viz.AblationEffect([[1.0, np.nan]]), "has nan at [0, 1]"),
    "steps that fall": (lambda: viz.HeadScores({"s": np.ones((2, 1, 1))}, steps=[5, 5]), "rise strictly"),
    "ids for tokens": (lambda: viz.PatchingGrid(np.ones((1, 2)), [1, 2]), "tokenizer.decode"),
    "too few tokens": (lambda: viz.PatchingGrid(np.ones((1, 2)), ["a"]), "2 of them; got 1"),
    "logits": (lambda: viz.LogitLens(["a"], [[2.5]], [["x"]]), "prob"),
    "no direction": (lambda: viz.PositionCosine([[0.0, 0.0], [1.0, 0.0]]), "0"),
    "all the same": (lambda: viz.EmbeddingPCA(np.ones((3, 2)), "abc"), "same"),
    "weights above 1": (lambda: viz.HeadTraining(np.full((1, 2, 2), 2.0), [0], "ab"), "1"),
    "maps of unequal height": (lambda: viz.HeatMaps({"a": np.ones((1, 2)), "b": np.ones((2, 2))}), "the same rows"),
    "below 0": (lambda: viz.HeatMaps({"a": [[-1.0]]}, diverging=False), "the smallest here is -1"),
    "above the scale": (lambda: viz.HeatMaps({"a": [[2.0]]}, high=1.0), "high=1.0 is to have the strongest colour"),
    "no maps": (lambda: viz.HeatMaps([[1.0]]), "needs a dict"),
    "not square": (lambda: viz.HeadTraining(np.ones((1, 2, 3)), [0], "ab"), "square"),
    "a cycle": (lambda: viz.ComputationGraph([{"id": c, "label": c} for c in "ab"], [("a", "b"), ("b", "a")]), "cycle"),
    "an unknown id": (lambda: viz.ComputationGraph([{"id": "a", "label": "a"}], [("a", "z")]), "z"),
    "an id twice": (lambda: viz.ComputationGraph([{"id": "a", "label": "a"}] * 2, []), "repeated"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_by_name(case):
    make, words = WRONG[case]
    with pytest.raises(mg.MiniGPTError) as error:
        make()
    assert words in str(error.value)


def test_a_note_of_two_lines_is_written_out_and_does_not_touch_the_map():
    view = viz.AblationEffect(RNG.normal(size=(2, 4)), RNG.normal(size=2), baseline=1.53)
    fig = view.fig()
    fig.canvas.draw()
    title, *lines = [text for text in fig.texts if text.get_text()]
    assert " ".join(line.get_text() for line in lines) == view.note
    boxes = [text.get_window_extent() for text in (title, *lines)]
    boxes.append(next(ax for ax in fig.axes if ax.images).get_tightbbox())  # with its title
    for above, below in pairwise(boxes):
        assert above.y0 >= below.y1 - 1
    assert max(box.x1 for box in boxes) < fig.bbox.x1


def test_arrays_from_anywhere():
    """Lists, half precision, memory that is not contiguous, and no way to change a view afterwards."""
    values = RNG.normal(size=(4, 6)).astype(np.float16)
    view = viz.PatchingGrid(values[::2, ::-1], list("abcdef"))
    np.testing.assert_array_equal(view.values, values[::2, ::-1])
    np.testing.assert_array_equal(viz.PatchingGrid(view.values.tolist(), list("abcdef")).values, view.values)
    values[:] = 0
    assert view.values.any()
    with pytest.raises(ValueError, match="read-only"):
        view.values[0] = 1


def test_pages_of_causal_maps_have_the_lower_triangles_only():
    """Every float32 is 16/3 letters of base64; a map that looks ahead keeps all of its numbers."""
    square = np.full((5, 5), 0.2)
    for frame, size in ((CAUSAL, 15), (square, 25)):
        training = viz.HeadTraining([frame, frame], [0, 1], TOKENS).data()
        assert len(training["frames"]["values"]) == pytest.approx(2 * size * 16 / 3, abs=3)
        assert training["frames"]["triangle"] is training["maps"][0]["triangle"] is (size == 15)
        rollout = viz.AttentionRollout(np.stack([[frame]] * 2), frame, TOKENS).data()
        assert len(rollout["values"]) == pytest.approx(3 * size * 16 / 3, abs=3)
    patched = viz.PatchingGrid(np.ones((2, 5)), TOKENS).data()["maps"][0]
    assert patched["triangle"] is False


def test_numbers_have_true_minus_signs():
    view = viz.PatchingGrid([[-0.25, 12.5, -0.001]], "abc")
    (ax,) = [ax for ax in view.fig().axes if ax.images]
    assert [text.get_text() for text in ax.texts] == ["−.25", "12.5", ".00"]
    assert "smallest −0.25 at layer 0" in view.alt()
    assert "-" not in view.alt()


def test_maps_of_any_numbers():
    maps = {"heads": [[0.5, -0.25]], "MLPs": [[2]]}
    view = viz.HeatMaps(maps, row="layer", columns={"MLPs": ["MLP"]}, column="head", words="share, nats")
    assert view.scale == (2.0, True, "share, nats")
    assert [heat.columns.labels for heat in view.maps()] == [["0", "1"], ["MLP"]]
    assert "Colour is the share, nats. heads: heat map of 1 layer by 2 heads" in view.alt()
    alone = viz.HeatMaps({"p": [[0.5]]}, high=1)
    assert alone.scale.high == 1.0
    assert alone.maps()[0].name == ""
    assert alone.scale.diverging is False


def test_pca_is_that_of_the_covariance():
    x = RNG.normal(size=(30, 4)) * [5, 3, 1, 0.1]
    view = viz.EmbeddingPCA(x, [str(k) for k in range(30)])
    variances = np.sort(np.linalg.eigvalsh(np.cov(x.T)))[::-1]
    np.testing.assert_allclose(view.explained, variances / variances.sum(), rtol=1e-10)
    np.testing.assert_allclose(view.points.var(axis=0, ddof=1), variances[:2], rtol=1e-10)
    assert (view.points.max(axis=0) >= -view.points.min(axis=0)).all()


def test_cosines_and_histograms_by_hand():
    view = viz.PositionCosine([[1.0, 0.0], [1.0, 1.0], [-2.0, 0.0]])
    np.testing.assert_allclose(
        view.cosine, [[1, 0.5**0.5, -1], [0.5**0.5, 1, -(0.5**0.5)], [-1, -(0.5**0.5), 1]], atol=1e-15
    )
    counts = viz.LayerHistograms([[0.0, 0.1, 0.9, 5.0]], bins=2, limits=(0, 1))
    np.testing.assert_array_equal(counts.shares, [[0.5, 0.5]])  # 5 is counted in the last bin
    np.testing.assert_array_equal(counts.zeros, [0.25])


def test_two_hundred_boxes_of_a_graph_do_not_overlap():
    """A random graph: ranks rise along every arrow, boxes of one rank lie side by side."""
    rng = np.random.default_rng(0)
    nodes = [{"id": str(k), "label": f"node {k}", "lines": ["8 × 8"]} for k in range(120)]
    edges = [(str(rng.integers(0, k)), str(k)) for k in range(1, 120) for _ in range(2)]
    boxes = viz.ComputationGraph(nodes, edges).data()["boxes"]
    for source, target in edges:
        assert boxes[int(source)]["at"][1] < boxes[int(target)]["at"][1]
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            apart = [
                abs(x - y) - (u + v) / 2 for x, y, u, v in zip(a["at"], b["at"], a["size"], b["size"], strict=True)
            ]
            assert max(apart) > 0


def test_alternative_texts_count_in_english():
    weights = np.tril(np.full((1, 1, 3, 3), 1.0)) / np.arange(1, 4)[:, None]
    assert "map of 3 queries by 3 keys;" in viz.AttentionRollout(weights, weights[0, 0], "abc").alt()
    assert "MLPs: heat map of 2 layers by 1 column;" in viz.AblationEffect([[0.1], [0.2]], [0.1, 0.3]).alt()
