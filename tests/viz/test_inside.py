"""LogitLens, HeadTraining, EmbeddingPCA: what they keep, draw and refuse."""

import numpy as np
import pytest

from minigpt.errors import ArgumentError, NumericsError, ShapeError
from minigpt.viz import EmbeddingPCA, HeadTraining, LogitLens
from minigpt.viz.pca import principal_components

P = np.array([[[0.5, 0.25], [0.9, 0.05]], [[0.4, 0.3], [1.0, 0.0]]])  # (2 layers, 2 positions, top 2)
C = [[["x", "y"], [" b", "$"]], [["\n", "中"], ["</script>", "x"]]]


def test_lens_table():
    view = LogitLens(["a", " b"], P, C, targets=[" b", "</script>"])
    assert [view.hit(layer, k) for layer in (0, 1) for k in (0, 1)] == [False, False, False, True]
    data = view.data()
    names = data["names"]
    order = np.frombuffer(__import__("base64").b64decode(data["order"]), "<u4").reshape(P.shape)
    assert [[[names[k] for k in cell] for cell in row] for row in order] == [
        [["x", "y"], ["␣b", "$"]],
        [["↵", "中"], ["</script>", "x"]],
    ]
    assert data["hits"] == [[], [1]]
    (ax,) = [ax for ax in view.fig().axes if ax.images]
    texts = [text.get_text() for text in ax.texts]
    assert texts[:4] == ["x", "0.50", "␣b", "0.90"]
    assert len(ax.patches) == 1  # the hit is framed
    assert "After the last token: layer 0 ␣b (0.90), layer 1 </script> (1.00)." in view.alt()


def test_lens_of_the_top_token_only():
    view = LogitLens(["a", " b"], P[..., 0], [[cell[0] for cell in row] for row in C])
    assert view.probabilities.shape == (2, 2, 1)
    assert view.candidates[1][1] == ["</script>"]


def test_lens_of_a_long_text_draws_its_end():
    T = 50
    view = LogitLens([str(k) for k in range(T)], np.full((2, T), 0.5), [["x"] * T] * 2)
    fig = view.fig()
    (ax,) = [ax for ax in fig.axes if ax.images]
    assert ax.get_xticklabels()[-1].get_text() == "49"
    assert ax.images[0].get_array().shape == (2, 20)
    assert any("The last 20 of 50 positions" in text.get_text() for text in fig.texts)


FRAMES = np.array([[[1, 0], [0.5, 0.5]], [[1, 0], [0.25, 0.75]], [[1, 0], [0, 1.0]]])
LOSS = {"steps": [0, 5, 10], "losses": [3.0, np.nan, 2.0]}


def test_training_strip():
    view = HeadTraining(FRAMES, [0, 5, 10], ["a", "b"], loss=LOSS, head="layer 1, head 2")
    assert view.title.endswith("layer 1, head 2")
    fig = view.fig()
    maps = [ax for ax in fig.axes if ax.images]
    assert [ax.get_title(loc="left") for ax in maps] == ["step 0", "step 5", "step 10"]
    np.testing.assert_array_equal(maps[1].images[0].get_array()[1], [0.25, 0.75])
    assert maps[0].images[0].get_array().mask[0].tolist() == [False, True]  # the later key
    (loss,) = [ax for ax in fig.axes if ax.get_label() == "loss"]
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), LOSS["losses"])
    assert "from 3 to 2 nats/token" in view.alt()
    many = HeadTraining(np.repeat(FRAMES, 10, axis=0), range(30), ["a", "b"])
    titles = [ax.get_title(loc="left") for ax in many.fig().axes if ax.images]
    assert len(titles) == 8
    assert titles[0] == "step 0"
    assert titles[-1] == "step 29"


class TwoPrompts:
    """What HeadTraining.of asks of a recording."""

    steps, loss = np.array([0, 5, 10]), {"steps": np.arange(1, 11), "losses": np.linspace(3, 1, 10)}

    def __init__(self, name):
        self.name = name

    def tokens(self, prompt):
        return {0: ["a", "b"], "x y": ["x", "y"]}[prompt]

    def __getitem__(self, key):
        assert key[0] == self.name
        self.asked = key[1]
        return np.stack([FRAMES, FRAMES[:, ::-1, ::-1].swapaxes(1, 2)], axis=1)  # (S, H, T, T)


