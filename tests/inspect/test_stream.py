"""stream_numbers: root mean squares of a stream and its gradients, by hand; the model's own gradients stay."""

import numpy as np
import pytest

from minigpt import functional as F
from minigpt import models, nn
from minigpt.inspect import stream_numbers
from minigpt.inspect.stream import keeping_gradients


class Twice(nn.Module):
    """Two linear layers, each a block."""

    def __init__(self):
        self.h = nn.ModuleList(nn.Linear(3, 3, bias=False, rng=k) for k in range(2))

    def forward(self, x):
        for block in self.h:
            x = block(x)
        return x


def test_by_hand():
    model, x = Twice(), np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    a, b = (block.weight.numpy() for block in model.h)
    model.h[0].weight.grad = kept = np.ones((3, 3), np.float32)
    leaf = nn.Parameter(x)
    found = stream_numbers(model, {"stack": list(model.h)}, lambda: (model(leaf) ** 2).sum())["stack"]
    y = x @ a @ b
    gradients = [2 * y @ b.T @ a.T, 2 * y @ b.T, 2 * y]
    weights = [x.T @ gradients[1], (x @ a).T @ gradients[2]]

    def rms(array):
        return np.sqrt((array**2).mean())

    assert found.loss == pytest.approx((y**2).sum(), rel=1e-5)
    np.testing.assert_allclose(found.activation, [rms(x), rms(x @ a), rms(y)], rtol=1e-5)
    np.testing.assert_allclose(found.gradient, [rms(g) for g in gradients], rtol=1e-5)
    np.testing.assert_allclose(found.weight_gradient, [rms(g) for g in weights], rtol=1e-5)
    assert model.h[0].weight.grad is kept
    assert model.h[1].weight.grad is None


def test_two_stacks_and_dropout_is_off():
    config = models.EncoderDecoderConfig(9, 8, 1, 2, 8, 0, 1, n_decoder_layer=2, dropout=0.5)
    model = models.EncoderDecoder(config, seed=0).train()
    src, tgt = np.array([[2, 3, 4]]), np.array([[0, 5]])
    stacks = {"encoder": list(model.encoder), "decoder": list(model.decoder)}
    first, second = (stream_numbers(model, stacks, lambda: model(src, tgt, tgt)[1]) for _ in range(2))
    assert [len(first[name].activation) for name in stacks] == [2, 3]
    for name in stacks:
        np.testing.assert_array_equal(first[name].gradient, second[name].gradient)
    assert model.training


def test_gradients_come_back_after_an_error():
    model = nn.Linear(2, 2, rng=0)
    model.weight.grad = kept = np.ones((2, 2), np.float32)

    def fail():
        with keeping_gradients(model):
            F.softmax(model(np.ones((1, 2), np.float32))).sum().backward()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert model.weight.grad is kept
    assert model.bias.grad is None
