"""Gradients have memory of their own: nobody else's array changes when one of them does."""

import numpy as np

import minigpt as mg
from minigpt import optim


def leaf(*values):
    return mg.Tensor(list(values), requires_grad=True)


def test_no_two_gradients_share_memory():
    a, b, c, grad = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0), np.ones(2, np.float32)
    h = ((a + b) + c.reshape(1, 2)).retain_grad()
    k = (h + mg.concatenate([a, b, c])[:2] + mg.stack([a, b])[0] + b.T + c.broadcast_to(1, 2)).retain_grad()
    k.backward(grad[None])
    memory = {"a": a.grad, "b": b.grad, "c": c.grad, "h": h.grad, "k": k.grad, "given": grad, "a.data": a.data}
    for one in memory:
        for other in memory:
            assert one == other or not np.shares_memory(memory[one], memory[other]), (one, other)
    for t in (a, b, c):
        assert t.grad.base is None
        assert t.grad.flags.writeable
    before = b.grad.copy()
    a.grad *= 100
    (a * 1.0).sum().backward()
    np.testing.assert_array_equal(b.grad, before)
    np.testing.assert_array_equal(grad, 1)


def test_the_given_gradient_is_not_kept():
    x, grad = leaf(1.0, 2.0), np.ones(2, np.float32)
    x.backward(grad)
    x.backward(grad)
    np.testing.assert_array_equal(grad, 1)
    np.testing.assert_array_equal(x.grad, 2)


class HalfSquare(mg.Op):
    """0.5 * sum x^2, whose gradient is x: kept as an attribute of ctx, which is allowed."""

    @staticmethod
    def forward(ctx, x):
        ctx.x = x
        return 0.5 * np.sum(x * x)

    @staticmethod
    def backward(ctx, dy):
        return ctx.x


def test_a_gradient_that_an_op_took_from_elsewhere_is_copied():
    """Otherwise clipping the gradient would scale the parameter itself."""
    x = leaf(3.0, 4.0)
    HalfSquare.apply(x).backward()
    optim.clip_grad_norm_([x], 1.0)
    np.testing.assert_array_equal(x.numpy(), [3, 4])
    np.testing.assert_allclose(x.grad, [0.6, 0.8], rtol=1e-5)


class AddTwice(mg.Op):
    """2 (a + b): both gradients are the same new array."""

    @staticmethod
    def forward(ctx, a, b):
        return 2 * (a + b)

    @staticmethod
    def backward(ctx, dy):
        g = 2 * dy
        return g, g


def test_one_new_array_for_two_inputs_is_copied():
    a, b = leaf(1.0, 2.0), leaf(1.0, 1.0)
    AddTwice.apply(a, b).sum().backward()
    assert not np.shares_memory(a.grad, b.grad)
    (a * 10.0).sum().backward()
    np.testing.assert_array_equal(a.grad, [12, 12])
    np.testing.assert_array_equal(b.grad, [2, 2])


class AddColumn(mg.Op):
    """a (n,) + b (n, 1) as a row; both gradients are made from one array."""

    @staticmethod
    def forward(ctx, a, b):
        return a + b[:, 0]

    @staticmethod
    def backward(ctx, dy):
        g = dy * 1
        return g, g[:, None]


def test_a_gradient_handed_out_with_a_view_of_itself_is_copied():
    """a accumulates before b's gradient is passed on; if they shared memory, b would get a's sum."""
    a, b = leaf(1.0, 2.0), leaf(1.0, 1.0)
    column = b.reshape(2, 1)
    early = a * 10.0
    (AddColumn.apply(a, column) + early).sum().backward()
    np.testing.assert_array_equal(a.grad, [11, 11])
    np.testing.assert_array_equal(b.grad, [1, 1])
