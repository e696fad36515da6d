"""int8 weights against what is worked out by hand, and how far rounding can go."""

import numpy as np
import pytest

from kernels.reference.int8 import int8_embedding_forward, int8_linear_forward, int8_quantize


def test_a_matrix_by_hand():
    q, scale = int8_quantize(np.array([[1.27, -0.5, 0.016], [0.0, 0.0, 0.0], [-254.0, 2.0, 3.1]], np.float32))
    assert q.dtype == np.int8
    assert q.tolist() == [[127, -50, 2], [0, 0, 0], [-127, 1, 2]]
    np.testing.assert_allclose(scale, [0.01, 1, 2], rtol=1e-6)
    y = int8_linear_forward(np.array([[1.0, 2.0, 3.0]], np.float32), q, scale, np.ones(3, np.float32))
    np.testing.assert_allclose(y, [[0.01 * (127 - 100 + 6) + 1, 1, 2 * (-127 + 2 + 6) + 1]], rtol=1e-6)
    np.testing.assert_allclose(int8_embedding_forward(np.array([2, 0]), q, scale)[0], [-254, 2, 4])


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e30])
def test_no_weight_is_off_by_more_than_half_a_step(size, rng):
    weight = (rng.normal(size=(40, 33)) * size).astype(np.float32)
    q, scale = int8_quantize(weight)
    assert np.abs(q.astype(int)).max(axis=1).tolist() == [127] * 40  # the whole range is used, and -128 is not
    error = np.abs(q * scale[:, None].astype(np.float64) - weight)
    assert (error <= 0.5001 * scale[:, None]).all()


def test_signs_and_ties_are_symmetric(rng):
    weight = rng.normal(size=(5, 9)).astype(np.float32)
    np.testing.assert_array_equal(int8_quantize(-weight)[0], -int8_quantize(weight)[0])
