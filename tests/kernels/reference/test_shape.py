"""Slices and gathers, forward and back; places named twice add up."""

import numpy as np

from kernels.reference import shape


def test_slice_and_gather_backward_are_transposes_of_forward(rng):
    """<forward(x), dy> = <x, backward(dy)> for every linear map and its transpose."""
    x = rng.normal(size=(4, 5))
    for forward, backward, key in (
        (shape.slice_forward, shape.slice_backward, (slice(None, None, -2), None, 3)),
        (shape.gather, shape.scatter_add, (np.array([0, 0, 3]), slice(1, 3))),
        (shape.gather, shape.scatter_add, rng.random((4, 5)) < 0.5),
    ):
        dy = rng.normal(size=forward(x, key).shape)
        dx = backward(dy, key, x.shape)
        np.testing.assert_allclose(np.sum(forward(x, key) * dy), np.sum(x * dx), rtol=1e-12)


def test_scatter_add_adds():
    dx = shape.scatter_add(np.array([1.0, 10.0, 100.0]), np.array([2, 0, 2]), (3,))
    np.testing.assert_array_equal(dx, [10, 0, 101])
