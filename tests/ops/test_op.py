"""A student's own op: a subclass of mg.Op with forward and backward, and what is said when it is not right."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F


class Square(mg.Op):
    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return x * x

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved
        return 2 * x * dy


class ScaledSum(mg.Op):
    """factor * (a + b), b optional, and how often a was largest; settings by keyword, two outputs."""

    @staticmethod
    def forward(ctx, a, b, factor=1.0):
        ctx.factor, ctx.has_b = factor, b is not None
        total = a if b is None else a + b
        return factor * total, np.maximum(total, 0)

    @staticmethod
    def backward(ctx, dy, dpositive):
        g = ctx.factor * dy
        return g, g if ctx.has_b else None


def op(forward=lambda ctx, x: x * 2.0, backward=lambda ctx, dy: dy * 2.0, name="Mine"):
    return type(name, (mg.Op,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


def test_an_op_in_six_lines(rng):
    assert mg.gradcheck(Square.apply, [rng.normal(size=(2, 3))])
    y = Square.apply(mg.Tensor([3.0], requires_grad=True))
    assert (y.op, y.item(), y.dtype) == (Square, 9, np.float32)
    assert Square.apply([2.0]).requires_grad is False


def test_settings_optional_inputs_and_several_outputs(rng):
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    assert mg.gradcheck(lambda a, b: ScaledSum.apply(a, b, factor=3.0)[0], [a, b])
    assert mg.gradcheck(lambda a: ScaledSum.apply(a, None, factor=-2.0)[0], [a])
    outputs = ScaledSum.apply(mg.Tensor(a, requires_grad=True), None)
    assert isinstance(outputs, tuple)
    assert [type(y) for y in outputs] == [mg.Tensor, mg.Tensor]


def test_methods_may_be_written_without_staticmethod():
    class Plain(mg.Op):
        def forward(ctx, x):  # noqa: N805
            return x * 3.0

        def backward(ctx, dy):  # noqa: N805
            return dy * 3.0

    assert mg.gradcheck(Plain.apply, np.ones(2))


def test_which_gradients_are_wanted():
    seen = []

    def forward(ctx, a, b, c):
        seen.append(ctx.needs)
        return a + b

    a, b = mg.Tensor([1.0], requires_grad=True), mg.Tensor([1.0])
    Three = op(forward, lambda ctx, dy: (dy, dy, None))
    y = Three.apply(a, b, None)
    with mg.no_grad():
        Three.apply(a, b, None)
    y.backward()
    assert seen == [(True, False, False), (False, False, False)]
    assert b.grad is None


SEVERAL_INPUTS = {
    "add": (lambda a, b: a + b, (3, 4), (4,)),
    "subtract": (lambda a, b: a - b, (3, 4), (4,)),
    "multiply": (lambda a, b: a * b, (3, 4), (4,)),
    "divide": (lambda a, b: a / b, (3, 4), (4,)),
    "power": (lambda a, b: a**b, (3, 4), (4,)),
    "where": (lambda a, b: mg.where(np.arange(4) > 1, a, b), (3, 4), (4,)),
    "matmul": (lambda a, b: a @ b, (3, 4), (4, 2)),
    "linear": (F.linear, (3, 4), (4, 2), (2,)),
    "linear_gelu": (F.linear_gelu, (3, 4), (4, 2), (2,)),
    "bias_residual": (F.bias_residual, (3, 4), (4,), (3, 4)),
    "layer_norm": (F.layer_norm, (3, 4), (4,), (4,)),
    "attention": (F.scaled_dot_product_attention, (1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4)),
    "lstm_cell": (lambda a, c: F.lstm_cell(a, c)[0], (2, 8), (2, 2)),
    "concatenate": (lambda a, b: mg.concatenate([a, b]), (3, 4), (2, 4)),
}


@pytest.mark.parametrize("name", SEVERAL_INPUTS)
def test_a_gradient_that_is_wanted_alone_is_the_same(name, rng):
    """What an op leaves out because nobody wants it must not be what somebody does want."""
    function, *shapes = SEVERAL_INPUTS[name]
    arrays = [rng.uniform(0.5, 1.5, shape) for shape in shapes]
    everything = [mg.Tensor(a, requires_grad=True) for a in arrays]
    y = function(*everything)
    dy = rng.normal(size=y.shape)
    y.backward(dy)
    for wanted in range(len(shapes)):
        alone = [mg.Tensor(a, requires_grad=i == wanted) for i, a in enumerate(arrays)]
        function(*alone).backward(dy)
        assert [t.grad is not None for t in alone] == [i == wanted for i in range(len(shapes))]
        np.testing.assert_allclose(alone[wanted].grad, everything[wanted].grad, rtol=1e-13)


def test_float_outputs_take_the_dtype_of_the_inputs():
    to_double = op(lambda ctx, x: np.asarray(x, np.float64) * 2, lambda ctx, dy: np.asarray(dy, np.float64) * 2)
    x = mg.Tensor([1.0], requires_grad=True)
    y = to_double.apply(x)
    y.backward()
    assert y.dtype == x.grad.dtype == np.float32
    assert op(lambda ctx, x: 2.5).apply(x).item() == 2.5  # a Python number will do
    assert op(lambda ctx, x: np.arange(3)).apply(x).dtype == np.int64


def test_the_wrong_number_of_gradients():
    wrong = op(lambda ctx, a, b: a + b, lambda ctx, dy: dy, name="OneForTwo")
    y = wrong.apply(mg.Tensor([1.0], requires_grad=True), mg.Tensor([1.0], requires_grad=True))
    with pytest.raises(mg.GraphError, match=r"OneForTwo\.backward returned 1 gradients for 2 inputs"):
        y.backward()
    y = op(backward=lambda ctx, dy: (dy, dy), name="TwoForOne").apply(mg.Tensor([1.0], requires_grad=True))
    with pytest.raises(mg.GraphError, match=r"TwoForOne\.backward returned 2 gradients for 1 inputs"):
        y.backward()


def test_a_gradient_of_the_wrong_shape():
    wrong = op(lambda ctx, x: x + np.ones((4, 3)), lambda ctx, dy: dy, name="Forgets")
    y = wrong.apply(mg.Tensor(np.ones(3), requires_grad=True))
    with pytest.raises(
        mg.ShapeError, match=r"Forgets\.backward: the gradient of input 0 has shape \(4, 3\).*\(3,\); if"
    ):
        y.sum().backward()


def test_no_backward_or_no_forward():
    """The message must say which op lacks it: the traceback ends in the base class."""

    class OnlyForward(mg.Op):
        @staticmethod
        def forward(ctx, x):
            return x * 2.0

    class Empty(mg.Op):
        pass

    x = mg.Tensor([1.0], requires_grad=True)
    assert OnlyForward.apply(x).item() == 2
    with pytest.raises((mg.GraphError, NotImplementedError), match=r"OnlyForward.*backward\(ctx, \*grads\)"):
        OnlyForward.apply(x).backward()
    with pytest.raises((mg.GraphError, NotImplementedError), match=r"Empty.*forward\(ctx, \*arrays\)"):
        Empty.apply(x)


@pytest.mark.parametrize("result", [None, [1.0], "text", mg.Tensor([1.0])], ids=lambda r: type(r).__name__)
def test_forward_that_gives_no_array(result):
    """A forgotten `return`, a list: said as such, with the op's name."""
    with pytest.raises(mg.MiniGPTError, match=r"Mine.*forward"):
        op(lambda ctx, x: result).apply(mg.Tensor([1.0], requires_grad=True))


