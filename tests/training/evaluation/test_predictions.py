"""Losses, ranks and confidences against a table that is known, and against the trainer's own evaluation."""

import numpy as np
import pytest

from minigpt.data import TokenData
from minigpt.errors import NumericsError
from minigpt.models import GPT, GPTConfig
from minigpt.training import evaluate
from minigpt.training.evaluation.predictions import predict, score_logits


def test_scores_by_hand():
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]) + 7.0  # a constant changes nothing
    losses, ranks, confidence = score_logits(logits, np.array([2, 1]))
    np.testing.assert_allclose(losses, -np.log([0.25, 0.1]))
    np.testing.assert_array_equal(ranks, [2, 2])  # of equal ones the smaller id comes first, as in greedy decoding
    np.testing.assert_allclose(confidence, [0.5, 0.8])


def test_rank_0_is_what_greedy_decoding_takes(rng):
    logits = rng.integers(0, 3, (200, 5)).astype(np.float32)  # many ties
    targets = rng.integers(0, 5, 200)
    _, ranks, _ = score_logits(logits, targets)
    np.testing.assert_array_equal(ranks == 0, logits.argmax(axis=1) == targets)
    for k in range(1, 6):  # the ranks of all tokens of a row are 0 … V − 1
        all_ranks = [score_logits(logits[:k], np.full(k, v))[1] for v in range(5)]
        np.testing.assert_array_equal(np.sort(all_ranks, axis=0), np.arange(5)[:, None].repeat(k, axis=1))


def test_extreme_logits():
    losses, _, confidence = score_logits(np.array([[1e4, -1e4, 0.0]], np.float32), np.array([1]))
    assert losses[0] == pytest.approx(2e4)
    assert confidence[0] == 1.0
    for bad in (np.nan, np.inf):
        with pytest.raises(NumericsError, match="damaged"):
            score_logits(np.array([[0.0, bad]]), np.array([0]))


@pytest.mark.parametrize("n", [2, 5, 9, 100])
def test_every_token_but_the_first_once_in_order(rng, n, chain, lookup_table, draw_text):
    probabilities = chain(rng)
    ids = draw_text(rng, probabilities, n)
    p = predict(lookup_table(probabilities, block_size=8), ids)
    np.testing.assert_array_equal(p.targets, ids[1:])
    np.testing.assert_allclose(p.losses, -np.log(probabilities[ids[:-1], ids[1:]]), rtol=1e-9)
    np.testing.assert_allclose(p.confidence, probabilities[ids[:-1]].max(axis=1))
    np.testing.assert_array_equal(p.windows, np.arange(n - 1) // 8)


def test_the_mean_is_the_trainers_validation_loss_and_the_mode_is_restored(rng):
    model = GPT(GPTConfig(vocab_size=11, block_size=7, n_layer=1, n_head=2, n_embd=8, dropout=0.5), seed=1).train()
    ids = rng.integers(0, 11, 300)
    p = predict(model, ids)
    wanted = evaluate(model, TokenData(ids, ids, 7))
    assert p.losses.mean() == pytest.approx(wanted, rel=1e-6)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_large_vocabulary_is_read_in_small_batches(rng, monkeypatch, chain, lookup_table, draw_text):
    probabilities = chain(rng)
    ids = draw_text(rng, probabilities, 101)
    whole = predict(lookup_table(probabilities), ids)
    monkeypatch.setattr("minigpt.training.evaluation.reading.MOST_LOGITS", 1)  # one row at a time
    single = predict(lookup_table(probabilities), ids)
    np.testing.assert_array_equal(single.losses, whole.losses)
    np.testing.assert_array_equal(single.windows, whole.windows)


def test_max_tokens(rng, chain, lookup_table, draw_text):
    probabilities = chain(rng)
    ids = draw_text(rng, probabilities, 50)
    np.testing.assert_array_equal(predict(lookup_table(probabilities), ids, max_tokens=13).targets, ids[1:14])