def test_head_training_of_a_recording():
    recording = TwoPrompts("h.2.attn.weights")
    view = HeadTraining.of(recording, 2, 0, "x y")
    assert recording.asked == "x y"
    assert (view.tokens, view.steps.tolist()) == (["x", "y"], [0, 5, 10])
    assert "h.2.attn, head 0" in view.title
    np.testing.assert_array_equal(view.frames, FRAMES)
    np.testing.assert_array_equal(view.loss["losses"], recording.loss["losses"])
    other = HeadTraining.of(TwoPrompts("decoder.0.attn.weights"), "decoder.0.attn", 1, title="Mine")
    assert other.title == "Mine"
    np.testing.assert_array_equal(other.frames, FRAMES[:, ::-1, ::-1].swapaxes(1, 2))
    with pytest.raises(ArgumentError, match=r"h\.2\.attn has heads 0 to 1, got 2"):
        HeadTraining.of(recording, 2, 2)
    recording.loss = {"steps": np.empty(0), "losses": np.empty(0)}  # only step 0 so far
    assert HeadTraining.of(recording, 2, 0).loss is None


def test_components_are_those_of_the_covariance():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)) * [5, 3, 1, 0.5, 0.1] + 7
    points, explained = principal_components(X)
    values, vectors = np.linalg.eigh(np.cov(X.T))
    np.testing.assert_allclose(explained, values[::-1] / values.sum())
    projected = (X - X.mean(axis=0)) @ vectors[:, ::-1][:, :2]
    np.testing.assert_allclose(np.abs(points), np.abs(projected), atol=1e-9)
    largest = np.abs(points).argmax(axis=0)
    assert (points[largest, [0, 1]] > 0).all()
    np.testing.assert_allclose(principal_components(-X)[1], explained)


def test_pca_figure_labels_do_not_cover_each_other():
    rng = np.random.default_rng(1)
    view = EmbeddingPCA(rng.normal(size=(80, 4)), [f" token{k}" for k in range(80)], ["x", "$y$"] * 40)
    fig = view.fig()
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in fig.axes[0].texts]
    assert 15 < len(boxes) < 80
    crossing = [(a, b) for k, a in enumerate(boxes) for b in boxes[k + 1 :] if a.overlaps(b)]
    assert not crossing
    shares = [bar.get_height() / 100 for bar in fig.axes[1].patches]
    np.testing.assert_allclose(shares, view.explained)
    assert f"{view.explained[0]:.1%}" in view.note


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LogitLens(["a"], P, C), ShapeError, "tokens needs one string for each position, 2"),
        (lambda: LogitLens("ab", P[:, :, ::-1], C), ArgumentError, "the likeliest first"),
        (lambda: LogitLens("ab", P * 2, C), ArgumentError, "take a softmax"),
        (lambda: LogitLens("ab", P, C[:1]), ShapeError, r"\(layers, positions, candidates\) = \(2, 2, 2\)"),
        (lambda: LogitLens("ab", P[:, :, :1], [[[1], [2]], [[3], [4]]]), ArgumentError, "strings; got int"),
        (lambda: LogitLens("ab", P, C, targets=["x"]), ShapeError, "targets needs one string"),
        (lambda: HeadTraining(FRAMES[:, :1], [0, 1, 2], "ab"), ShapeError, "square maps"),
        (lambda: HeadTraining(FRAMES * 3, [0, 1, 2], "ab"), ArgumentError, "after the softmax"),
        (lambda: HeadTraining(FRAMES, [0, 1, 1], "ab"), ShapeError, "steps needs 3 numbers that rise strictly"),
        (lambda: HeadTraining(FRAMES, [0, 1, 2], "ab", loss=[1, 2]), ArgumentError, 'loss needs {"steps"'),
        (
            lambda: HeadTraining(FRAMES, [0, 1, 2], "ab", loss={"steps": [0], "losses": [np.nan]}),
            ShapeError,
            "some of them finite",
        ),
        (lambda: EmbeddingPCA([[1.0, 2]], ["a"]), ArgumentError, "at least 2 vectors"),
        (lambda: EmbeddingPCA(np.ones((3, 2)), "abc"), NumericsError, "all vectors are the same"),
        (lambda: EmbeddingPCA(np.eye(3), "ab"), ShapeError, "labels needs one string for each vector, 3"),
        (lambda: EmbeddingPCA(np.eye(7), "abcdefg", "abcdefg"), ArgumentError, "at most 6 groups"),
        (lambda: EmbeddingPCA(np.eye(3), "abc", [1, 2, 3]), ArgumentError, "groups need to be strings"),
    ],
)
def test_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_too_many_points_for_a_page():
    view = EmbeddingPCA(np.random.default_rng(0).normal(size=(3001, 2)), ["x"] * 3001)
    with pytest.raises(ArgumentError, match="choose some of them"):
        view.data()
