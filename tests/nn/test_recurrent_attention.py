"""Additive and multiplicative attention against the formulas, written out with NumPy."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.nn.recurrent_attention import SCORES, RecurrentAttention


def by_hand(m, x, memory, mask):
    def linear(layer, a):
        return a @ layer.weight.numpy() + (0 if layer.bias is None else layer.bias.numpy())

    keys = memory if m.score == "dot" else linear(m.keys, memory)
    if m.score == "additive":
        scores = linear(m.v, np.tanh(linear(m.queries, x)[:, :, None] + keys[:, None]))[..., 0]
    else:
        scores = np.einsum("bqc,bkc->bqk", x, keys)
    scores = np.where(mask, scores, -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = e / e.sum(axis=-1, keepdims=True)
    return weights @ memory, weights


@pytest.mark.parametrize("score", SCORES)
def test_the_formula_and_its_gradients(score, rng):
    m = RecurrentAttention(4, score, rng=0).astype("float64")
    x, memory, mask = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4)), np.arange(5) < np.array([[[5]], [[2]]])
    y, weights = m(mg.Tensor(x), mg.Tensor(memory), mask[:, None], return_weights=True)
    wanted, wanted_weights = by_hand(m, x, memory, mask)
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-12)
    np.testing.assert_allclose(weights.numpy()[:, 0], wanted_weights, rtol=1e-12)
    assert mg.gradcheck(lambda x, memory: m(x, memory, mask[:, None]), [x, memory])


def test_what_does_not_fit_is_refused():
    m, x = RecurrentAttention(4, "dot"), mg.Tensor(np.ones((2, 3, 4)))
    with pytest.raises(mg.ShapeError, match="encoder and decoder need one width"):
        m(x, mg.Tensor(np.ones((2, 5, 6))))
    with pytest.raises(mg.ShapeError, match="x has batch B = 2, context 3"):
        m(x, mg.Tensor(np.ones((3, 5, 4))))
    with pytest.raises(mg.ShapeError, match=r"attention: shapes \(2, 5\).*Tq is 2.*mask\[:, None, None, :\]"):
        m(x, mg.Tensor(np.ones((2, 5, 4))), np.ones((2, 5), bool))
    with pytest.raises(mg.ArgumentError, match="must be a boolean array"):
        m(x, mg.Tensor(np.ones((2, 5, 4))), np.ones((2, 1, 1, 5)))
    with pytest.raises(mg.ArgumentError, match="score is one of 'additive', 'general', 'dot', got 'cosine'"):
        RecurrentAttention(4, "cosine")
