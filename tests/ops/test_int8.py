"""Ops on int8 weights: shapes, refusals, and that no gradient passes."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import ops
from minigpt.errors import ArgumentError, BackendError, GraphError, ShapeError

ROWS = pytest.mark.parametrize("row", ["numpy", "cpu"])


def weights(rng, out=4, inner=3):
    return rng.integers(-127, 128, (out, inner)).astype(np.int8), rng.random(out).astype(np.float32)


@ROWS
def test_any_leading_axes(row, rng):
    q, scale = weights(rng)
    x, residual = rng.normal(size=(2, 5, 3)).astype(np.float32), rng.normal(size=(2, 5, 4)).astype(np.float32)
    bias = rng.normal(size=4).astype(np.float32)
    wanted = x @ (q * scale[:, None]).T + bias + residual
    with mg.use(row):
        y = ops.Int8Linear.apply(x, q, scale, bias, residual)
        one = ops.Int8Linear.apply(x[0, 0], q, scale, bias, residual[0, 0])
        rows = ops.Int8Embedding.apply(np.array([[3, 0], [0, 0]]), q, scale)
    assert (y.dtype, one.shape) == (np.float32, (4,))
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(one.numpy(), wanted[0, 0], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(rows.numpy(), (q * scale[:, None])[[[3, 0], [0, 0]]], rtol=1e-6)


def test_what_does_not_fit_is_refused(rng):
    q, scale = weights(rng)
    with pytest.raises(ShapeError, match=r"\(N=2, C=4\).*length 3"):
        ops.Int8Linear.apply(np.ones((2, 4), np.float32), q, scale)
    with pytest.raises(ShapeError, match=r"residual has shape \(2, 3\)"):
        ops.Int8Linear.apply(np.ones((2, 3), np.float32), q, scale, None, np.ones((2, 3), np.float32))
    for ids in ([4], [-1], [0.0]):
        with pytest.raises(ArgumentError):
            ops.Int8Embedding.apply(np.array(ids), q, scale)


def test_no_gradient_passes(rng):
    q, scale = weights(rng)
    x = mg.Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    with pytest.raises(GraphError, match="float model, then quantise"):
        ops.Int8Linear.apply(x, q, scale).sum().backward()


def test_a_row_without_the_kernel_says_so(rng):
    from minigpt.row import row_from_modules

    with pytest.raises(BackendError, match="int8_linear_forward"):
        row_from_modules("cuda", ()).int8_linear_forward()
