"""ReliabilityDiagram: arrays, labels, figure, page, errors."""

import json

import numpy as np
import pytest

from minigpt.errors import ArgumentError, ShapeError
from minigpt.viz import ReliabilityDiagram

GOOD = {
    "edges": [0.0, 0.4, 0.7, 1.0],
    "confidence": [0.3, 0.6, 0.9],
    "accuracy": [0.2, 0.55, 0.9],
    "count": [10, 20, 70],
    "low": [0.05, 0.4, 0.8],
    "high": [0.45, 0.7, 0.95],
}


def payload(html):
    line = next(line for line in html.splitlines() if line.startswith("start("))
    return json.loads(line[line.index("{") : line.rindex("}") + 1])


def changed(**changes):
    return {**GOOD, **changes}


def test_arrays_and_error():
    view = ReliabilityDiagram({"a": GOOD})
    model = view.models["a"]
    assert model["ece"] == pytest.approx(0.1 * 0.1 + 0.2 * 0.05)
    assert (model["count"].dtype, model["accuracy"].dtype) == (np.int64, np.float64)
    assert ReliabilityDiagram({"a": changed(ece=0.5)}).models["a"]["ece"] == 0.5


def test_labels_say_which_way_a_model_errs():
    assert ReliabilityDiagram({"a": GOOD}).label("a") == (
        "a: calibration error 0.020, surer than right by 0.020 on average"
    )
    modest = ReliabilityDiagram({"a": changed(accuracy=[0.4, 0.7, 0.9])})
    assert "less sure than right by 0.030" in modest.label("a")
    assert "as sure as right on average" in ReliabilityDiagram({"a": changed(accuracy=[0.3, 0.6, 0.9])}).label("a")
    assert modest.label("a") in modest.alt()


def test_figure():
    view = ReliabilityDiagram({"one": GOOD, "two $x_1$": changed(accuracy=[0.3, 0.6, 0.8])}, title="T", note="N")
    fig = view.fig()
    ax, low = fig.axes
    drawn = [(line.get_xdata(), line.get_ydata()) for line in ax.lines]
    assert any(np.array_equal(x, [0, 1]) and np.array_equal(y, [0, 1]) for x, y in drawn)  # the diagonal
    for model in view.models.values():
        assert any(np.array_equal(x, model["confidence"]) and np.array_equal(y, model["accuracy"]) for x, y in drawn)
    bars = np.concatenate([np.array(lines.get_segments()).reshape(-1, 2, 2) for lines in low.collections])
    np.testing.assert_array_equal(sorted(bars[:, 1, 1]), sorted([10, 20, 70] * 2))
    errors = np.concatenate([np.array(c.get_segments()) for c in ax.collections])
    np.testing.assert_allclose(errors[:3, :, 1], np.transpose([GOOD["low"], GOOD["high"]]))
    texts = [text.get_text() for text in fig.texts]
    assert texts == ["T", "N", f"● {view.label('one')}", f"● {view.label('two $x_1$')}"]
    fig.canvas.draw()
    assert max(text.get_window_extent().x1 for text in fig.texts) <= fig.bbox.x1
    assert ax.get_xlim() == low.get_xlim()


def test_page():
    view = ReliabilityDiagram({"a </script>": GOOD}, note="bins")
    html = view._repr_html_()
    data = payload(html)
    assert data["models"][0]["name"] == "a </script>"
    for key in GOOD:
        assert data["models"][0][key] == GOOD[key]
    assert "calibration error 0.020" in html.split("<script>")[0]  # the alternative text of the picture


def test_saved(tmp_path):
    view = ReliabilityDiagram({"a": GOOD})
    for suffix in ("html", "png", "svg"):
        assert view.save(tmp_path / f"x.{suffix}").stat().st_size > 1000
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("models", "error", "hint"),
    [
        ({}, ArgumentError, "without entries"),
        ([GOOD], ArgumentError, "got list"),
        ({"a": [1]}, ArgumentError, "lacking: list"),
        (
            {"a": {"edges": [0, 1], "count": [1]}},
            ArgumentError,
            r"lacking: \['accuracy', 'confidence', 'high', 'low'\]",
        ),
        ({"a": changed(accuracy=[0.1, 0.2])}, ShapeError, "one entry for each bin"),
        ({"a": changed(edges=[0.5])}, ShapeError, "at least 2 edges"),
        ({"a": changed(accuracy=[20, 55, 90])}, ArgumentError, "not per cent"),
        ({"a": changed(low=[np.nan, 0, 0])}, ArgumentError, "finite"),
        ({"a": changed(high=["x"] * 3)}, ArgumentError, "row of finite numbers"),
        ({"a": changed(count=[0, 1, 2])}, ArgumentError, "leave empty bins out"),
    ],
)
def test_refused(models, error, hint):
    with pytest.raises(error, match=hint):
        ReliabilityDiagram(models)
