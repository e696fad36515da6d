"""DecoderBlock: causal towards itself, free towards the source, and the source's keys and values made once."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn
from minigpt.observe import observing

B, T, S, C = 2, 4, 6, 8


class WantsParts:
    wants_parts = True


def block(**settings):
    made = nn.DecoderBlock(C, 2, rng=0, **settings).astype(np.float64)
    for p in made.parameters():
        p.data += np.random.default_rng(p.size).normal(size=p.shape) * 0.3
    return made


def draw(n, seed):
    return np.random.default_rng(seed).standard_normal((B, n, C))


X, CONTEXT = draw(T, 1), draw(S, 2)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_by_hand(norm):
    b, pre, h = block(norm=norm), norm == "pre", mg.Tensor(X)
    for ln, part in (
        (b.ln_1, b.attn), (b.ln_2, lambda y: b.cross(y, context=mg.Tensor(CONTEXT))), (b.ln_3, b.mlp),
    ):  # fmt: skip
        h = h + part(ln(h)) if pre else ln(h + part(h))
    np.testing.assert_allclose(b(X, mg.Tensor(CONTEXT)).numpy(), h.numpy(), rtol=1e-12)
    with observing(WantsParts()):
        np.testing.assert_allclose(b(X, mg.Tensor(CONTEXT)).numpy(), h.numpy(), rtol=1e-9, atol=1e-12)


def test_keys_and_values_made_beforehand():
    b, mask = block(), np.random.default_rng(0).random((B, 1, 1, S)) < 0.7
    mask[..., 0] = True
    context = b.cross.keys_values(mg.Tensor(CONTEXT))
    assert [part.shape for part in context] == [(B, 2, S, C // 2)] * 2
    np.testing.assert_array_equal(b(X, context, mask).numpy(), b(X, mg.Tensor(CONTEXT), mask).numpy())


def test_gradients_reach_the_source_through_them():
    b = block()
    direct, split = (mg.Tensor(CONTEXT, requires_grad=True) for _ in range(2))
    b(X, direct).sum().backward()
    b(X, b.cross.keys_values(split)).sum().backward()
    np.testing.assert_allclose(split.grad, direct.grad, rtol=1e-12)
    assert np.abs(direct.grad).min() > 0


def test_no_look_at_later_tokens_all_looks_at_the_source():
    b = block()
    before = b(X, mg.Tensor(CONTEXT)).numpy()
    later, source = X.copy(), CONTEXT.copy()
    later[:, 2, 0] += 1
    source[:, 5] += 1
    np.testing.assert_array_equal(b(later, mg.Tensor(CONTEXT)).numpy()[:, :2], before[:, :2])
    assert (np.abs(b(X, mg.Tensor(source)).numpy() - before).max(axis=-1) > 1e-6).all()


@pytest.mark.parametrize(
    ("context", "message"),
    [(draw(S, 2)[:, :, :6], "context has shape"), (draw(S, 2)[:1], "context 1; they must be equal")],
)
def test_contexts_that_do_not_fit(context, message):
    with pytest.raises(mg.ShapeError, match=message):
        block()(X, mg.Tensor(context))
