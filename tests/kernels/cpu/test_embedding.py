"""The rungs of the look-up and of its transpose: rows that repeat, rows that nobody asks for, order of the sums."""

import numpy as np
import pytest

from kernels.cpu.ladder import LADDERS

FORWARD = [step.function for step in LADDERS["embedding_forward"]]
BACKWARD = [step.function for step in LADDERS["embedding_backward"]]


@pytest.mark.parametrize("rung", FORWARD, ids=lambda rung: rung.__name__)
def test_rows_are_copied_bit_for_bit(rung, dtype, rng):
    weight = rng.normal(size=(9, 65)).astype(dtype)
    weight[4, :3] = np.nan, np.inf, -0.0
    ids = rng.integers(0, 9, 200)
    y = np.full((200, 65), 7, dtype)
    rung(ids, weight, y)
    assert y.tobytes() == weight[ids].tobytes()


@pytest.mark.parametrize("rung", BACKWARD, ids=lambda rung: rung.__name__)
def test_rows_of_one_id_are_added_in_order(rung):
    """1e8 + 1 - 1e8 is 0 in float32, and 1 in any order that brings the large ones together."""
    dy = np.float32([[1e8], [1], [-1e8]]) * np.ones(70, np.float32)
    dweight = np.zeros((3, 70), np.float32)
    rung(dy, np.array([2, 2, 2]), dweight)
    assert not dweight.any()
    rung(dy[[0, 2, 1]], np.array([2, 2, 2]), dweight)
    assert (dweight == [[0], [0], [1]]).all()


@pytest.mark.parametrize("rung", BACKWARD, ids=lambda rung: rung.__name__)
def test_what_is_there_is_added_to(rung, dtype, rng):
    dy = rng.normal(size=(50, 33)).astype(dtype)
    ids = rng.integers(0, 4, 50)
    dweight = np.full((6, 33), 0.5, dtype)
    wanted = dweight.copy()
    np.add.at(wanted, ids, dy)
    rung(dy, ids, dweight)
    np.testing.assert_array_equal(dweight, wanted)
