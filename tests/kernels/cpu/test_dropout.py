"""Dropout's rungs: masks bit for bit those of the reference, whatever the key, the start and the length."""

import numpy as np
import pytest

from kernels.cpu.ladder import LADDERS
from kernels.reference.dropout import dropout_forward, keep_mask

RUNGS = [step.function for step in LADDERS["dropout"]]


def run(rung, x, p, key, start):
    y = np.full_like(x, 7)
    scale = x.dtype.type(0.0 if p == 1.0 else 1 / (1 - p))
    rung(x, start, np.uint64(key), np.uint64(round(p * 2**32)), scale, y)
    return y


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.__name__)
@pytest.mark.parametrize("key", [0, 1, 2**63, 2**64 - 1])
def test_masks_are_the_reference_ones(rung, key, dtype):
    for n, start in [(1, 0), (15, 1), (1003, 2**20), (64, 2**40), (0, 5)]:
        for p in (0.01, 0.5, 0.999):
            wanted = keep_mask((n, 1), p, key, first_example=start)[:, 0]
            np.testing.assert_array_equal(run(rung, np.ones(n, dtype), p, key, start) != 0, wanted)


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.__name__)
def test_nothing_and_everything_dropped(rung, rng):
    x = rng.standard_normal(1000, dtype=np.float32)
    np.testing.assert_array_equal(run(rung, x, 0.0, 3, 0), x)
    np.testing.assert_array_equal(run(rung, x, 1.0, 3, 0), 0)


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.__name__)
def test_a_nan_is_not_dropped_out_of_sight(rung):
    """x * 0 stays NaN, as in the reference: dropout must not hide that a run has diverged."""
    x = np.full((100, 1), np.nan, np.float32)
    assert np.isnan(dropout_forward(x, 0.5, 3)).all()
    assert np.isnan(run(rung, x[:, 0], 0.5, 3, 0)).all()
