"""Bugs planted in the engine, one at a time: each must be found by gradcheck or by a check that is named here.

A test suite that passes says little until it has been seen to fail. Each bug is a classic that runs without an error
and trains, only worse.
"""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

import minigpt as mg
import minigpt.tensor
from minigpt import backend, ops
from minigpt import functional as F

ROW = backend.load("numpy")
X = np.sin(np.arange(12.0)).reshape(3, 4)
W = np.cos(np.arange(20.0)).reshape(4, 5)
HEADS = np.sin(np.arange(24.0) * 1.7).reshape(1, 2, 3, 4)


def gradient_of(function, *arrays):
    def check():
        assert mg.gradcheck(function, list(arrays))

    return check


@contextmanager
def row_with(monkeypatch, **functions):
    """A row of the kernel table with some functions replaced, in use inside the block."""
    row = replace(ROW, name="planted", **functions)
    load = backend.load
    with monkeypatch.context() as patch:
        patch.setattr(backend, "load", lambda name: row if name == "planted" else load(name))
        with mg.use("planted"):
            yield


# --- the bugs: wrong versions of a kernel ---------------------------------------------------------------------------


def linear_backward_transposed(dy, x, weight, needs):
    """dweight = (dy^T x)^T would be right; without the last transpose it fits only square weights, so reshape it."""
    dx, _, dbias = ROW.linear_backward(dy, x, weight, needs)
    return dx, np.matmul(dy.T, x).reshape(weight.shape), dbias


def softmax_backward_without_sum(dy, y):
    return y * dy


def layernorm_forward_n_minus_1(x, weight=None, bias=None, eps=1e-5):
    _, mean, _ = ROW.layernorm_forward(x, weight, bias, eps)
    rstd = 1 / np.sqrt(np.var(x, axis=-1, keepdims=True, ddof=1) + eps)
    return (x - mean) * rstd * weight + bias, mean, rstd


def attention_backward_without_scale(dy, q, k, v, y, lse, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    dq, dk, dv = ROW.attention_backward(dy, q, k, v, y, lse, mask, causal, scale, dropout)
    return dq / scale, dk / scale, dv


def attention_forward_without_scale(q, k, v, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    return ROW.attention_forward(q, k, v, mask, causal, 1.0, dropout)


def attention_forward_mask_after_softmax(q, k, v, mask=None, causal=False, scale=1.0, dropout=(0.0, 0, 0)):
    scores = np.matmul(q, np.swapaxes(k, -1, -2)) * scale
    weights = ROW.softmax_forward(scores) * np.tri(q.shape[-2], k.shape[-2], dtype=bool)  # rows no longer sum to 1
    return np.matmul(weights, v), np.log(np.sum(np.exp(scores), axis=-1))


def gelu_backward_wrong_constant(dy, x, approximate="tanh"):
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.0447 * x**2))


def embedding_backward_overwriting(dy, ids, n):
    dweight = np.zeros((n, dy.shape[-1]), dy.dtype)
    dweight[ids] = dy
    return dweight


def scatter_add_overwriting(dy, key, shape):
    dx = np.zeros(shape, dy.dtype)
    dx[key] += dy  # looks like adding up; for repeated places it is not
    return dx


def max_backward_all_get_everything(dy, x, y, axis):
    return dy * (x == y)


def dropout_unscaled(x, p, key=0, first_example=0):
    return ROW.dropout_forward(x, p, key, first_example) * (1 - p)


def lstm_backward_forgetting_the_output_path(dh, dc, gates, c_prev, c):
    _, f, _, _ = np.split(gates, 4, axis=-1)
    da, _ = ROW.lstm_cell_backward(dh, dc, gates, c_prev, c)
    return da, dc * f  # the part of dc that comes through h is missing


# --- the checks that must find them ---------------------------------------------------------------------------------


def attention_equals_its_parts():
    fused = F.scaled_dot_product_attention(HEADS, HEADS, HEADS, causal=True)
    separate, weights = F.attention_with_weights(HEADS, HEADS, HEADS, causal=True)
    np.testing.assert_allclose(weights.numpy().sum(axis=-1), 1)
    np.testing.assert_allclose(fused.numpy(), separate.numpy(), rtol=1e-10)


def dropout_keeps_the_mean():
    assert abs(F.dropout(np.ones(100_000), 0.5, rng=0).numpy().mean() - 1) < 0.02


def ties_share():
    x = mg.Tensor([2.0, 2.0], requires_grad=True)
    x.max().backward()
    np.testing.assert_array_equal(x.grad, [0.5, 0.5])


def repeated_ids_add_up():
    return gradient_of(lambda w: F.embedding([1, 1, 0], w), W)()


layer_norm = gradient_of(lambda x, w, b: F.layer_norm(x, w, b), X, W[:, 0], W[:, 1])
attention = gradient_of(lambda q: F.scaled_dot_product_attention(q, q, q, causal=True), HEADS)
lstm = gradient_of(lambda a, c: F.lstm_cell(a, c), X, X[:, :1])

