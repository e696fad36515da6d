"""source_rows and source_mask: what lists of different lengths become."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.models.source import source_mask, source_rows


def test_rows_are_filled_up_and_masked():
    ids, mask = source_rows([[5], [6, 7, 8]])
    assert ids.tolist() == [[5, 0, 0], [6, 7, 8]]
    assert mask.tolist() == [[True, False, False], [True, True, True]]
    assert source_mask(mask, (2, 3)).shape == (2, 1, 1, 3)


def test_equal_lengths_need_no_mask():
    ids, mask = source_rows([[5, 1], [6, 7]])
    assert ids.tolist() == [[5, 1], [6, 7]]
    assert mask is None
    array = np.array([[1, 2]], np.uint16)
    assert source_rows(array)[0] is array
    assert source_mask(None, (1, 2)) is None


@pytest.mark.parametrize("src", [[], [[]], [[1], []], np.zeros((0,), int), [[1.5], [2.5]], [3, 4]])
def test_no_sources(src):
    with pytest.raises(mg.ShapeError):
        source_rows(src)
