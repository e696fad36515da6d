"""LossCurve: smoothing, labels, figure, page, errors."""

import base64
import json
from itertools import pairwise

import numpy as np
import pytest

from minigpt.errors import ArgumentError, ShapeError
from minigpt.viz import LossCurve
from minigpt.viz.loss import moving_average, spread, worth_drawing


def series(n=200, every=1, noise=0.1, seed=0):
    steps = np.arange(n) * every
    losses = 1.5 + 2.5 * np.exp(-steps / 50) + np.random.default_rng(seed).normal(0, noise, n)
    return {"steps": steps.tolist(), "losses": losses.tolist()}


def payload(html):
    line = next(line for line in html.splitlines() if line.startswith("start("))
    return json.loads(line[line.index("{") : line.rindex("}") + 1])


# --- smoothing and label places ---------------------------------------------------------------------------


def test_moving_average_by_hand():
    smooth = moving_average([4.0, 1.0, 4.0, 1.0, 7.0], 3)
    np.testing.assert_allclose(smooth, [4.0, 3.0, 2.0, 4.0, 4.0])  # first alone, last without a right half


def test_moving_average_neither_lags_nor_bends_a_straight_line():
    line = np.linspace(5, 1, 50)
    np.testing.assert_allclose(moving_average(line, 9)[:46], line[:46])


def test_moving_average_passes_over_what_is_not_finite():
    smooth = moving_average([1.0, np.nan, 3.0, np.inf, 5.0], 3)
    np.testing.assert_allclose(smooth, [1.0, np.nan, 3.0, np.nan, 5.0])


def test_spread_by_hand():
    np.testing.assert_allclose(spread([1.50, 1.52, 2.0], 0.1, 0, 3), [1.46, 1.56, 2.0])
    np.testing.assert_allclose(spread([2.0, 1.0], 0.1, 0, 3), [2.0, 1.0])  # order of the input
    np.testing.assert_allclose(spread([0.0, 0.0], 0.5, 0, 3), [0.0, 0.5])  # not below the axes
    np.testing.assert_allclose(spread([9.0, 3.0], 0.5, 0, 3), [3.0, 2.5])  # nor above


def test_spread_keeps_its_distance_and_order():
    rng = np.random.default_rng(3)
    for _ in range(200):
        heights = rng.uniform(0, 1, rng.integers(1, 12))
        places = np.array(spread(heights, 0.05, 0, 1))
        order = np.argsort(heights, kind="stable")
        assert np.all(np.diff(places[order]) >= 0.05 - 1e-12)
        assert places.min() >= -1e-12
        assert places.max() <= 1 + 1e-12


# --- arrays -----------------------------------------------------------------------------------------------


def test_arrays_and_window():
    view = LossCurve({"a": {"train": series(200), "val": series(4, every=50)}}, references={"bigram": 2.4})
    train = view.runs["a"]["train"]
    assert view.window == 9
    np.testing.assert_allclose(train["smooth"], moving_average(train["losses"], 9))
    assert train["losses"].dtype == train["steps"].dtype == np.float64
    assert view.references == {"bigram": 2.4}
    last = f"val {series(4, every=50)['losses'][-1]:.3f}, train {train['smooth'][-1]:.3f}"
    assert view.final("a") == last
    assert last in view.alt()
    assert "bigram 2.400" in view.alt()


def test_few_points_are_not_smoothed():
    view = LossCurve({"a": {"train": {"steps": [0, 10], "losses": [3, 2]}}})
    assert view.window == 1
    assert view.smoothing() == "train"
    np.testing.assert_array_equal(view.runs["a"]["train"]["smooth"], [3, 2])


def test_the_axis_holds_everything_unless_a_run_explodes():
    calm = {"train": series(100), "val": {"steps": [0, 99], "losses": [4.1, 1.4]}}
    low, high = LossCurve({"calm": calm}, references={"bound": 0.9}).limits
    assert low < 0.9
    assert high > 4.1
    wild = {"val": {"steps": [0, 1, 2], "losses": [4.0, 3.0, 1e9]}}
    low, high = LossCurve({"calm": calm, "wild": wild}).limits
    assert high < 10


def test_a_diverged_run_is_drawn_and_named():
    run = {"train": {"steps": [0, 10, 20, 30], "losses": [3.0, 2.0, np.nan, np.inf]}}
    view = LossCurve({"a": run})
    assert view.final("a") == "train 2.000 (not finite from step 20)"
    view.fig().canvas.draw()
    assert "not finite from step 20" in view._repr_html_()


# --- figure -----------------------------------------------------------------------------------------------


