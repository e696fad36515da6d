"""What the fused attention keeps for backward, and the packing of heads."""

import numpy as np
import pytest

from kernels.reference.attention import attention_forward, attention_scores, causal_mask, merge_heads, split_heads


def test_causal_mask_ends_bottom_right():
    np.testing.assert_array_equal(causal_mask(2, 3), [[1, 1, 0], [1, 1, 1]])
    np.testing.assert_array_equal(causal_mask(3, 2), [[0, 0], [1, 0], [1, 1]])
    np.testing.assert_array_equal(causal_mask(1, 4), [[1, 1, 1, 1]])


@pytest.mark.parametrize("causal", [False, True])
def test_the_weights_follow_from_scores_and_lse(causal, rng):
    q, k, v = rng.normal(size=(3, 2, 2, 5, 3))
    mask = rng.random((5, 5)) < 0.7
    mask[2] = False
    y, lse = attention_forward(q, k, v, mask, causal, 0.7)
    weights = np.exp(attention_scores(q, k, mask, causal, 0.7) - lse[..., None])
    np.testing.assert_allclose(weights @ v, y, rtol=1e-12, atol=1e-14)
    allowed = mask & causal_mask(5, 5) if causal else mask
    np.testing.assert_allclose(weights.sum(-1), np.broadcast_to(allowed.any(-1), (2, 2, 5)).astype(float), rtol=1e-12)
    assert not weights[..., ~allowed].any()
    assert np.isfinite(lse).all()


def test_scores_that_a_common_shift_would_push_over_the_edge(rng):
    q, k, v = rng.normal(size=(3, 1, 1, 4, 2)).astype(np.float32)
    k[..., 0], q[..., 0] = 1.0, 1e4  # adds 1e4 to every score of a row
    y, lse = attention_forward(q, k, v, None, False, 1.0)
    assert np.isfinite(y).all()
    assert (lse > 9e3).all()


def test_heads_are_neighbouring_columns():
    x = np.arange(12).reshape(1, 2, 6)  # B 1, T 2, C 6
    heads = split_heads(x, 3)
    assert heads.shape == (1, 3, 2, 2)
    np.testing.assert_array_equal(heads[0, 1], [[2, 3], [8, 9]])
    np.testing.assert_array_equal(merge_heads(heads), x)
