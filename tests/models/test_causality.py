"""Who sees whom in a whole GPT, and the ways to the same logits: shorter inputs, separate ops, the cache."""

from itertools import pairwise

import numpy as np

import minigpt as mg
from minigpt import functional as F
from minigpt.backend import load
from minigpt.decoding import KVCache
from minigpt.models import GPT, GPTConfig
from minigpt.observe import observing
from minigpt.randomness import dropout_keys

V, T, L, H, C = 11, 8, 3, 2, 8
CONFIG = GPTConfig(V, T, L, H, C)


class WantsParts:
    """The smallest observer that makes modules run their fused ops as separate ones."""

    wants_parts = True


def spread(model, seed=0):
    """Weights and biases far from their start, so that every term of the model counts."""
    rng = np.random.default_rng(seed)
    for p in model.parameters():
        p.data += rng.normal(size=p.shape).astype(p.dtype) * 0.3
    return model


def batch(B=3):
    return np.random.default_rng(0).integers(0, V, (2, B, T))


def test_causality():
    """A changed token leaves all logits before it as they were, and does change its own."""
    model = spread(GPT(CONFIG, seed=0))
    ids, _ = batch(B=1)
    logits = model(ids)[0].numpy()
    for t in range(T):
        changed = ids.copy()
        changed[0, t] = (changed[0, t] + 1) % V
        others = model(changed)[0].numpy()
        np.testing.assert_allclose(others[:, :t], logits[:, :t], rtol=0, atol=1e-6)
        assert np.all(np.abs(others[:, t:] - logits[:, t:]).max(axis=(0, 2)) > 1e-3)  # and all after it


def test_gradients_are_causal():
    """The loss at position t reaches the position embeddings 0 … t and no later one."""
    model = spread(GPT(CONFIG, seed=0))
    ids, _ = batch(B=1)
    model(ids)[0][:, 4].sum().backward()
    reached = np.abs(model.wpe.weight.grad).max(axis=1) > 0
    assert reached.tolist() == [True] * 5 + [False] * 3


def test_rows_of_a_batch_do_not_mix():
    model = spread(GPT(CONFIG, seed=0))
    ids, _ = batch()
    logits = model(ids)[0].numpy()
    changed = ids.copy()
    changed[1] = (changed[1] + 1) % V
    np.testing.assert_array_equal(model(changed)[0].numpy()[[0, 2]], logits[[0, 2]])
    for b in range(3):
        np.testing.assert_allclose(model(ids[b : b + 1])[0].numpy(), logits[b : b + 1], rtol=1e-5, atol=1e-5)


def test_shorter_inputs_give_the_same_logits():
    model = spread(GPT(CONFIG, seed=0))
    ids, _ = batch()
    logits = model(ids)[0].numpy()
    for t in range(1, T):
        np.testing.assert_allclose(model(ids[:, :t])[0].numpy(), logits[:, :t], rtol=1e-5, atol=1e-5)


def test_positions_matter():
    """All tokens equal: only the position tells the rows apart."""
    logits = spread(GPT(CONFIG, seed=0))(np.zeros((1, T), int))[0].numpy()[0]
    assert all(np.abs(a - b).max() > 1e-3 for a, b in pairwise(logits))


def test_the_head_is_the_embedding():
    model = spread(GPT(CONFIG, seed=0))
    ids, _ = batch()
    x = model.wte(ids) + model.wpe(np.arange(T))
    for block in model.h:
        x = block(x)
    expected = F.linear(model.ln_f(x), model.wte.weight.numpy().T)
    np.testing.assert_allclose(model(ids)[0].numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_parts_equal_fused():
    """The whole model with every fused op taken apart: logits and all gradients."""
    model = spread(GPT(CONFIG, seed=0)).astype(np.float64)
    ids, targets = batch()
    logits, loss = model(ids, targets)
    loss.backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    with observing(WantsParts()):
        parts, loss = model(ids, targets)
    loss.backward()
    np.testing.assert_allclose(parts.numpy(), logits.numpy(), rtol=1e-10, atol=1e-12)
    for name, p in model.named_parameters():
        np.testing.assert_allclose(p.grad, grads[name], rtol=1e-8, atol=1e-12, err_msg=name)


def test_dropout_only_in_training():
    model = GPT(GPTConfig(V, T, L, H, C, dropout=0.5), seed=0)
    ids, _ = batch()
    assert not np.array_equal(model(ids)[0].numpy(), model(ids)[0].numpy())
    model.eval()
    np.testing.assert_array_equal(model(ids)[0].numpy(), model(ids)[0].numpy())


def test_where_dropout_acts():
    """On the embeddings, and in each block on the attention weights and on both branches."""
    model = GPT(GPTConfig(V, T, L, H, C, dropout=0.5), seed=0)
    ids, _ = batch()
    with dropout_keys(seed=0, step=0) as keys:
        model(ids)
    assert keys.calls == 1 + 3 * L
    model.drop.p = 1.0  # nothing is left of the embeddings, so all inputs look alike
    for block in model.h:
        block.drop.p = 1.0
    np.testing.assert_array_equal(model(ids)[0].numpy(), model((ids + 1) % V)[0].numpy())


def test_gradients_through_a_cache_are_whole_or_refused():
    """Keys and values that pass through the cache must not lose their gradient in silence."""
    model = spread(GPT(CONFIG, seed=0)).astype(np.float64)
    ids, targets = batch()
    model(ids, targets)[1].backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    cache = KVCache(load("numpy"), L, 3, H, T, C // H, np.float64)
    try:
        model(ids, targets, cache=cache)[1].backward()
    except mg.MiniGPTError:
        return
    for name, p in model.named_parameters():
        np.testing.assert_allclose(p.grad, grads[name], rtol=1e-8, atol=1e-12, err_msg=name)
