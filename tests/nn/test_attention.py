"""MultiHeadAttention: against a loop over single queries, its masks, its cache, and what it must not depend on."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn
from minigpt.backend import load
from minigpt.decoding.cache import LayerCache
from minigpt.observe import observing

B, T, C, H = 2, 5, 8, 2
D = C // H


class WantsParts:
    """The smallest observer that makes modules run their fused ops as separate ones."""

    wants_parts = True


def attention(causal=False, dropout=0.0, bias=True, seed=0, dtype=np.float64):
    """Weights large enough that the softmax is far from uniform."""
    m = nn.MultiHeadAttention(
        C, H, causal=causal, dropout=dropout, qkv_bias=bias, proj_bias=bias, rng=seed, init_std=0.7, proj_std=0.7
    )
    for p in m.parameters():  # biases away from zero, or a forgotten one would not show
        p.data += np.random.default_rng(p.size).normal(size=p.shape).astype(np.float32) * 0.3
    return m.astype(dtype)


def inputs(*shape, seed=1, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def by_hand(m, x, context=None, mask=None):
    """One query at a time, in plain loops; returns (y, weights)."""
    context = x if context is None else context
    weight, bias = m.c_attn.weight.numpy(), m.c_attn.bias.numpy()
    q = x @ weight[:, :C] + bias[:C]
    k = context @ weight[:, C : 2 * C] + bias[C : 2 * C]
    v = context @ weight[:, 2 * C :] + bias[2 * C :]
    Tq, Tk = x.shape[1], context.shape[1]
    allowed = np.ones((len(x), H, Tq, Tk), bool) if mask is None else np.broadcast_to(mask, (len(x), H, Tq, Tk))
    weights, heads = np.zeros((len(x), H, Tq, Tk)), np.zeros((len(x), Tq, C))
    for b, h, i in np.ndindex(len(x), H, Tq):
        part = slice(h * D, (h + 1) * D)
        seen = [j for j in range(Tk) if allowed[b, h, i, j] and (not m.causal or j <= i + Tk - Tq)]
        if seen:
            scores = np.array([q[b, i, part] @ k[b, j, part] for j in seen]) / np.sqrt(D)
            e = np.exp(scores - scores.max())
            weights[b, h, i, seen] = e / e.sum()
        heads[b, i, part] = weights[b, h, i] @ v[b, :, part]
    return heads @ m.c_proj.weight.numpy() + m.c_proj.bias.numpy(), weights


PADDING = np.array([[True] * 5, [True, True, True, False, False]])[:, None, None, :]  # (B, 1, 1, Tk)
RANDOM = np.random.default_rng(3).random((B, H, T, T)) < 0.5
EMPTY_ROW = np.tri(T, T, -1, dtype=bool)  # the first query may attend to nothing


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, PADDING, RANDOM, EMPTY_ROW], ids=["none", "padding", "random", "empty row"])
def test_self_attention(mask, causal):
    m, x = attention(causal), inputs(B, T, C)
    expected, expected_weights = by_hand(m, x, mask=mask)
    np.testing.assert_allclose(m(x, mask=mask).numpy(), expected, rtol=1e-10, atol=1e-12)
    y, weights = m(x, mask=mask, return_weights=True)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(weights.numpy(), expected_weights, rtol=1e-10, atol=1e-12)
    sums = weights.numpy().sum(-1)
    assert np.all(np.isclose(sums, 1) | (sums == 0))
    assert np.all(np.isclose(sums, 1)) or mask is RANDOM or mask is EMPTY_ROW


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("Tk", [1, 3, 9])
def test_cross_attention(Tk, causal):
    """q from x, k and v from a context of another length; causal is aligned at the end of both."""
    m, x, context = attention(causal), inputs(B, T, C), inputs(B, Tk, C, seed=2)
    mask = np.random.default_rng(4).random((B, 1, 1, Tk)) < 0.7
    for allowed in (None, mask):
        expected, expected_weights = by_hand(m, x, context, allowed)
        y, weights = m(x, context=context, mask=allowed, return_weights=True)
        np.testing.assert_allclose(m(x, context=context, mask=allowed).numpy(), expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(weights.numpy(), expected_weights, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(m(x, context=x).numpy(), m(x).numpy(), rtol=1e-12)  # a context of itself


def run_and_gradients(m, x, g, observer=False, **kwargs):
    """y, dx and every parameter gradient, with the weights returned or through an observer, or fused."""
    m.zero_grad()
    t = mg.Tensor(x, requires_grad=True)
    if observer:
        with observing(WantsParts()):
            y = m(t, **kwargs)
    else:
        y = m(t, **kwargs)
        y = y[0] if kwargs.get("return_weights") else y
    (y * g).sum().backward()
    return [y.numpy(), t.grad, *(p.grad for p in m.parameters())]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("mask", [None, PADDING, EMPTY_ROW], ids=["none", "padding", "empty row"])
def test_fused_equals_parts(mask, dropout, bias):
    """Values and gradients, dropout included: with the same seed both forms draw the same mask."""
    x, g = inputs(B, T, C), inputs(B, T, C, seed=5)
    forms = ({}, {"return_weights": True}, {"observer": True}, {"context": x})
    fused, *others = [run_and_gradients(attention(True, dropout, bias), x, g, mask=mask, **form) for form in forms]
    assert all(np.isfinite(a).all() for a in fused)
    for form, other in zip(forms[1:], others, strict=True):
        if "context" in form:  # dx reaches only q there
            other[1] = fused[1]
        for a, b in zip(fused, other, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-11, err_msg=str(form))


def test_gradient_of_the_returned_weights():
    m = attention()
    assert mg.gradcheck(
        lambda x, context: (m(x, context=context, return_weights=True)[1] ** 2).sum(),
        [mg.Tensor(inputs(1, 3, C), requires_grad=True), mg.Tensor(inputs(1, 2, C, seed=2), requires_grad=True)],
    )


def test_a_padded_token_has_no_influence():
    m, x = attention(), inputs(B, T, C)
    t = mg.Tensor(x, requires_grad=True)
    m(t, mask=PADDING)[1, :3].sum().backward()
    assert not t.grad[1, 3:].any()
    changed = x.copy()
    changed[1, 3:] = 100.0
    np.testing.assert_array_equal(m(changed, mask=PADDING).numpy()[1, :3], m(x, mask=PADDING).numpy()[1, :3])


def test_without_positions_order_does_not_matter():
    """Permuting the tokens permutes the outputs; permuting the context changes nothing."""
    m, x, context = attention(), inputs(B, T, C), inputs(B, 7, C, seed=2)
    order = np.random.default_rng(0).permutation(T)
    np.testing.assert_allclose(m(x[:, order]).numpy(), m(x).numpy()[:, order], rtol=1e-10, atol=1e-12)
    shuffled = context[:, np.random.default_rng(1).permutation(7)]
    np.testing.assert_allclose(m(x, context=shuffled).numpy(), m(x, context=context).numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pieces", [[1] * 5, [3, 2], [5], [2, 1, 2]], ids=str)
def test_cache_equals_no_cache(pieces, dtype):
    m, x = attention(causal=True, dtype=dtype), inputs(B, T, C, dtype=dtype)
    cache = LayerCache(load("numpy"), B, H, T, D, dtype)
    parts, start = [], 0
    with mg.no_grad():
        for n in pieces:
            parts.append(m(x[:, start : start + n], cache=cache).numpy())
            start += n
    assert cache.length == T
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(np.concatenate(parts, axis=1), m(x).numpy(), rtol=tolerance, atol=tolerance)


def test_dropout_only_in_training():
    m, x = attention(dropout=0.5), inputs(B, T, C)
    clean = attention()(x).numpy()
    assert not np.allclose(m(x).numpy(), clean)
    _, weights = m(x, return_weights=True)
    np.testing.assert_allclose(weights.numpy().sum(-1), 1)  # the weights returned are those before dropout
    np.testing.assert_array_equal(m.eval()(x).numpy(), clean)


def test_mask_as_list_and_tensor():
    m, x = attention(), inputs(B, T, C)
    expected = m(x, mask=EMPTY_ROW).numpy()
    np.testing.assert_array_equal(m(x, mask=EMPTY_ROW.tolist()).numpy(), expected)
    np.testing.assert_array_equal(m(x, mask=mg.Tensor(EMPTY_ROW)).numpy(), expected)


def test_settings_that_do_not_fit():
    with pytest.raises(mg.ArgumentError, match="n_embd 8 is not divisible by n_head 3"):
        nn.MultiHeadAttention(8, 3)


@pytest.mark.parametrize("return_weights", [False, True])
@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"x": np.zeros((T, C))}, mg.ShapeError, r"x has shape \(5, 8\), needs \(B, T, C\) with C = n_embd = 8"),
        ({"x": np.zeros((B, T, C + 1))}, mg.ShapeError, r"x has shape \(B=2, T=5, C=9\)"),
        ({"context": np.zeros((B, T, 3))}, mg.ShapeError, r"context has shape \(B=2, T=5, C=3\)"),
        ({"context": np.zeros((3, T, C))}, mg.ShapeError, "x has batch B = 2, context 3"),
        ({"mask": np.zeros((T, T))}, mg.ArgumentError, "must be a boolean array"),
        ({"mask": np.ones((T, T + 1), bool)}, mg.ShapeError, "Tk is 6"),
        ({"mask": np.ones((2, B, H, T, T), bool)}, mg.ShapeError, "must broadcast to"),
    ],
)
def test_wrong_inputs(kwargs, error, message, return_weights):
    with pytest.raises(error, match=message):
        attention()(**{"x": inputs(B, T, C), **kwargs}, return_weights=return_weights)
