"""The observer points: what observers see, may change, and that they cost nothing when absent."""

import contextvars
import threading

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import nn, ops
from minigpt.observe import OBSERVERS, observing, parts_wanted


class Recorder:
    """Writes down ops and modules as they begin and end."""

    def __init__(self, name="", log=None, wants_parts=False):
        self.name, self.log, self.wants_parts = name, [] if log is None else log, wants_parts

    def around_op(self, op, inputs, settings, proceed):
        self.log.append((f"{self.name}{op.__name__}", inputs, settings))
        outputs = proceed()
        self.log.append((f"{self.name}/{op.__name__}", outputs))
        return outputs

    def around_module(self, module, args, kwargs, proceed):
        self.log.append((f"{self.name}{type(module).__name__}", args, kwargs))
        outputs = proceed()
        self.log.append((f"{self.name}/{type(module).__name__}", outputs))
        return outputs

    @property
    def names(self):
        return [entry[0] for entry in self.log]


def test_ops_are_seen_with_inputs_settings_and_outputs():
    x = mg.Tensor([1.0, 3.0], requires_grad=True)
    with mg.observing(Recorder()) as seen:
        y = F.layer_norm(x * 2.0, None, None, eps=1e-3)
    assert seen.names == ["Mul", "/Mul", "LayerNorm", "/LayerNorm"]
    assert seen.log[0][1][0] is x
    assert seen.log[0][1][1].item() == 2
    (_, inputs, settings), (_, output) = seen.log[2:]
    assert inputs[0] is seen.log[1][1]
    assert inputs[1:] == (None, None)
    assert settings == {"eps": 1e-3}
    assert output is y
    y.sum().backward()
    assert x.grad is not None


def test_ops_with_several_outputs_and_plain_arrays():
    with mg.observing(Recorder()) as seen:
        h, c = F.lstm_cell(np.zeros((1, 4)), np.zeros((1, 1)))
    assert all(isinstance(t, mg.Tensor) for t in seen.log[0][1])
    assert seen.log[1][1] == (h, c)


def test_modules_are_seen_and_ops_between_their_begin_and_end():
    layer = nn.Linear(2, 3, rng=0)
    x = mg.Tensor(np.ones((1, 2), np.float32))
    with mg.observing(Recorder()) as seen:
        y = layer(x)
    assert seen.names == ["Linear", "Linear", "/Linear", "/Linear"]  # the module, and in it the op
    assert seen.log[0][1:] == ((x,), {})
    assert seen.log[-1][1] is y


def test_an_observer_may_replace_what_an_op_gives():
    class Doubling:
        def around_op(self, op, inputs, settings, proceed):
            return proceed() * 2.0 if op is ops.Exp else proceed()

    class Skipping:
        def around_op(self, op, inputs, settings, proceed):
            return inputs[0]

    x = mg.Tensor(np.array([0.5]), requires_grad=True)
    with observing(Doubling()):
        y = x.exp() + 1.0
    y.backward()
    assert y.item() == pytest.approx(2 * np.exp(0.5) + 1)
    assert x.grad[0] == pytest.approx(2 * np.exp(0.5))
    with observing(Skipping()):
        assert x.exp().tanh() is x


def test_an_observer_may_replace_what_a_module_gives():
    class Zeros:
        def around_module(self, module, args, kwargs, proceed):
            return mg.Tensor(np.zeros_like(proceed().numpy()))

    with observing(Zeros()):
        y = nn.Linear(2, 2, rng=0)(np.ones((1, 2), np.float32))
    np.testing.assert_array_equal(y.numpy(), 0)


def test_of_several_observers_the_last_set_is_outermost():
    log = []
    with observing(Recorder("first ", log)), observing(Recorder("second ", log)):
        mg.Tensor([1.0]).exp()
        inner = len(OBSERVERS.get())
    assert inner == 2
    assert [entry[0] for entry in log] == ["second Exp", "first Exp", "first /Exp", "second /Exp"]
    assert OBSERVERS.get() == ()


def test_an_observer_with_one_method_is_enough():
    class Nothing:
        pass

    class OnlyModules:
        seen = 0

        def around_module(self, module, args, kwargs, proceed):
            self.seen += 1
            return proceed()

    with observing(Nothing()), observing(OnlyModules()) as observer:
        nn.MLP(2, rng=0)(np.ones((1, 1, 2), np.float32))
    assert observer.seen == 2  # MLP and its c_proj; c_fc is fused with the GELU


def test_what_an_observer_computes_is_not_observed():
    class Curious(Recorder):
        def around_op(self, op, inputs, settings, proceed):
            (mg.Tensor([1.0]) * 2.0).sum()
            outputs = super().around_op(op, inputs, settings, proceed)
            nn.Linear(1, 1, rng=0)(np.ones((1, 1), np.float32))
            return outputs

        def around_module(self, module, args, kwargs, proceed):
            mg.Tensor([1.0]).exp()
            return super().around_module(module, args, kwargs, proceed)

    with observing(Curious()) as seen:
        nn.Linear(1, 1, rng=0)(np.ones((1, 1), np.float32)).tanh()
    assert seen.names == ["Linear", "Linear", "/Linear", "/Linear", "Tanh", "/Tanh"]