def test_figure():
    runs = {
        "one": {"train": series(100), "val": series(3, every=40)},
        "two $x_1$": {"train": series(100, seed=1)},
    }
    view = LossCurve(runs, title="T", unit="bits/byte", references={"trigram": 2.0})
    fig = view.fig()
    (ax,) = fig.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss, bits/byte")
    drawn = [line.get_ydata() for line in ax.lines]
    for run in view.runs.values():
        assert any(np.array_equal(y, run["train"]["losses"]) for y in drawn)
        assert any(np.array_equal(y, run["train"]["smooth"]) for y in drawn)
    points = next(line for line in ax.lines if np.array_equal(line.get_ydata(), view.runs["one"]["val"]["losses"]))
    assert points.get_marker() != "None"
    texts = [text.get_text() for text in ax.texts]
    assert texts == [f"one: {view.final('one')}", f"two $x_1$: {view.final('two $x_1$')}", "trigram: 2.000"]
    legend = [text.get_text() for text in fig.legends[0].get_texts()]
    assert legend == ["train, moving average over 5 records, raw behind it", "validation", "reference"]


def test_labels_lie_on_the_figure_apart_from_each_other():
    runs = {f"run number {k} 中文": {"val": series(30, seed=k, noise=0.01)} for k in range(8)}
    fig = LossCurve(runs, references={"a": 1.5, "b": 1.5}).fig()
    fig.canvas.draw()
    boxes = sorted((text.get_window_extent() for text in fig.axes[0].texts), key=lambda box: box.y0)
    assert len(boxes) == 10
    assert max(box.x1 for box in boxes) <= fig.bbox.x1
    for lower, upper in pairwise(boxes):
        assert upper.y0 >= lower.y1 - 1  # at most a pixel


# --- page -------------------------------------------------------------------------------------------------


def test_page_carries_exact_records():
    run = {"train": series(50), "val": series(5, every=10)}
    data = payload(LossCurve({"a": run, "b </script>": {"val": series(2)}}, references={"r": 2.0})._repr_html_())
    assert [entry["name"] for entry in data["runs"]] == ["a", "b </script>"]
    for split in ("train", "val"):
        stored = data["runs"][0][split]
        np.testing.assert_array_equal(np.frombuffer(base64.b64decode(stored["steps"]), "<f8"), run[split]["steps"])
        losses = np.frombuffer(base64.b64decode(stored["losses"]), "<f4")
        np.testing.assert_array_equal(losses, np.float32(run[split]["losses"]))
    assert "train" not in data["runs"][1]
    assert data["references"] == [2.0]
    assert [label[0] for label in data["labels"]][-1] == "r: 2.000"


def test_long_runs_keep_their_ends_and_extremes():
    losses = np.random.default_rng(0).normal(size=100_000)
    losses[[777, 55_555]] = [9.0, -9.0]
    losses[5] = np.nan
    kept = worth_drawing(losses, 1000)
    assert len(kept) <= 1002
    assert {0, 777, 55_555, 99_999} <= set(kept.tolist())
    assert np.all(np.diff(kept) > 0)
    html = LossCurve({"long": {"train": {"steps": np.arange(100_000), "losses": losses}}})._repr_html_()
    assert len(html) < 150_000


# --- errors -----------------------------------------------------------------------------------------------

GOOD = {"steps": [0, 1], "losses": [2.0, 1.0]}


@pytest.mark.parametrize(
    ("runs", "error", "hint"),
    [
        ({}, ArgumentError, "without entries"),
        ([GOOD], ArgumentError, "got list"),
        ({"a": GOOD}, ArgumentError, r"run 'a' needs .*got \['losses', 'steps'\]"),
        ({"a": {}}, ArgumentError, "train, val or both"),
        ({"a": {"train": [1, 2]}}, ArgumentError, "a/train needs .*got list"),
        ({"a": {"val": {"steps": [1]}}}, ArgumentError, r"a/val .*got \['steps'\]"),
        ({"a": {"val": {"steps": [1, 2], "losses": [1.0]}}}, ShapeError, r"steps \(2,\), losses \(1,\)"),
        ({"a": {"val": {"steps": [], "losses": []}}}, ShapeError, "at least one"),
        ({"a": {"val": {"steps": [1, 1], "losses": [1.0, 2.0]}}}, ArgumentError, "rise strictly"),
        ({"a": {"val": {"steps": [1], "losses": ["x"]}}}, ArgumentError, "numbers as losses"),
        ({"a": {"val": {"steps": [1], "losses": [np.nan]}}}, ArgumentError, "no finite loss"),
    ],
)
def test_bad_runs(runs, error, hint):
    with pytest.raises(error, match=hint):
        LossCurve(runs)


@pytest.mark.parametrize("references", [[2.0], {"a": np.nan}, {"a": "2"}, {"a": [1.0, 2.0]}])
def test_bad_references(references):
    with pytest.raises(ArgumentError, match="reference"):
        LossCurve({"a": {"val": GOOD}}, references=references)
