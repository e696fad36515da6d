"""Shared by the tests of the CPU kernels."""

import numpy as np
import pytest

TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-10}


def assert_agree(ours, reference, tolerance=None, what="", floor=0.0):
    """Same shape and dtype, NaN and Inf in the same places, and max|Δ| <= tolerance * max|reference| elsewhere.

    ours, reference: an array each, or equally long tuples of arrays, None where there is none.
    floor: counts instead of max|reference| where that is smaller: a difference of large numbers may be all rounding.
    """
    if isinstance(reference, tuple | list):
        assert len(ours) == len(reference), what
        for i, (a, b) in enumerate(zip(ours, reference, strict=True)):
            assert_agree(a, b, tolerance, f"{what} output {i}", floor)
        return
    if reference is None:
        assert ours is None, what
        return
    assert ours.shape == reference.shape, what
    assert ours.dtype == reference.dtype, what
    for special in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(special(ours), special(reference), err_msg=f"{what}: {special.__name__}")
    finite = np.isfinite(reference)
    if finite.any():
        a, b = ours[finite].astype(np.float64), reference[finite].astype(np.float64)
        worst, largest = np.abs(a - b).max(), max(np.abs(b).max(), floor)
        allowed = (tolerance or TOLERANCE[reference.dtype]) * largest
        assert worst <= allowed, f"{what}: max|Δ| {worst:.3g} > {allowed:.3g}, max|reference| {largest:.3g}"


@pytest.fixture
def agree():
    return assert_agree


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param
