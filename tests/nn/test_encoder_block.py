"""EncoderBlock and add_part: where the norm stands, fused ops against separate ones. PyTorch: test_golden_seq.py."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn
from minigpt.observe import observing

B, T, C = 2, 5, 8


class WantsParts:
    wants_parts = True


def block(norm="pre", **settings):
    made = nn.EncoderBlock(C, 2, norm=norm, rng=0, **settings).astype(np.float64)
    for p in made.parameters():  # norms and biases away from 1 and 0, or a forgotten one would not show
        p.data += np.random.default_rng(p.size).normal(size=p.shape) * 0.3
    return made


def x():
    return np.random.default_rng(1).standard_normal((B, T, C))


def test_pre_norm_by_hand():
    b = block("pre")
    h = mg.Tensor(x())
    h = h + b.attn(b.ln_1(h))
    h = h + b.mlp(b.ln_2(h))
    np.testing.assert_allclose(b(x()).numpy(), h.numpy(), rtol=1e-12)


def test_post_norm_by_hand():
    b = block("post")
    h = mg.Tensor(x())
    h = b.ln_1(h + b.attn(h))
    h = b.ln_2(h + b.mlp(h))
    np.testing.assert_allclose(b(x()).numpy(), h.numpy(), rtol=1e-12)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_separate_ops_agree_with_fused_ones(norm, activation):
    b = block(norm, activation=activation, hidden=5)
    fused = b(x()).numpy()
    with observing(WantsParts()):
        np.testing.assert_allclose(b(x()).numpy(), fused, rtol=1e-10, atol=1e-12)


def test_every_token_sees_later_ones_but_no_padding():
    b, mask = block(), np.array([True, True, True, True, False])[None, None, None]
    before = b(x(), mask=mask).numpy()
    changed = x()
    changed[:, 4, 0] += 1  # not all channels: the norm would take that out
    np.testing.assert_array_equal(b(changed, mask=mask).numpy()[:, :4], before[:, :4])
    changed = x()
    changed[:, 3, 0] += 1
    assert np.abs(b(changed, mask=mask).numpy()[:, 0] - before[:, 0]).max() > 1e-3


def test_dropout_acts_on_both_parts_in_training_only():
    b = block(dropout=0.5)
    assert np.abs(b(x()).numpy() - b(x()).numpy()).max() > 1e-3
    b.eval()
    np.testing.assert_array_equal(b(x()).numpy(), b(x()).numpy())


@pytest.mark.parametrize("make", [nn.EncoderBlock, nn.DecoderBlock])
def test_norm_is_pre_or_post(make):
    with pytest.raises(mg.ArgumentError, match=f"{make.__name__}: norm is 'pre' or 'post', got 'before'"):
        make(C, 2, norm="before")
