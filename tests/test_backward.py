"""The backward pass: order, accumulation, several uses of one tensor, very deep graphs, threads."""

import gc
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import ops
from minigpt.tensor import backward_steps


def leaf(*values):
    return mg.Tensor(list(values), requires_grad=True)


def test_gradients_accumulate_in_leaves_and_only_there():
    x = leaf(1.0, 2.0)
    for total in (3, 6):
        y = x * 3.0
        y.sum().backward()
        np.testing.assert_array_equal(x.grad, [total, total])
        assert y.grad is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_leaf_that_is_a_single_number_accumulates_too(dtype):
    """A learned temperature: arithmetic on 0-d arrays gives NumPy scalars, into which nothing can be added."""
    s = mg.Tensor(dtype(3), requires_grad=True)
    (s * s * 2.0 + s.exp() + s / 2.0).backward()
    assert isinstance(s.grad, np.ndarray)
    assert (s.grad.shape, s.grad.dtype) == ((), dtype)
    (s * 5.0).backward()
    np.testing.assert_allclose(s.grad, 12 + np.exp(3) + 0.5 + 5, rtol=1e-6)


def test_every_gradient_is_an_array():
    """Whatever op touched a single number last, `.grad` has shape, dtype and memory that one can write into."""
    functions = [
        lambda x: x + 1.0, lambda x: x - 1.0, lambda x: x * 2.0, lambda x: x / 2.0, lambda x: x**2, lambda x: 2.0**x,
        lambda x: -x, lambda x: x.exp(), lambda x: x.log(), lambda x: x.sqrt(), lambda x: x.tanh(), lambda x: x.abs(),
        lambda x: x.sum(), lambda x: x.mean(), lambda x: x.max(), lambda x: x.var(), lambda x: x[()], lambda x: x[None],
        lambda x: x.reshape(1, 1), lambda x: x.T, lambda x: x.broadcast_to(2), lambda x: x.astype(np.float64), F.relu,
        F.gelu, F.sigmoid, lambda x: F.dropout(x, 0.5, rng=0), lambda x: mg.where(True, x, 0.0),
        lambda x: mg.stack([x]),
    ]  # fmt: skip
    wrong = []
    for i, function in enumerate(functions):
        x = mg.Tensor(np.float32(0.7), requires_grad=True)
        function(x).sum().backward()
        if not isinstance(x.grad, np.ndarray) or x.grad.dtype != np.float32 or not x.grad.flags.writeable:
            wrong.append((i, type(x.grad)))
    assert not wrong


def test_the_same_tensor_twice_in_one_op():
    x = leaf(2.0, 3.0)
    (x * x + (x + x) + x / x).sum().backward()
    np.testing.assert_allclose(x.grad, [6, 8])