@pytest.mark.parametrize("result", [2.0, [2.0], "text", mg.Tensor([1.0])], ids=lambda r: type(r).__name__)
def test_backward_that_gives_no_array(result):
    y = op(backward=lambda ctx, dy: result).apply(mg.Tensor([1.0], requires_grad=True))
    with pytest.raises(mg.MiniGPTError, match=r"Mine.*backward"):
        y.backward()


def test_an_attribute_that_forward_did_not_set():
    y = op(backward=lambda ctx, dy: dy * ctx.factor).apply(mg.Tensor([1.0], requires_grad=True))
    with pytest.raises(AttributeError, match=r"ctx\.factor is not set: forward must set it"):
        y.backward()


def test_wrong_arguments_are_pythons_own_error():
    with pytest.raises(TypeError, match="factr"):
        ScaledSum.apply([1.0], None, factr=2.0)
    with pytest.raises(TypeError, match="missing"):
        ScaledSum.apply([1.0])


def test_an_op_that_returns_its_input_does_not_hide_writes():
    """y is x's own memory: writing into y must be seen by what needs x."""
    identity = op(lambda ctx, x: x, lambda ctx, dy: dy)
    x = mg.Tensor([3.0], requires_grad=True)
    square = x * x
    with mg.no_grad():
        identity.apply(x)[0] = 5.0
    try:
        square.backward()
    except mg.GraphError:
        return
    np.testing.assert_array_equal(x.grad, [6])


def test_an_op_without_tensor_inputs_and_with_none_only():
    assert op(lambda ctx: np.ones(2, np.float32)).apply().numpy().tolist() == [1, 1]
    assert op(lambda ctx, x: np.zeros(1)).apply(None).dtype == np.float32
