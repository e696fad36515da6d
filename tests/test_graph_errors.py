"""What backward refuses: freed graphs, wrong shapes, arrays that were overwritten in the meantime."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import nn, optim


def leaf(*values):
    return mg.Tensor(list(values), requires_grad=True)


# --- what cannot be done ----------------------------------------------------------------------------------------


def test_a_second_backward_without_retaining():
    x = leaf(1.0)
    h = x.exp()
    y = h.sum()
    y.backward()
    with pytest.raises(mg.GraphError, match=r"through Sum a second time.*retain_graph=True"):
        y.backward()
    with pytest.raises(mg.GraphError, match="through Exp a second time"):
        (h * 2.0).sum().backward()  # a new op on top of what was freed
    with pytest.raises(mg.GraphError, match=r"freed this graph; backward\(retain_graph=True\)"):
        _ = y.inputs
    assert "op=Exp" in repr(h)


def test_backward_needs_a_single_number_or_a_gradient_of_the_same_shape():
    x = leaf(1.0, 2.0)
    with pytest.raises(mg.GraphError, match=r"single number, this tensor has shape \(2,\).*\.sum\(\)"):
        (x * 2.0).backward()
    for grad in (1.0, [1.0], np.ones((1, 2))):
        with pytest.raises(mg.ShapeError, match=r"the tensor \(2,\); they must be equal"):
            (x * 2.0).backward(grad)
    for grad in ("ones", ["a", "b"], [[1.0], [1.0, 2.0]], [1j, 1j], [None, None]):
        with pytest.raises((mg.ArgumentError, mg.ShapeError)):
            (x * 2.0).backward(grad)
    assert x.grad is None


def test_backward_needs_something_that_requires_a_gradient():
    x = leaf(1.0)
    with mg.no_grad():
        inside = x * 2.0
    for y in (mg.Tensor(1.0), inside, x.detach(), (x > 0), (x.detach() * 2.0)):
        with pytest.raises(mg.GraphError, match="does not depend on anything that requires a gradient"):
            y.backward()


# --- overwritten arrays -----------------------------------------------------------------------------------------


def overwrite(t, how):
    with mg.no_grad():
        if how == "itself":
            t[0] = 9.0
        elif how == "view":
            t[1:].reshape(-1, 1)[0] = 9.0
        elif how == "detached":
            t.detach()[...] = 9.0
        elif how == "wrapped again":
            mg.Tensor(t)[...] = 9.0


@pytest.mark.parametrize("how", ["itself", "view", "detached", "wrapped again"])
@pytest.mark.parametrize(
    ("function", "needed"),
    [
        (lambda x: x * x, "input"),
        (lambda x: x.exp(), "output"),
        (lambda x: x.reshape(1, 3) @ np.ones((3, 1), np.float32) * x, "input"),
        (lambda x: F.layer_norm(x), "input"),
        (lambda x: F.softmax(x.reshape(1, 3)).reshape(3), "output"),
        (lambda x: x.T.log(), "input"),
    ],
)
def test_writing_into_what_backward_needs(function, needed, how):
    x = leaf(1.0, 2.0, 3.0)
    y = function(x)
    overwrite(x if needed == "input" else y, how)
    with pytest.raises(
        mg.GraphError, match=r"needs its .* for backward, but .* overwritten since by t\[\.\.\.\] = value"
    ):
        y.sum().backward()


def test_the_name_of_the_overwritten_tensor_is_said():
    w = mg.Tensor([1.0], requires_grad=True, name="wte.weight")
    y = (w * w).sum()
    overwrite(w, "itself")
    with pytest.raises(mg.GraphError, match=r"Mul needs its wte\.weight for backward"):
        y.backward()


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.1), lambda p: optim.AdamW(p, lr=0.1)])
def test_an_optimizer_step_between_two_passes(make):
    layer = nn.Linear(3, 2, rng=0)
    optimizer = make(layer.parameters())
    x = leaf(1.0, 2.0, 3.0)
    loss = layer(x).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(
        mg.GraphError, match=rf"Linear needs its .* overwritten since by {type(optimizer).__name__}\.step"
    ):
        loss.backward()


def test_loading_parameters_between_forward_and_backward():
    layer = nn.Linear(3, 2, rng=0)
    loss = layer(leaf(1.0, 2.0, 3.0)).sum()
    layer.load_state_dict(nn.Linear(3, 2, rng=1).state_dict())
    with pytest.raises(mg.GraphError, match="overwritten since by load_state_dict"):
        loss.backward()


@pytest.mark.parametrize("kind", ["index", "mask", "condition", "ids", "targets"])
def test_writing_into_integers_and_masks_that_backward_needs(kind):
    """Not only floats: which rows were read, and what was masked, decides where the gradient goes. The write is
    either refused, or backward works on what forward saw.
    """

    def gradient(write):
        x = mg.Tensor(np.sin(np.arange(8.0)).reshape(1, 1, 4, 2), requires_grad=True)
        rows, ids, mask = x[0, 0], mg.Tensor([0, 1]), mg.Tensor(np.ones((4, 4), bool))
        y = {
            "index": lambda: rows[ids],
            "mask": lambda: F.scaled_dot_product_attention(x, x, x, mask=mask),
            "condition": lambda: mg.where(mask[:, :2], rows, 0.0),
            "ids": lambda: F.embedding(ids, rows),
            "targets": lambda: F.cross_entropy(rows[:2], ids),
        }[kind]()
        if write:
            ids[0], mask[0, 1:] = 1, False
        y.sum().backward()
        return x.grad

    expected = gradient(write=False)
    try:
        actual = gradient(write=True)
    except mg.GraphError:
        return
    np.testing.assert_allclose(actual, expected)


@pytest.mark.parametrize("why", ["overwritten", "freed"])
def test_a_refused_backward_changes_no_gradient(why):
    """Half a backward pass would leave gradients that the next, corrected one adds to."""
    w, a = leaf(2.0), leaf(1.0)
    square = (w * w).sum()
    loss = square + (a * 3.0).sum()  # the newer half is walked first
    if why == "freed":
        square.backward()
        w.grad = None
    else:
        overwrite(w, "itself")
    with pytest.raises(mg.GraphError):
        loss.backward()
    assert w.grad is None
    assert a.grad is None


def test_writing_where_backward_does_not_look():
    x, other = leaf(1.0, 2.0), mg.Tensor([5.0, 5.0])
    y = (x + other) * 2.0
    other[0] = 7.0  # a sum does not need what it added
    overwrite(x, "itself")
    h = x * 3.0  # needs neither its own output
    h_sum = h.sum()
    overwrite(h, "itself")
    (y.sum() + h_sum).backward()
    np.testing.assert_array_equal(x.grad, [5, 5])
    done = (x * x).sum()
    done.backward()
    overwrite(x, "itself")  # and after backward all is free


def test_writing_in_place_where_gradients_flow():
    x = leaf(1.0, 2.0)
    for write in (lambda: x.__setitem__(0, 5.0), lambda: mg.Tensor([0.0, 0.0]).__setitem__(0, x[0])):
        with pytest.raises(mg.GraphError, match=r"mg\.where.*no_grad"):
            write()
    with mg.no_grad():
        x[0] = 5.0
    np.testing.assert_array_equal(x.numpy(), [5, 2])