KERNEL_BUGS = {
    "transposed weight gradient": ({"linear_backward": linear_backward_transposed}, gradient_of(F.linear, X, W)),
    "softmax backward without the sum": ({"softmax_backward": softmax_backward_without_sum}, gradient_of(F.softmax, X)),
    "layer norm with n - 1": ({"layernorm_forward": layernorm_forward_n_minus_1}, layer_norm),
    "scale missing in attention's gradient": ({"attention_backward": attention_backward_without_scale}, attention),
    "scale missing in attention": ({"attention_forward": attention_forward_without_scale}, attention_equals_its_parts),
    "mask after softmax": ({"attention_forward": attention_forward_mask_after_softmax}, attention_equals_its_parts),
    "wrong gelu constant": ({"gelu_backward": gelu_backward_wrong_constant}, gradient_of(F.gelu, 3 * X)),
    "embedding overwrites repeated ids": ({"embedding_backward": embedding_backward_overwriting}, repeated_ids_add_up),
    "gather overwrites repeated places": (
        {"scatter_add": scatter_add_overwriting},
        gradient_of(lambda x: x[[0, 2, 0]], X),
    ),
    "every tie of max gets the whole gradient": ({"max_backward": max_backward_all_get_everything}, ties_share),
    "dropout without 1 / (1 - p)": ({"dropout_forward": dropout_unscaled}, dropout_keeps_the_mean),
    "lstm without the path through h": ({"lstm_cell_backward": lstm_backward_forgetting_the_output_path}, lstm),
}


@pytest.mark.parametrize("name", KERNEL_BUGS)
def test_a_wrong_kernel_is_found(name, monkeypatch):
    functions, check = KERNEL_BUGS[name]
    check()
    with row_with(monkeypatch, **functions), pytest.raises(AssertionError):
        check()
    check()


# --- bugs in ops and in the tape ------------------------------------------------------------------------------------


def cross_entropy_without_count(ctx, dloss):
    ctx.scale = 1.0
    return RIGHT_CROSS_ENTROPY(ctx, dloss)


def sub_with_wrong_sign(ctx, dy):
    return dy, dy


def mul_with_swapped_factors(ctx, dy):
    a, b = ctx.saved
    return RIGHT_MUL(ctx, dy) if a is None or b is None else (dy * a, dy * b)


def accumulate_overwriting(tensor, grad, row, fresh):
    tensor.grad = row.copy(grad)


def accumulate_sharing(tensor, grad, row, fresh):
    if tensor.grad is None:
        tensor.grad = grad
    else:
        row.add_into(tensor.grad, grad)


def all_sums_equal(row, dy, shape):
    return np.broadcast_to(dy.reshape(-1)[0], shape)  # the right shape, but nothing is summed


RIGHT_CROSS_ENTROPY, RIGHT_MUL = ops.CrossEntropy.backward, ops.Mul.backward


def no_aliasing():
    a, b = (mg.Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    (a + b).backward([1.0, 1.0])
    (a * 1.0).sum().backward()
    np.testing.assert_array_equal(b.grad, [1, 1])


def two_batches_add_up():
    x = mg.Tensor([1.0], requires_grad=True)
    for _ in range(2):
        (x * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [6])


ENGINE_BUGS = {
    "no sum over broadcast axes": (
        "minigpt.ops.elementwise.unbroadcast", all_sums_equal, gradient_of(lambda x, b: x + b, X, X[0]),
    ),
    "cross entropy gradient not divided by the count": (
        "minigpt.ops.CrossEntropy.backward", staticmethod(cross_entropy_without_count),
        gradient_of(lambda x: F.cross_entropy(x, [0, 3, -100]), X),
    ),
    "subtraction with the sign of addition": (
        "minigpt.ops.Sub.backward", staticmethod(sub_with_wrong_sign), gradient_of(lambda a, b: a - b, X, X),
    ),
    "product rule with the factors swapped": (
        "minigpt.ops.Mul.backward", staticmethod(mul_with_swapped_factors), gradient_of(lambda a, b: a * b, X, 2 * X),
    ),
    "= for += in a leaf used twice": (
        "minigpt.backpropagation.accumulate", accumulate_overwriting, gradient_of(lambda x: x.exp() + x.tanh(), X),
    ),
    "= for += over two batches": ("minigpt.backpropagation.accumulate", accumulate_overwriting, two_batches_add_up),
    "two leaves share one gradient array": ("minigpt.backpropagation.accumulate", accumulate_sharing, no_aliasing),
    "oldest node first": (
        "minigpt.backpropagation.nodes_newest_first", lambda root: oldest_first(root),
        gradient_of(lambda x: (x * x).exp(), X),
    ),
}  # fmt: skip

newest_first = minigpt.backpropagation.nodes_newest_first


def oldest_first(root):
    return newest_first(root)[::-1]


@pytest.mark.parametrize("name", ENGINE_BUGS)
def test_a_wrong_engine_is_found(name, monkeypatch):
    place, bug, check = ENGINE_BUGS[name]
    check()
    with monkeypatch.context() as patch:
        patch.setattr(place, bug)
        with pytest.raises(AssertionError):
            check()
    check()