@pytest.mark.parametrize("where", ["op", "module", "block", "observer"])
def test_everything_is_restored_after_an_exception(where):
    class Failing(nn.Module):
        def forward(self, x):
            raise ZeroDivisionError

    class Divide(mg.Op):
        @staticmethod
        def forward(ctx, x):
            raise ZeroDivisionError

    class FailingObserver:
        def around_op(self, op, inputs, settings, proceed):
            raise ZeroDivisionError

    x = mg.Tensor([1.0])

    def in_module():
        Failing()(x)

    def in_block():
        raise ZeroDivisionError

    def in_op():
        Divide.apply(x)

    def in_observer():
        with observing(FailingObserver()):
            x.exp()

    calls = {"op": in_op, "module": in_module, "block": in_block, "observer": in_observer}
    with pytest.raises(ZeroDivisionError), observing(Recorder()):
        calls[where]()
    assert OBSERVERS.get() == ()
    with observing(Recorder()) as seen:
        with pytest.raises(mg.ShapeError):
            _ = x @ mg.Tensor([1.0, 2.0])
        x.exp()
    assert seen.names == ["MatMul", "Exp", "/Exp"], "after an error inside it, the block must go on observing"


def test_other_threads_are_not_observed():
    with observing(Recorder()) as seen:
        thread = threading.Thread(target=lambda: mg.Tensor([1.0]).exp())
        thread.start()
        thread.join()
        handed_over = contextvars.copy_context()
    assert seen.names == []
    handed_over.run(lambda: mg.Tensor([1.0]).exp())
    assert seen.names == ["Exp", "/Exp"]


def test_a_label_costs_nothing_unless_observed():
    x = mg.Tensor([1.0], requires_grad=True)
    assert F.label(x, "x") is x
    with observing(Recorder()) as seen:
        y = F.label(x, "weights")
    assert seen.log[0] == ("Label", (x,), {"name": "weights", "step": None})
    assert y.data is x.data
    (y * 3.0).backward()
    np.testing.assert_array_equal(x.grad, [3])
    square = x * x
    with mg.no_grad():
        y[0] = 5.0  # the memory is x's, and so is its version
    with pytest.raises(mg.GraphError, match="overwritten"):
        square.backward()


def test_without_observers_an_op_makes_no_extra_calls(monkeypatch):
    import minigpt.backpropagation
    import minigpt.tensor

    for engine in (minigpt.tensor, minigpt.backpropagation):
        monkeypatch.setattr(engine, "observed", lambda *a, **k: pytest.fail("called without an observer"))
    mg.Tensor([1.0], requires_grad=True).exp().backward()


class Doubler:
    """Sees each op's backward, and doubles what the named one gives."""

    def __init__(self, name):
        self.name, self.seen = name, []

    def around_backward(self, node, grads_out, proceed):
        grads_in = proceed()
        (mg.Tensor([1.0], requires_grad=True) * 2.0).backward()  # an observer's own computation is not observed
        self.seen.append((node.op.__name__, [float(g) for g in grads_out], [float(g) for g in grads_in]))
        return tuple(2 * g for g in grads_in) if node.op.__name__ == self.name else grads_in


def test_backward_is_seen_op_by_op_and_may_be_changed():
    x = mg.Tensor(3.0, requires_grad=True)
    y = (x * x).exp().log()
    with observing(Doubler("Exp")) as seen:
        y.backward()
    assert [name for name, _, _ in seen.seen] == ["Log", "Exp", "Mul"]
    np.testing.assert_allclose(seen.seen[0][2], [np.exp(-9.0)], rtol=1e-5)
    np.testing.assert_allclose(seen.seen[2][1], [2.0], rtol=1e-5)
    np.testing.assert_allclose(x.grad, 12.0, rtol=1e-5)  # twice 2 x


def test_an_error_in_backward_leaves_the_observers_as_they_were():
    class Broken(mg.Op):
        @staticmethod
        def forward(ctx, x):
            return x + 1

        @staticmethod
        def backward(ctx, dy):
            raise ZeroDivisionError

    y = Broken.apply(mg.Tensor(1.0, requires_grad=True))
    with pytest.raises(ZeroDivisionError), observing(Doubler("")):
        y.backward()
    assert OBSERVERS.get() == ()


@pytest.mark.parametrize("settings", [{}, {"mask": True}, {"context": True}, {"dropout": 0.4}], ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_attention_in_parts_equals_attention_fused(settings, causal, rng):
    """With `wants_parts` the same module shows scores and weights, and gives the same outputs and gradients."""
    x = rng.normal(size=(2, 4, 6)).astype(np.float32)
    given = {"context": rng.normal(size=(2, 5, 6)).astype(np.float32)} if "context" in settings else {}
    if "mask" in settings:
        given["mask"] = rng.random((4, 4)) < 0.6
    results = []
    for parts in (False, True):
        module = nn.MultiHeadAttention(6, 2, causal, settings.get("dropout", 0.0), rng=3)
        with observing(Recorder(wants_parts=parts)) as seen:
            assert parts_wanted() is parts
            y = module(x, **given)
        (y * y).sum().backward()
        results.append([y.numpy(), *(p.grad for p in module.parameters())])
        labels = [entry[2]["name"] for entry in seen.log if entry[0] == "Label"]
        assert [name for name in labels if name in ("scores", "weights")] == ["scores", "weights"] * parts
        assert any(name.startswith("Attention") for name in seen.names) is not parts
    for fused, separate in zip(*results, strict=True):
        np.testing.assert_allclose(fused, separate, rtol=1e-4, atol=1e-5)
    assert not parts_wanted()


def test_mlp_in_parts_equals_mlp_fused(rng):
    x, module = rng.normal(size=(2, 3, 4)), nn.MLP(4, rng=0).astype(np.float64)
    fused = module(x).numpy()
    with observing(Recorder(wants_parts=True)) as seen:
        separate = module(x).numpy()
    np.testing.assert_allclose(separate, fused, rtol=1e-12)
    assert "GELU" in seen.names
    assert "LinearGELU" not in seen.names
    assert [entry[2]["name"] for entry in seen.log if entry[0] == "Label"] == ["hidden"]
