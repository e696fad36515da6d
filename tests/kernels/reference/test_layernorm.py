"""A row normalised by hand, and the gradient as a matrix."""

import numpy as np

from kernels.reference.layernorm import layernorm_backward, layernorm_forward


def test_a_row_by_hand():
    """Mean 4, variance (9 + 1 + 1 + 9) / 4 = 5, divided by n and not n - 1."""
    x = np.array([[1.0, 3.0, 5.0, 7.0]])
    y, mean, rstd = layernorm_forward(x, None, None, eps=0.0)
    np.testing.assert_allclose(mean, [[4]])
    np.testing.assert_allclose(rstd, [[5**-0.5]])
    np.testing.assert_allclose(y, np.array([[-3, -1, 1, 3]]) / 5**0.5)


def test_backward_is_the_jacobian_transposed(rng):
    """d xhat_i / d x_j = rstd * (1[i = j] - 1/C - xhat_i xhat_j / C) for eps = 0."""
    x, dy, weight = rng.normal(size=(3, 1, 5))
    xhat, mean, rstd = layernorm_forward(x, None, None, eps=0.0)
    jacobian = rstd * (np.eye(5) - 1 / 5 - np.outer(xhat, xhat) / 5)
    dx, dweight, dbias = layernorm_backward(dy, x, weight[0], mean, rstd)
    np.testing.assert_allclose(dx[0], jacobian.T @ (dy * weight)[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dweight, (dy * xhat)[0], rtol=1e-12)
    np.testing.assert_allclose(dbias, dy[0])
