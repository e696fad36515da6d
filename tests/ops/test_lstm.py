"""The element-wise half of an LSTM step, which has two outputs."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F


def in_parts(a, c_prev):
    n = c_prev.shape[1]
    i, f, g, o = (a[:, k * n : (k + 1) * n] for k in range(4))
    c = F.sigmoid(f) * c_prev + F.sigmoid(i) * g.tanh()
    return F.sigmoid(o) * c.tanh(), c


@pytest.mark.parametrize("shape", [(2, 3), (1, 1), (0, 2), (3, 0)], ids=str)
def test_gradient_of_both_outputs(shape, rng):
    B, hidden = shape
    arrays = [rng.normal(size=(B, 4 * hidden)), rng.normal(size=shape)]
    assert mg.gradcheck(F.lstm_cell, arrays)
    for actual, expected in zip(F.lstm_cell(*arrays), in_parts(*map(mg.Tensor, arrays)), strict=True):
        np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=1e-13)


@pytest.mark.parametrize("output", [0, 1])
def test_gradient_when_only_one_output_is_used(output, rng):
    arrays = [rng.normal(size=(2, 8)), rng.normal(size=(2, 2))]
    assert mg.gradcheck(lambda a, c: F.lstm_cell(a, c)[output], arrays)


def test_two_steps_with_shared_weights_equal_separate_ops(rng):
    x, w, c0 = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 8)), rng.normal(size=(2, 2))

    def run(cell):
        leaves = [mg.Tensor(a, requires_grad=True) for a in (x, w, c0)]
        c, total = leaves[2], 0.0
        for t in range(3):
            h, c = cell(leaves[0][:, t] @ leaves[1], c)
            total = total + (h * h).sum()
        total.backward()
        return [leaf.grad for leaf in leaves]

    for fused, separate in zip(run(F.lstm_cell), run(in_parts), strict=True):
        np.testing.assert_allclose(fused, separate, rtol=1e-11, atol=1e-13)


def test_saturated_gates():
    """An open forget gate and a shut input gate carry the cell through unchanged; nothing overflows."""
    a = mg.Tensor(np.array([[-1e4, 1e4, 1e4, 1e4]], np.float32), requires_grad=True)
    h, c = F.lstm_cell(a, np.array([[0.5]], np.float32))
    (h + c).sum().backward()
    np.testing.assert_array_equal(c.numpy(), [[0.5]])
    np.testing.assert_allclose(h.numpy(), np.tanh([[0.5]]), rtol=1e-6)
    np.testing.assert_array_equal(a.grad, 0)


@pytest.mark.parametrize("shapes", [((2, 8), (2, 3)), ((2, 8), (1, 2)), ((8,), (2,)), ((2, 8), (2,))])
def test_shapes_must_fit(shapes):
    with pytest.raises(mg.ShapeError, match=r"must be \(B, 4 hidden\) and \(B, hidden\)"):
        F.lstm_cell(*(np.ones(shape) for shape in shapes))


# --- all steps of a layer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [None, [3, 1], [2, 3]], ids=str)
def test_gradients_of_a_layer(lengths, rng):
    arrays = [rng.normal(size=s) for s in [(2, 3, 8), (8, 2), (2, 2), (2, 2)]]
    assert mg.gradcheck(lambda *given: F.lstm(*given, lengths=lengths), arrays)


def test_a_layer_is_its_cell_step_by_step(rng):
    a, w, h0, c0 = (rng.normal(size=s) for s in [(3, 4, 8), (8, 2), (3, 2), (3, 2)])

    def run(in_one):
        leaves = [mg.Tensor(x, requires_grad=True) for x in (a, w, h0, c0)]
        steps, weight, h, c = leaves
        if in_one:
            y, h, c = F.lstm(steps, weight, h, c)
        else:
            outputs = []
            for t in range(4):
                h, c = F.lstm_cell(steps[:, t] + h @ weight.T, c)
                outputs.append(h)
            y = F.stack(outputs, axis=1)
        ((y * y).sum() + (h * c).sum()).backward()
        return [y.numpy(), h.numpy(), c.numpy(), *(leaf.grad for leaf in leaves)]

    for fused, separate in zip(run(True), run(False), strict=True):
        np.testing.assert_allclose(fused, separate, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3, 8), (8, 3), (2, 2), (2, 2)), r"must be \(B, T, 4 hidden\) and \(4 hidden, hidden\)"),
        (((2, 3, 8), (8, 2), (3, 2), (2, 2)), r"h0 has shape \(3, 2\), needs \(B, hidden\) = \(2, 2\)"),
        (((2, 3, 8), (8, 2), (2, 2), (2,)), r"c0 has shape \(2,\)"),
        (((2, 8), (8, 2), (2, 2), (2, 2)), "a has shape"),
    ],
)
def test_shapes_of_a_layer(shapes, message):
    with pytest.raises(mg.ShapeError, match=message):
        F.lstm(*(np.ones(shape) for shape in shapes))
