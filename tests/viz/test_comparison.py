"""Comparison: three panels, one curve for each model."""

import numpy as np
import pytest

from minigpt.errors import ArgumentError, ShapeError
from minigpt.viz import Comparison


def view(**changes):
    given = {
        "loss": {"gpt": [3.0, 2.0, 1.5], "rnn": [3.0, 2.5, 2.25]},
        "gradient": {"gpt": [1.0, 0.1, 0.1], "rnn": [1.0, 0.01, 0.0]},
        "recall": {"gpt": ([1, 8], [1.0, 0.9]), "rnn": ([1, 8], [1.0, 0.1])},
    }
    return Comparison(**{**given, **changes})


def test_every_panel_has_every_model():
    axes = view().fig().axes
    assert [ax.get_label() for ax in axes] == ["loss", "gradient", "recall"]
    for ax in axes:
        assert [line.get_label() for line in ax.get_lines()] == ["gpt", "rnn"]
    gradient, recall = axes[1].get_lines()[1].get_ydata(), axes[2].get_lines()[1].get_xydata()
    np.testing.assert_array_equal(gradient, [1.0, 0.01, np.nan])  # a logarithm has no place for 0
    np.testing.assert_array_equal(recall, [[1, 1.0], [8, 0.1]])
    assert view().alt() == (
        "Training loss at the end: gpt 1.50, rnn 2.25. Recall at the longest distance: gpt 90% at 8, rnn 10% at 8."
    )


def test_it_is_saved_whole(tmp_path):
    assert view().save(tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert "Training loss" in view().save(tmp_path / "c.html").read_text(encoding="utf-8")


def test_what_does_not_fit_is_refused():
    with pytest.raises(ArgumentError, match="the same names"):
        view(loss={"gpt": [1.0]})
    with pytest.raises(ArgumentError, match="at least one"):
        Comparison({}, {}, {})
    with pytest.raises(ShapeError, match="2 distances, but 1 accuracies"):
        view(recall={"gpt": ([1, 8], [1.0]), "rnn": ([1], [1.0])})
    with pytest.raises(ShapeError, match=r"loss of 'gpt' must be numbers \(n,\)"):
        view(loss={"gpt": [[1.0]], "rnn": [1.0]})
