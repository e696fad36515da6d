"""Softmax rows by hand."""

import numpy as np

from kernels.reference import softmax


def test_odds_of_one_to_three():
    x = np.log(np.array([[1.0, 3.0], [2.0, 2.0]]))
    np.testing.assert_allclose(softmax.softmax_forward(x), [[0.25, 0.75], [0.5, 0.5]])
    np.testing.assert_allclose(softmax.log_softmax_forward(x), np.log([[0.25, 0.75], [0.5, 0.5]]))


def test_backward_is_the_jacobian_transposed(rng):
    """d y_i / d x_j = y_i (1[i = j] - y_j), written out as a matrix."""
    y = softmax.softmax_forward(rng.normal(size=(1, 4)))
    dy = rng.normal(size=(1, 4))
    jacobian = np.diag(y[0]) - np.outer(y[0], y[0])
    np.testing.assert_allclose(softmax.softmax_backward(dy, y)[0], jacobian.T @ dy[0], rtol=1e-12)
    log_jacobian = np.eye(4) - y[0]  # d log y_i / d x_j = 1[i = j] - y_j
    np.testing.assert_allclose(softmax.log_softmax_backward(dy, np.log(y))[0], log_jacobian.T @ dy[0], rtol=1e-12)


def test_a_row_that_sees_nothing():
    x = np.full((2, 3), -np.inf)
    np.testing.assert_array_equal(softmax.softmax_forward(x), 0)
    np.testing.assert_array_equal(softmax.softmax_backward(np.ones((2, 3)), np.zeros((2, 3))), 0)
