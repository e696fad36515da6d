"""Comparisons and powers by hand."""

import numpy as np
import pytest

from kernels.reference import elementwise


@pytest.mark.parametrize(
    ("relation", "expected"),
    [("<", [1, 0, 0]), ("<=", [1, 1, 0]), (">", [0, 0, 1]), (">=", [0, 1, 1]), ("==", [0, 1, 0]), ("!=", [1, 0, 1])],
)
def test_compare(relation, expected):
    np.testing.assert_array_equal(elementwise.compare(np.array([1, 2, 3]), 2, relation), expected)


def test_power_backward_for_an_array_of_exponents_with_zeros():
    x, e = np.array([0.0, 0.0, 3.0, 3.0]), np.array([0.0, 2.0, 0.0, 2.0])
    np.testing.assert_array_equal(elementwise.power_backward(np.ones(4), x, e), [0, 0, 0, 6])


def test_power_backward_of_the_exponent():
    x, e = np.array([0.0, 2.0]), np.array([3.0, 3.0])
    np.testing.assert_allclose(elementwise.power_backward_exponent(np.ones(2), x, x**e), [0, 8 * np.log(2)])
