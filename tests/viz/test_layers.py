"""LayerStatistics: lines where the values are, zeros named instead of drawn."""

import numpy as np
import pytest

from minigpt.errors import ArgumentError, ShapeError
from minigpt.viz import LayerStatistics, html

VALUES = {
    "good": {"activation": [1.0, 1.5, 2.0], "weight gradient": [0.2, 0.1]},
    "flat": {"activation": [1.0, 0.0, 1e-3], "weight gradient": [0.0, 0.0]},
}


def test_attributes():
    given = {name: {q: np.array(v) for q, v in entry.items()} for name, entry in VALUES.items()}
    view = LayerStatistics(given)
    given["good"]["activation"][:] = 7
    assert view.values["good"]["activation"].tolist() == [1.0, 1.5, 2.0]  # the view owns its arrays
    assert view.names == ["good", "flat"]
    assert view.quantities == ["activation", "weight gradient"]
    assert view.dead("weight gradient") == ["flat"]
    assert view.dead("activation") == []
    assert repr(view) == "LayerStatistics(good, flat; activation, weight gradient)"


def test_units():
    view = LayerStatistics(VALUES, units={"activation": "volts"})
    assert view.units == {"activation": "volts", "weight gradient": ""}
    assert view.fig().axes[0].get_title(loc="left") == "activation, volts"
    assert "activation, volts: good from 1 to 2" in view.alt()
    with pytest.raises(ArgumentError, match=r"units of \['gradient'\], but the quantities are"):
        LayerStatistics(VALUES, units={"gradient": "nats"})


def test_figure():
    fig = LayerStatistics(VALUES, title="A start").fig()
    first, second = fig.axes
    assert first.get_yscale() == second.get_yscale() == "log"
    assert [line.get_xdata().tolist() for line in first.lines] == [[0, 1, 2]] * 2
    assert [line.get_xdata().tolist() for line in second.lines] == [[1, 2]] * 2  # the blocks, beside L + 1 places
    assert first.lines[0].get_ydata().tolist() == [1.0, 1.5, 2.0]
    np.testing.assert_array_equal(first.lines[1].get_ydata(), [1.0, np.nan, 1e-3])
    assert [text.get_text() for text in second.texts] == ["0 in all layers: flat"]
    assert not first.texts
    assert len({line.get_color() for line in first.lines}) == len({line.get_marker() for line in first.lines}) == 2
    assert fig.texts[0].get_text() == "A start"
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["good", "flat"]


def test_only_zeros_and_names_with_signs(tmp_path):
    view = LayerStatistics({"$x$": {"a_b$": [0.0, 0.0]}})
    for name in ("a.png", "a.svg", "a.html"):
        assert view.save(tmp_path / name).stat().st_size > 500


def test_page(read_html):
    view = LayerStatistics(VALUES)
    page = read_html(html.page("t", view.to_html()))
    assert "activation: good from 1 to 2; flat from 1 to 0.001." in page.all("img")[0]["alt"]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({}, ArgumentError, "needs a dict"),
        ([1], ArgumentError, "needs a dict"),
        ({"a": [1]}, ArgumentError, "'a' needs a dict from quantities"),
        ({"a": {"x": [[1]]}}, ShapeError, "one number for each layer"),
        ({"a": {"x": []}}, ShapeError, "one number for each layer"),
        ({"a": {"x": [np.nan]}}, ArgumentError, "finite numbers from 0 up"),
        ({"a": {"x": [-1.0]}}, ArgumentError, "finite numbers from 0 up"),
        ({"a": {"x": [1]}, "b": {"y": [1]}}, ArgumentError, "need the same quantities"),
        ({str(i): {"x": [1]} for i in range(7)}, ArgumentError, "at most 6 names"),
    ],
)
def test_refused(values, error, message):
    with pytest.raises(error, match=message):
        LayerStatistics(values)
