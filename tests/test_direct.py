"""Numbers worked out by hand and written down, in case every helper that other tests rely on were broken."""

import math

import numpy as np

import minigpt as mg
from minigpt import functional as F
from minigpt import ops


def test_a_neuron():
    """y = tanh(w1 x1 + w2 x2 + b) with w1 x1 + w2 x2 + b = ln 2: tanh = (4 - 1) / (4 + 1) = 0.6, slope 1 - 0.36."""
    x1, x2, w1, w2 = (mg.Tensor(np.float64(v), requires_grad=True) for v in (2.0, 0.5, -3.0, 1.0))
    b = mg.Tensor(np.float64(5.5 + math.log(2)), requires_grad=True)
    y = (x1 * w1 + x2 * w2 + b).tanh()
    y.backward()
    assert math.isclose(y.item(), 0.6)
    for t, expected in ((x1, -3 * 0.64), (w1, 2 * 0.64), (x2, 0.64), (w2, 0.5 * 0.64), (b, 0.64)):
        assert math.isclose(float(t.grad), expected)


def test_a_matrix_product():
    a = mg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    b = mg.Tensor([[5.0], [6.0]], requires_grad=True)
    y = a @ b
    assert y.numpy().tolist() == [[17.0], [39.0]]
    y.backward(np.array([[1.0], [10.0]]))
    assert a.grad.tolist() == [[5.0, 6.0], [50.0, 60.0]]  # dy b^T
    assert b.grad.tolist() == [[31.0], [42.0]]  # a^T dy


def test_a_bias_that_is_used_by_every_row():
    bias = mg.Tensor([0.0, 1.0], requires_grad=True)
    y = mg.Tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]) + bias
    (y * y).sum().backward()
    assert bias.grad.tolist() == [18.0, 30.0]  # 2 * (1 + 3 + 5), 2 * (3 + 5 + 7)


def test_softmax_and_cross_entropy():
    logits = mg.Tensor(np.log([[1.0, 2.0, 5.0]]), requires_grad=True)
    loss = F.cross_entropy(logits, [1])
    loss.backward()
    assert math.isclose(loss.item(), math.log(4))  # -ln(2 / 8)
    np.testing.assert_allclose(logits.grad, [[0.125, -0.75, 0.625]], rtol=1e-12)


def test_the_mean_loss_divides_the_gradient_by_the_number_of_targets():
    logits = mg.Tensor(np.zeros((4, 2)), requires_grad=True)
    F.cross_entropy(logits, [0, 1, -100, 1]).backward()
    np.testing.assert_allclose(logits.grad * 6, [[-1, 1], [1, -1], [0, 0], [1, -1]])


def test_attention_over_two_keys():
    """Scores ln 3 and 0 give weights 3/4 and 1/4; y = 3/4 * 8 + 1/4 * 4 = 7; dscore_1 = 3/4 * (8 - 7) = 3/4."""
    q = mg.Tensor(np.full((1, 1, 1, 1), math.log(3)), requires_grad=True)
    k = mg.Tensor(np.array([1.0, 0.0]).reshape(1, 1, 2, 1), requires_grad=True)
    v = mg.Tensor(np.array([8.0, 4.0]).reshape(1, 1, 2, 1), requires_grad=True)
    y = F.scaled_dot_product_attention(q, k, v)
    y.backward()
    assert math.isclose(y.item(), 7)
    np.testing.assert_allclose(v.grad.ravel(), [0.75, 0.25])
    np.testing.assert_allclose(k.grad.ravel(), [0.75 * math.log(3), -0.75 * math.log(3)])
    np.testing.assert_allclose(q.grad.ravel(), [0.75])


def test_the_default_scale_is_one_over_the_root_of_the_head_width():
    q, k = np.full((1, 1, 1, 4), 1.0), np.zeros((1, 1, 2, 4))
    k[0, 0, 0] = math.log(3) / 2  # q . k = 2 ln 3, divided by sqrt 4
    _, weights = F.attention_with_weights(q, k, k)
    np.testing.assert_allclose(weights.numpy().ravel(), [0.75, 0.25])


def test_layer_norm_of_a_row():
    """Mean 4, variance 5: y = (x - 4) / sqrt 5 * 10 + 1."""
    y = F.layer_norm(mg.Tensor(np.array([1.0, 3.0, 5.0, 7.0])), np.full(4, 10.0), np.ones(4), eps=0.0)
    np.testing.assert_allclose(y.numpy(), np.array([-30, -10, 10, 30]) / math.sqrt(5) + 1)


def test_repeated_ids_add_up():
    weight = mg.Tensor(np.zeros((3, 1)), requires_grad=True)
    F.embedding([2, 0, 2], weight).backward([[1.0], [10.0], [100.0]])
    assert weight.grad.tolist() == [[10.0], [0.0], [101.0]]


def test_max_shares_and_var_divides_by_n():
    x = mg.Tensor([1.0, 4.0, 4.0], requires_grad=True)
    (x.max() + x.var() * 3.0).backward()  # var = (4 + 1 + 1) / 3 = 2, slope 2 (x - 3) / 3
    assert x.var().item() == 2
    np.testing.assert_allclose(x.grad, [-4, 0.5 + 2, 0.5 + 2])


def test_an_lstm_step():
    """All gates one half (a = 0) but g = tanh(a_g) = 0.6: c = 0.5 * 2 + 0.5 * 0.6 = 1.3, h = 0.5 tanh 1.3."""
    a = mg.Tensor(np.array([[0, 0, math.log(2), 0.0]]), requires_grad=True)
    c_prev = mg.Tensor(np.array([[2.0]]), requires_grad=True)
    h, c = ops.LSTMCell.apply(a, c_prev)
    c.backward()
    assert math.isclose(c.item(), 1.3)
    assert math.isclose(h.item(), 0.5 * math.tanh(1.3))
    np.testing.assert_allclose(a.grad, [[0.25 * 0.6, 0.25 * 2, 0.5 * 0.64, 0]])
    np.testing.assert_allclose(c_prev.grad, [[0.5]])


def test_dropout_enlarges_what_is_left():
    y = F.dropout(mg.Tensor(np.ones(64)), 0.75, rng=0).numpy()
    assert set(y.tolist()) == {0.0, 4.0}


def test_a_line_is_fitted():
    """Gradient descent on y = 3 x - 1 from 4 points: no helper, no optimizer, only backward."""
    x = np.array([-1.0, 0.0, 1.0, 2.0])
    slope, offset = mg.Tensor([0.0], requires_grad=True), mg.Tensor([0.0], requires_grad=True)
    for _ in range(200):
        slope.grad = offset.grad = None
        ((slope * x + offset - (3 * x - 1)) ** 2).mean().backward()
        with mg.no_grad():
            slope[...] = slope.data - 0.2 * slope.grad
            offset[...] = offset.data - 0.2 * offset.grad
    np.testing.assert_allclose([slope.item(), offset.item()], [3, -1], atol=1e-4)