def test_diamonds_are_walked_once():
    """y = x + x, sixty levels: a walk without memory would visit 2^60 nodes; the gradient is 2^60."""
    x = mg.Tensor(np.float64([1.0]), requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y
    started = time.perf_counter()
    y.sum().backward()
    assert x.grad[0] == 2.0**60
    assert time.perf_counter() - started < 5


def test_a_node_waits_for_all_its_users():
    """h is used by an op made at once and by one made much later; its own backward must run after both."""
    x = leaf(1.5)
    h = x * x
    early = h * 2.0
    late = h
    for _ in range(10):
        late = late.tanh()
    steps = [(step.op.__name__, step.node.number) for step in backward_steps((early + late).sum())]
    numbers = [number for _, number in steps]
    assert numbers == sorted(numbers, reverse=True)
    assert [name for name, _ in steps].count("Mul") == 2
    assert mg.gradcheck(lambda x: x * x * 2.0 + (x * x).tanh().tanh(), [[1.5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_single_numbers_that_are_used_twice(dtype):
    """NumPy gives numbers, not arrays, for arithmetic without axes; their gradients must add up all the same."""
    a, b = (mg.Tensor(np.array(x, dtype), requires_grad=True) for x in (2.0, 3.0))
    d = a * b
    e = d + b
    (e * d + e * b + d).backward()  # a²b² + 2ab² + b² + ab
    assert a.grad == 2 * 2 * 9 + 2 * 9 + 3
    assert b.grad == 2 * 4 * 3 + 4 * 2 * 3 + 2 * 3 + 2
    assert a.grad.dtype == dtype


def test_a_chain_of_a_hundred_thousand_ops():
    """Neither backward nor throwing the graph away may recurse. Freeing happens in C, where too deep a recursion
    would take pytest with it, hence a process of its own.
    """
    program = """
import minigpt as mg
x = mg.Tensor([1.0], requires_grad=True)
y = x
for _ in range(100_001):
    y = -y
y.backward(retain_graph=True)
del y
print(x.grad[0])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "-1.0"), done.stderr


class Halves(mg.Op):
    """Two float outputs and an integer one."""

    @staticmethod
    def forward(ctx, x):
        middle = len(x) // 2
        return x[:middle] * 2, x[middle:] * 3, np.arange(middle)

    @staticmethod
    def backward(ctx, da, db, dn):
        assert da.shape == db.shape == dn.shape
        return np.concatenate([da * 2, db * 3])


@pytest.mark.parametrize("used", [(0,), (1,), (0, 1)])
def test_outputs_that_nobody_used_count_as_zero(used):
    x = leaf(1.0, 1.0, 1.0, 1.0)
    outputs = Halves.apply(x)
    assert [y.requires_grad for y in outputs] == [True, True, False]
    sum(outputs[i].sum() for i in used).backward()
    np.testing.assert_array_equal(x.grad, [2 * (0 in used)] * 2 + [3 * (1 in used)] * 2)


def test_both_outputs_join_again():
    assert mg.gradcheck(lambda x: Halves.apply(x)[0] * Halves.apply(x)[1] * Halves.apply(x)[0], [np.arange(1.0, 5.0)])


def test_retain_grad_keeps_an_inner_gradient():
    x = leaf(1.0, 2.0)
    h = (x * 2.0).retain_grad()
    a, b = h * 3.0, h * 4.0
    (a + b).sum().backward()
    np.testing.assert_array_equal(h.grad, [7, 7])
    np.testing.assert_array_equal(x.grad, [14, 14])
    assert a.grad is None
    root = (x * 1.0).sum().retain_grad()
    root.backward()
    assert root.grad == 1
    assert x.retain_grad() is x
    with pytest.raises(mg.GraphError, match="does not depend on anything that requires a gradient"):
        mg.Tensor([1.0]).retain_grad()


def test_retain_grad_on_one_of_several_outputs():
    x = leaf(1.0, 1.0)
    first, second, _ = Halves.apply(x)
    second.retain_grad()
    (first.sum() + second.sum() * 5.0).backward()
    assert first.grad is None
    np.testing.assert_array_equal(second.grad, [5])


def test_a_second_pass_over_a_retained_graph():
    x = leaf(3.0)
    h = (x * x).retain_grad()
    y = h.exp().log().sum()
    y.backward(retain_graph=True)
    assert h.inputs == (x, x)
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad, [18], rtol=1e-6)
    np.testing.assert_allclose(h.grad, [3], rtol=1e-6)


def test_a_reader_can_walk_the_graph():
    x = leaf(2.0)
    y = (x * 3.0 + 1.0).tanh()
    assert y.op is ops.Tanh
    (add,) = y.inputs
    assert add.op is ops.Add
    assert add.inputs[0].op is ops.Mul
    assert add.inputs[0].inputs[0] is x
    assert (x.op, x.inputs) == (None, ())
    assert mg.Tensor([1.0]).exp().op is None  # nothing is written down where no gradient is wanted


@pytest.mark.parametrize("backward", [True, False])
def test_a_graph_that_nobody_holds_is_freed_at_once(backward):
    """No reference cycles: memory comes back when the loss goes, not when Python's collector next runs."""
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        inner = (x * 2.0).retain_grad()
        held = weakref.ref(inner)
        y = inner.exp().sum()
        del inner
        assert held() is not None
        if backward:
            y.backward()  # frees what forward saved, though y itself lives on
        else:
            del y
        assert held() is None
    finally:
        gc.enable()


def test_backward_from_a_leaf_and_with_a_given_gradient():
    x = leaf(5.0)
    x.backward()
    x.backward([3.0])
    np.testing.assert_array_equal(x.grad, [4])
    for grad in (np.array([[1.0, 2.0]]), mg.Tensor([[1.0, 2.0]]), [[1, 2]]):
        w = mg.Tensor(np.ones((1, 2), np.float32), requires_grad=True)
        (w * 2.0).backward(grad)
        np.testing.assert_array_equal(w.grad, [[2, 4]])
        assert w.grad.dtype == np.float32


def test_inputs_that_want_no_gradient_get_none():
    a, b = leaf(1.0), mg.Tensor([2.0])
    (a * b).sum().backward()
    assert b.grad is None
    frozen = leaf(1.0)
    y = (frozen * a).sum()
    frozen.requires_grad = False  # frozen after the forward pass
    y.backward()
    assert frozen.grad is None
    np.testing.assert_array_equal(a.grad, [3])


def model_gradients(seed):
    """One forward and backward with every kind of op in it."""
    rng = np.random.default_rng(seed)
    x, w, table = (mg.Tensor(rng.normal(size=s), requires_grad=True) for s in ((4, 6), (6, 18), (9, 6)))
    for _ in range(5):
        h = F.layer_norm(x + F.embedding(rng.integers(0, 9, 4), table))
        h = F.self_attention((h @ w)[None], 2, causal=True, dropout_p=0.3, rng=rng)[0]
        F.cross_entropy(F.dropout(F.gelu(h), 0.2, rng=rng), rng.integers(0, 6, 4)).backward()
    return [t.grad for t in (x, w, table)]


def test_threads_do_not_disturb_each_other():
    expected = [model_gradients(seed) for seed in range(4)]
    results, barrier = [None] * 4, threading.Barrier(4)

    def work(seed):
        barrier.wait(10)
        for _ in range(3):
            results[seed] = model_gradients(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for actual, single in zip(results, expected, strict=True):
        for a, b in zip(actual, single, strict=True):
            np.testing.assert_array_equal(a, b)
