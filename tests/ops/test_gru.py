"""The gated recurrent unit over all steps."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F

SHAPES = [(2, 3, 6), (6, 2), (6,), (2, 2)]


def in_parts(a, w_hh, b_hh, h):
    n, outputs = h.shape[1], []
    for t in range(a.shape[1]):
        p = h @ w_hh.T + b_hh
        r, z = (F.sigmoid(a[:, t, k * n : (k + 1) * n] + p[:, k * n : (k + 1) * n]) for k in (0, 1))
        candidate = (a[:, t, 2 * n :] + r * p[:, 2 * n :]).tanh()
        h = (1 - z) * candidate + z * h
        outputs.append(h)
    return F.stack(outputs, axis=1), h


@pytest.mark.parametrize("lengths", [None, [3, 1], [2, 3]], ids=str)
def test_gradients(lengths, rng):
    arrays = [rng.normal(size=shape) for shape in SHAPES]
    assert mg.gradcheck(lambda *given: F.gru(*given, lengths=lengths), arrays)


def test_one_op_equals_separate_ones(rng):
    arrays = [rng.normal(size=shape) for shape in SHAPES]
    found = []
    for function in (F.gru, in_parts):
        leaves = [mg.Tensor(a, requires_grad=True) for a in arrays]
        y, h = function(*leaves)
        ((y * y).sum() + h.exp().sum()).backward()
        found.append([y.numpy(), h.numpy(), *(leaf.grad for leaf in leaves)])
    for fused, separate in zip(*found, strict=True):
        np.testing.assert_allclose(fused, separate, rtol=1e-11, atol=1e-13)


def test_an_update_gate_that_is_open_keeps_the_state(rng):
    a = np.zeros((1, 5, 6))
    a[..., 2:4] = 1e4
    h0 = rng.normal(size=(1, 2))
    y, h = F.gru(a, np.zeros((6, 2)), np.zeros(6), h0)
    np.testing.assert_array_equal(h.numpy(), h0)
    np.testing.assert_array_equal(y.numpy(), np.repeat(h0[:, None], 5, axis=1))


def test_shapes_must_fit():
    arrays = [np.ones(shape) for shape in SHAPES]
    with pytest.raises(mg.ShapeError, match=r"b_hh has shape \(2,\), needs \(3 hidden,\)"):
        F.gru(arrays[0], arrays[1], np.ones(2), arrays[3])
    with pytest.raises(mg.ShapeError, match="3 hidden"):
        F.gru(np.ones((2, 3, 8)), *arrays[1:])
