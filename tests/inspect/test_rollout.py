"""Attention rollout: by hand, and what holds for any attention."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.errors import ShapeError
from minigpt.inspect import attention_rollout


def random_weights(seed, L, H, T, causal=True):
    w = np.random.default_rng(seed).random((L, H, T, T)) ** 4
    w = w * np.tri(T) if causal else w
    return w / w.sum(axis=-1, keepdims=True)


def test_by_hand():
    """Two layers, two tokens: Ã_1 = [[1, 0], [¼, ¾]], Ã_2 = [[1, 0], [½, ½]]; rollout = Ã_2 Ã_1"""
    first = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])  # two heads, on average [[1, 0], [½, ½]]
    second = np.array([[[1.0, 0.0], [1.0, 0.0]]] * 2)
    rollout = attention_rollout([first, second])
    np.testing.assert_allclose(rollout, [[1.0, 0.0], [0.5 + 0.5 * 0.25, 0.5 * 0.75]])


@given(st.integers(0, 999), st.integers(1, 4), st.integers(1, 3), st.integers(1, 6), st.booleans())
def test_rows_sum_to_1_and_stay_causal(seed, L, H, T, causal):
    rollout = attention_rollout(random_weights(seed, L, H, T, causal))
    np.testing.assert_allclose(rollout.sum(axis=-1), 1.0)
    assert (rollout >= 0).all()
    if causal:
        assert (rollout[~np.tri(T, dtype=bool)] == 0).all()
    assert (np.diag(rollout) >= 0.5**L).all()  # the residual connection keeps at least that much of a token


def test_the_order_of_the_layers_matters():
    weights = random_weights(0, 3, 2, 5)
    assert not np.allclose(attention_rollout(weights), attention_rollout(weights[::-1]))


def test_attention_to_itself_changes_nothing():
    np.testing.assert_array_equal(attention_rollout(np.tile(np.eye(4), (3, 2, 1, 1))), np.eye(4))


@pytest.mark.parametrize("shape", [(2, 3, 3), (1, 1, 2, 3), (0, 1, 2, 2)])
def test_refused(shape):
    with pytest.raises(ShapeError, match="needs weights"):
        attention_rollout(np.zeros(shape))
