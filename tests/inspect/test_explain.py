"""explain: occlusion against direct recomputation, gradients against finite differences and where they are exact."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from minigpt import functional as F
from minigpt import nn
from minigpt.errors import ArgumentError, ShapeError, TokenizerError
from minigpt.inspect import attention_rollout, explain
from minigpt.inspect.capture import attention_weights
from minigpt.inspect.explain import CAUTION, gradient_times_input, occlusion
from minigpt.models import GPT, GPTConfig
from minigpt.nn.module import Parameter
from minigpt.observe import OBSERVERS
from minigpt.tokenizers import CharTokenizer

TOK = CharTokenizer("abcdefgh ")
V, BLOCK, PROMPT = TOK.vocab_size, 12, "bad cafe"


def new_model(seed=0, dropout=0.0):
    model = GPT(GPTConfig(V, BLOCK, n_layer=2, n_head=2, n_embd=8, dropout=dropout), seed=seed)
    rng = np.random.default_rng(seed + 1)
    for p in model.parameters():  # larger than at the start, so that tokens matter
        p.data += rng.normal(scale=0.3, size=p.shape).astype(np.float32)
    model.astype(np.float64)
    model.tokenizer = TOK
    return model.eval()


@pytest.fixture
def model():
    return new_model()


def log_probs(model, ids):
    logits = model(np.asarray(ids)[None])[0].numpy()[0, -1]
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


class Linear(nn.Module):
    """Logits at every position = Σ_i e_i W_i, of all tokens up to T: linear in the embeddings."""

    def __init__(self, rng, T=5, C=4):
        self.config = SimpleNamespace(vocab_size=V, block_size=T)
        self.wte = nn.Embedding(V, C, rng=rng, init_std=1.0)
        self.weight = Parameter(rng.normal(size=(T * C, V)))

    def forward(self, ids, targets=None):
        e = self.wte(ids)  # (B, T, C)
        B, T, C = e.shape
        return F.linear(e.reshape(B, 1, T * C), self.weight), None  # (B, 1, V)


def test_gradient_times_input_of_a_linear_model_is_exact(rng):
    """It is the part of the logit that each token contributes, and so are occlusions by 0; together they are all."""
    model = Linear(rng)
    ids = rng.integers(0, V, 5)
    e = model.wte.weight.numpy()[ids].astype(np.float64)
    parts = np.einsum("tc,tc->t", e, model.weight.numpy().reshape(5, 4, V)[..., 3])
    g = gradient_times_input(model, ids, 3, "logit")
    np.testing.assert_allclose(g, parts, rtol=1e-5)
    np.testing.assert_allclose(occlusion(model, ids, 3, "logit", np.zeros(4, np.float32)), parts, atol=1e-5)
    assert g.sum() == pytest.approx(model(ids[None])[0].numpy()[0, -1, 3], rel=1e-5)


@pytest.mark.parametrize("of", ["log-probability", "logit"])
def test_gradient_times_input_against_finite_differences(model, of):
    """d/ds of the score when a token's embedding is scaled by s: occlusion by (1 − h) e and (1 + h) e."""
    ids, h = np.array(TOK.encode(PROMPT)), 1e-5
    g = gradient_times_input(model, ids, 2, of)
    for i in range(len(ids)):
        e = model.wte.weight.numpy()[ids[i]]
        less, more = (occlusion(model, ids, 2, of, s * e)[i] for s in (1 - h, 1 + h))
        assert g[i] == pytest.approx((less - more) / (2 * h), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("neutral", ["a", " ", "h"])
def test_occlusion_by_a_token_is_the_prompt_with_that_token(model, neutral):
    e = explain(model, TOK, PROMPT, target="d", neutral=neutral)
    target = TOK.encode("d")[0]
    whole = log_probs(model, TOK.encode(PROMPT))[target]
    assert e.log_prob == pytest.approx(whole)
    for i in range(len(PROMPT)):
        occluded = PROMPT[:i] + neutral + PROMPT[i + 1 :]
        assert e.occlusion[i] == pytest.approx(whole - log_probs(model, TOK.encode(occluded))[target], abs=1e-9)
        if PROMPT[i] == neutral:
            assert e.occlusion[i] == pytest.approx(0, abs=1e-12)


def test_occlusion_by_the_mean_embedding(model):
    """Against a model that has one row more in its table: that mean, under an id of its own."""
    larger = new_model()
    table = model.wte.weight.numpy()
    larger.wte.weight = Parameter(np.concatenate([table, table.mean(axis=0, keepdims=True)]))
    ids = TOK.encode(PROMPT)
    e = explain(model, TOK, PROMPT, target="d", of="logit")
    whole = model(np.array([ids]))[0].numpy()[0, -1]
    for i in range(len(ids)):
        logits = larger(np.array([[*ids[:i], V, *ids[i + 1 :]]]))[0].numpy()[0, -1]
        assert e.occlusion[i] == pytest.approx(whole[TOK.encode("d")[0]] - logits[TOK.encode("d")[0]], abs=1e-9)
    zero = explain(model, TOK, PROMPT, target="d", of="logit", neutral="zero")
    assert not np.allclose(zero.occlusion, e.occlusion)


def test_many_tokens_are_occluded_in_several_batches(model, monkeypatch):
    whole = explain(model, TOK, PROMPT).occlusion
    monkeypatch.setattr(sys.modules["minigpt.inspect.explain"], "ROWS_AT_ONCE", 3)
    np.testing.assert_allclose(explain(model, TOK, PROMPT).occlusion, whole, atol=1e-12)


def test_the_rest(model):
    e = explain(model, None, PROMPT)
    logits = log_probs(model, TOK.encode(PROMPT))
    assert e.target_id == logits.argmax()
    assert e.log_prob == pytest.approx(logits.max())
    assert "".join(e.tokens) == PROMPT
    np.testing.assert_allclose(e.rollout, attention_rollout(attention_weights(model, e.ids))[-1])
    assert e.rollout.sum() == pytest.approx(1)
    assert explain(model, TOK, PROMPT, target=e.target_id).log_prob == e.log_prob
    table = e.table()
    assert CAUTION in table
    assert len(table.splitlines()) == len(PROMPT) + 3
    assert repr(e).startswith("Explanation('bad cafe' -> ")


def test_a_token_that_the_model_cannot_see_has_no_score():
    """A model that reads the last token only: all others get 0 of occlusion and gradient, and rollout still reads."""
    model = new_model()
    for block in model.h:
        block.attn.c_proj.weight.data[:] = 0  # what attention reads is thrown away
        block.attn.c_proj.bias.data[:] = 0
    e = explain(model, TOK, PROMPT)
    np.testing.assert_allclose(e.occlusion[:-1], 0, atol=1e-12)
    np.testing.assert_allclose(e.gradient_input[:-1], 0, atol=1e-12)
    assert abs(e.occlusion[-1]) > 1e-3
    assert (e.rollout[:-1] > 0).all()  # attention is not explanation


def test_the_model_is_left_as_it_was():
    model = new_model(dropout=0.5).train()
    model.h[0].eval()
    marked = next(model.parameters())
    marked.grad = np.ones(marked.shape)
    before = {name: p.numpy().copy() for name, p in model.named_parameters()}
    a, b = explain(model, TOK, PROMPT), explain(model, TOK, PROMPT)
    np.testing.assert_array_equal(a.gradient_input, b.gradient_input)  # no dropout
    np.testing.assert_array_equal(a.occlusion, b.occlusion)
    assert (model.training, model.h[0].training, model.h[1].training) == (True, False, True)
    np.testing.assert_array_equal(marked.grad, 1)
    assert all(p.grad is None for p in model.parameters() if p is not marked)
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(p.numpy(), before[name])
    assert OBSERVERS.get() == ()


def test_the_view_carries_the_arrays(model):
    e = explain(model, TOK, PROMPT)
    view = e.view()
    scores = list(view.scores.values())
    for array, shown in zip((e.occlusion, e.gradient_input, e.rollout), scores, strict=True):
        np.testing.assert_array_equal(shown, array)
    assert "not explanation" in view.alt()
    assert "not explanation" in e._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        ({"prompt": ""}, ShapeError, "1 to 12 tokens"),
        ({"prompt": "a" * 13}, ShapeError, "got 13"),
        ({"prompt": "axe"}, TokenizerError, "x"),
        ({"prompt": PROMPT, "target": "ab"}, ArgumentError, r"one token, but 'ab' is 2: \['a', 'b'\]"),
        ({"prompt": PROMPT, "target": ""}, ArgumentError, "is 0"),
        ({"prompt": PROMPT, "target": 99}, TokenizerError, "not in the vocabulary"),
        ({"prompt": PROMPT, "target": 1.5}, ArgumentError, "text of one token or its id"),
        ({"prompt": PROMPT, "neutral": "head"}, ArgumentError, "neutral needs to be one token"),
        ({"prompt": PROMPT, "of": "probability"}, ArgumentError, "log-probability, logit"),
    ],
)
def test_refused(model, arguments, error, hint):
    with pytest.raises(error, match=hint):
        explain(model, TOK, **arguments)
