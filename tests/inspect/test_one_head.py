"""One head of a GPT as views: the arrays are those of the model that ran."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.inspect import attention_steps, capture, neuron_breakdown, neuron_view
from minigpt.models import GPT, GPTConfig, RecurrentConfig, RecurrentLM
from minigpt.tokenizers import CharTokenizer

TEXT = "ab ba"


@pytest.fixture
def tok():
    return CharTokenizer.train("ab ")


@pytest.fixture
def model(tok):
    made = GPT(GPTConfig(tok.vocab_size, 6, 2, 2, 8), seed=3)
    rng = np.random.default_rng(0)
    for p in made.parameters():
        p.data[:] = rng.normal(0, 0.5, p.shape)
    return made


def test_steps_are_those_of_the_model(model, tok):
    """Scores, weights and heads as captured; the projected heads and the bias add up to what attention adds."""
    with model.evaluating(), capture(model, copy=True) as acts:
        model(np.array(tok.encode(TEXT))[None])
    views = [attention_steps(model, tok, TEXT, layer=1, head=h) for h in range(2)]
    for h, view in enumerate(views):
        assert view.tokens == list(TEXT)
        np.testing.assert_allclose(view.weights, acts["h.1.attn.weights"][0, h], atol=1e-6)
        np.testing.assert_allclose(view.output, acts["h.1.attn.heads"][0, h], rtol=1e-4, atol=1e-5)
    total = sum(view.projected for view in views) + model.h[1].attn.c_proj.bias.numpy()
    np.testing.assert_allclose(total, acts["h.1.attn"][0], rtol=1e-4, atol=1e-5)
    assert "layer 1, head 0" in views[0].title


def test_neurons_are_those_of_the_breakdown(model, tok):
    view = neuron_view(model, tok, TEXT, layer=0, head=1, i=4, j=2)
    found = neuron_breakdown(model, tok.encode(TEXT), layer=0, head=1, i=4, j=2)
    np.testing.assert_allclose(view.products, found.products, rtol=1e-5)
    np.testing.assert_allclose(view.running, found.running, rtol=1e-4, atol=1e-6)
    assert not view.seen[0, 1]


def test_refusals(model, tok):
    with pytest.raises(mg.ArgumentError, match="pass them to viz"):
        attention_steps(RecurrentLM(RecurrentConfig(5, 1, 4)), tok, TEXT, 0, 0)
    with pytest.raises(mg.ArgumentError, match="layer is a number from 0 to 1, got 2"):
        attention_steps(model, tok, TEXT, 2, 0)
    with pytest.raises(mg.ArgumentError, match="head is a number from 0 to 1, got -1"):
        neuron_view(model, tok, TEXT, 0, -1)
    with pytest.raises(mg.ShapeError, match="1 to 6 tokens"):
        attention_steps(model, tok, "ab" * 4, 0, 0)
