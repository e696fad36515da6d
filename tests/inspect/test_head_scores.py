"""head_scores: attention built by hand gets the score that it must have, and a model built by hand too."""

import numpy as np
import pytest

from minigpt.errors import ArgumentError, ShapeError
from minigpt.inspect import capture, head_scores, repeated_tokens, scores_of
from minigpt.inspect.head_scores import HABITS, habit_keys
from minigpt.models import (
    GPT,
    EncoderConfig,
    EncoderDecoder,
    EncoderDecoderConfig,
    GPTConfig,
    MaskedLM,
    RecurrentConfig,
    RecurrentLM,
)

V, L = 20, 6


def attending(T, keys):
    """Weights (T, T) of a head whose query i looks at keys[i] alone; at 0 where there is none."""
    weights = np.zeros((T, T))
    for i in range(T):
        weights[i, keys.get(i, 0)] = 1
    return weights


def test_perfect_heads_score_1_and_the_others_what_is_left():
    ids = repeated_tokens(V, L, seed=1)[0]
    T = 2 * L
    previous = attending(T, {i: i - 1 for i in range(1, T)})
    duplicate = attending(T, {i: i - L for i in range(L, T)})
    induction = attending(T, {i: i - L + 1 for i in range(L, T)})
    scores = scores_of(np.stack([[previous, duplicate], [induction, np.full((T, T), 1 / T)]]), ids)
    assert scores.previous_token[0, 0] == scores.duplicate_token[0, 1] == scores.induction[1, 0] == 1
    assert scores.best("previous_token") == (0, 0)
    assert scores.best("duplicate_token") == (0, 1)
    assert scores.best("induction") == (1, 0)
    assert scores.duplicate_token[0, 0] == scores.induction[0, 0] == 0
    for habit in HABITS:
        assert getattr(scores, habit)[1, 1] == pytest.approx(1 / T), "one key for each query"
    assert scores.layers == ("layer 0", "layer 1")


def test_keys_of_each_habit_by_hand():
    keys = habit_keys([5, 7, 5, 5])
    np.testing.assert_array_equal(np.argwhere(keys["previous_token"]), [[1, 0], [2, 1], [3, 2]])
    np.testing.assert_array_equal(np.argwhere(keys["duplicate_token"]), [[2, 0], [3, 0], [3, 2]])
    np.testing.assert_array_equal(np.argwhere(keys["induction"]), [[2, 1], [3, 1], [3, 3]])


def test_queries_without_a_key_do_not_count():
    ids = np.array([1, 2, 3, 1])
    weights = np.full((1, 1, 4, 4), 0.25)
    weights[0, 0, 3] = [0.1, 0.7, 0.2, 0]
    scores = scores_of(weights, ids)
    assert scores.induction[0, 0] == pytest.approx(0.7)
    assert scores.duplicate_token[0, 0] == pytest.approx(0.1)
    assert scores.previous_token[0, 0] == pytest.approx((0.25 + 0.25 + 0.2) / 3)


@pytest.mark.parametrize("ids", [[3], [1, 2]])
def test_no_query_at_all_has_no_score(ids):
    scores = scores_of(np.ones((1, 2, len(ids), len(ids))), ids)
    assert np.isnan(scores.induction).all()
    assert "nan" in scores.table()
    with pytest.raises(ArgumentError, match="no query"):
        scores.best("induction")


@pytest.mark.parametrize(("make", "names"), [
    (lambda: GPT(GPTConfig(V, 16, 2, 3, 12)), ("h.0.attn", "h.1.attn")),
    (lambda: MaskedLM(EncoderConfig(V, 16, 2, 3, 12)), ("encoder.h.0.attn", "encoder.h.1.attn")),
])  # fmt: skip
def test_of_a_model_by_hand_from_captured_weights(make, names):
    model = make()
    ids = repeated_tokens(V, L, rows=3, seed=4)
    scores = head_scores(model, length=L, rows=3, seed=4)
    assert scores.layers == names
    with capture(model) as acts:
        model(ids)
    for layer, name in enumerate(names):
        weights = acts[f"{name}.weights"]
        by_hand = np.mean([weights[:, :, i, i - L + 1] for i in range(L, 2 * L)], axis=(0, 1))  # (H,)
        np.testing.assert_allclose(scores.induction[layer], by_hand, rtol=1e-6)
    again = head_scores(model, ids)
    np.testing.assert_array_equal(again.induction, scores.induction)
    assert not np.array_equal(head_scores(model, length=L, rows=3, seed=5).induction, scores.induction)
    assert len(scores.table().splitlines()) == 1 + 2 * 3


def test_repeated_tokens():
    ids = repeated_tokens(V, L, rows=4, seed=0)
    assert ids.shape == (4, 2 * L)
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids[:, :L], ids[:, L:])
    assert all(len(set(row[:L])) == L for row in ids)
    assert set(repeated_tokens([3, 9], 50)[0]) == {3, 9}
    for wrong in ({"tokens": 0, "length": 1}, {"tokens": 5, "length": 0}, {"tokens": 5, "length": 2, "rows": 0}):
        with pytest.raises(ArgumentError, match="at least one"):
            repeated_tokens(**wrong)


def test_wrong_use_says_what_to_do():
    with pytest.raises(ShapeError, match="layers, heads, T, T"):
        scores_of(np.ones((2, 3, 4, 5)), np.arange(4))
    with pytest.raises(ArgumentError, match="scores_of"):
        head_scores(RecurrentLM(RecurrentConfig(V, 1, 4)))
    two_sided = EncoderDecoder(EncoderDecoderConfig(V, 8, 1, 2, 4, start_id=0, end_id=1))
    with pytest.raises(ArgumentError, match="scores_of"):
        head_scores(two_sided)
    with pytest.raises(ArgumentError, match="previous_token, duplicate_token, induction"):
        scores_of(np.ones((1, 1, 2, 2)), [1, 1]).best("inductive")
