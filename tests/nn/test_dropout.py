"""Dropout: off in evaluation, right rate and scale in training, and masks that belong to examples, not to batches."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt import nn
from minigpt.models import GPT, GPTConfig
from minigpt.randomness import dropout_keys

ONES = np.ones((50, 400), np.float32)


def test_evaluation_changes_nothing():
    layer = nn.Dropout(0.9, rng=0).eval()
    x = mg.Tensor(ONES)
    assert layer(x) is x
    assert nn.Dropout(0.0)(x) is x


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_rate_and_scale(p):
    """Each element is 0 or 1 / (1 - p); the share of zeros is p within five standard deviations."""
    y = nn.Dropout(p, rng=0)(ONES).numpy()
    assert y.dtype == np.float32
    zero = y == 0
    np.testing.assert_allclose(y[~zero], 1 / (1 - p), rtol=1e-6)
    assert abs(zero.mean() - p) < 5 * (p * (1 - p) / y.size) ** 0.5
    per_row = 5 * (p * (1 - p) / 400) ** 0.5
    assert np.all(np.abs(zero.mean(axis=1) - p) < per_row)  # no example is favoured


def test_everything_dropped():
    x = mg.Tensor(ONES, requires_grad=True)
    y = nn.Dropout(1.0, rng=0)(x)
    y.sum().backward()
    assert not y.numpy().any()
    assert not x.grad.any()


def test_gradient_uses_the_same_mask():
    x = mg.Tensor(ONES, requires_grad=True)
    y = nn.Dropout(0.3, rng=0)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.numpy())  # x is all ones


def test_every_call_draws_anew_and_seeds_repeat():
    layer, twin = nn.Dropout(0.5, rng=7), nn.Dropout(0.5, rng=7)
    a, b = layer(ONES).numpy(), layer(ONES).numpy()
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(twin(ONES).numpy(), a)
    np.testing.assert_array_equal(twin(ONES).numpy(), b)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_wrong_probability(p):
    for make in (lambda: nn.Dropout(p), lambda: nn.MultiHeadAttention(4, 2, dropout=p), lambda: F.dropout(ONES, p)):
        with pytest.raises(mg.ArgumentError, match=r"lies in 0 … 1, got"):
            make()


# ---- keyed masks, as the trainer uses them


def masks(seed, step, x, first_example=0, calls=2):
    """What `calls` dropout calls within one step do to x; the layer's own generator must not matter."""
    with dropout_keys(seed, step, first_example):
        return [nn.Dropout(0.5)(x).numpy() for _ in range(calls)]


def test_keys_decide_alone():
    a, b = masks(1, 2, ONES), masks(1, 2, ONES)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a[0], a[1])  # the next layer
    assert not np.array_equal(a[0], masks(1, 3, ONES)[0])  # the next step
    assert not np.array_equal(a[0], masks(2, 2, ONES)[0])  # another seed
    assert not np.array_equal(a[0][0], a[0][1])  # another example
    after = nn.Dropout(0.5, rng=0)(ONES).numpy()  # outside the block the layer's generator is back
    np.testing.assert_array_equal(after, nn.Dropout(0.5, rng=0)(ONES).numpy())


def test_masks_belong_to_examples():
    whole = masks(1, 2, ONES)
    part = masks(1, 2, ONES[30:], first_example=30)
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a[30:], b)


def test_a_split_batch_gives_the_same_gradients():
    """Dropout on embeddings, attention weights and residuals: two halves add up to the whole batch."""
    model = GPT(GPTConfig(11, 6, 2, 2, 8, dropout=0.4), seed=0).astype(np.float64)
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(0, 11, (2, 6, 6))

    def gradients(pieces):
        model.zero_grad()
        total = 0.0
        for piece in pieces:
            with dropout_keys(seed=3, step=5, first_example=piece.start):
                loss, _ = model.loss_sum(ids[piece], targets[piece])
            loss.backward()
            total += loss.item()
        return total, [p.grad for p in model.parameters()]

    whole, whole_grads = gradients([slice(0, 6)])
    halves, half_grads = gradients([slice(0, 2), slice(2, 6)])
    assert halves == pytest.approx(whole, rel=1e-12)
    for a, b in zip(whole_grads, half_grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    wrong, _ = gradients([slice(0, 2), slice(0, 4)])  # the check can fail: other masks, another loss
    assert abs(wrong - whole) > 1e-3
