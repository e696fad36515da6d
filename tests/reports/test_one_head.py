"""The sections on one head show the numbers of the head that they name."""

import numpy as np
from tiny_models import TEXT, char_tokenizer

from minigpt import report
from minigpt.inspect.capture import attention_weights
from minigpt.models import GPT, GPTConfig
from minigpt.reports.one_head import MOST

PROMPT = "the cat sat on the mat"


def test_the_head_is_the_sharpest_and_its_numbers_are_the_models():
    tok = char_tokenizer()
    model = GPT(GPTConfig(tok.vocab_size, 32, n_layer=2, n_head=2, n_embd=8), seed=1)
    for name, p in model.named_parameters():
        if "c_attn" in name:
            p.data *= 20  # so that heads differ
    page = report(model, tok, PROMPT)
    steps, neurons = page.view("attention-steps"), page.view("neurons")
    weights = attention_weights(model, np.array(tok.encode(PROMPT)))  # (L, H, T, T)
    plogp = np.where(weights > 0, weights * np.log(np.where(weights > 0, weights, 1)), 0)
    layer, head = np.unravel_index((-plogp.sum(-1)).mean(-1).argmin(), weights.shape[:2])
    assert steps.title == f"Attention, step by step: layer {layer}, head {head}, first {MOST} tokens"
    assert neurons.title == f"A score, channel by channel: layer {layer}, head {head}, first {MOST} tokens"
    np.testing.assert_allclose(steps.weights, weights[layer, head, :MOST, :MOST], atol=1e-6)
    assert steps.tokens == neurons.tokens == list(PROMPT[:MOST])
    assert steps.projected.shape == (MOST, 8)
    np.testing.assert_allclose(neurons.scores, steps.scores, atol=1e-12)
    assert "first" not in report(model, tok, TEXT[:5], views=["neurons"]).view("neurons").title
