"""Masking: how many tokens, which, what becomes of them; and windows with blanks for a trainer."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.data import MaskedData, Masking, TokenData
from minigpt.errors import ArgumentError, ConfigError, DataError, ShapeError
from minigpt.tokenizers import BPETokenizer, CharTokenizer, WordTokenizer

V, PAD, MASK = 50, 48, 49
MASKING = Masking(MASK, V, special_ids=(PAD, 7))


def some_ids(rng, B=40, T=60):
    """Rows with padding of different lengths and special tokens amid the text."""
    ids = rng.integers(0, 48, (B, T))
    return np.where(np.arange(T) < rng.integers(1, T + 1, (B, 1)), ids, PAD)


@given(st.integers(0, 10**6), st.sampled_from([None, 0.2, 0.7, 1.0]), st.floats(0.01, 0.99))
def test_properties(seed, span_p, rate):
    rng = np.random.default_rng(seed)
    ids = some_ids(rng, 8, 20)
    ids[:, 0] = np.where(np.isin(ids[:, 0], (7, PAD)), 1, ids[:, 0])  # something to mask in every row
    before = ids.copy()
    masking = replace(MASKING, span_p=span_p, rate=rate)
    seen, targets = masking.apply(seed, ids)
    assert np.array_equal(ids, before)
    assert seen.dtype == targets.dtype == np.int64
    chosen = targets != -100
    allowed = ~np.isin(ids, (7, PAD, MASK))
    assert not (chosen & ~allowed).any()  # never special tokens, never padding
    assert chosen.sum(axis=1).tolist() == [max(1, round(rate * n)) for n in allowed.sum(axis=1)]
    assert np.array_equal(targets[chosen], ids[chosen])
    assert np.array_equal(seen[~chosen], ids[~chosen])
    assert not np.isin(seen[chosen], (7, PAD)).any()
    again = masking.apply(seed, ids)
    assert np.array_equal(again[0], seen)
    assert np.array_equal(again[1], targets)


def test_eighty_ten_ten(rng):
    ids = rng.integers(0, 7, (400, 100))
    seen, targets = MASKING.apply(rng, ids)
    chosen = targets != -100
    n = chosen.sum()
    assert n == 400 * 15
    hidden, kept = (seen == MASK) & chosen, (seen == ids) & chosen
    other = n - hidden.sum() - kept.sum()
    assert abs(hidden.sum() / n - 0.8) < 0.02
    assert abs(other / n - 0.1 * 46 / 47) < 0.015  # of 47 ordinary ids a random one is the right one now and then
    assert abs(kept.sum() / n - 0.1 - 0.1 / 47) < 0.015
    swapped = seen[chosen & ~hidden & ~kept]
    assert set(np.unique(swapped)) <= set(MASKING.ordinary_ids())
    assert len(np.unique(swapped)) > 40


def test_every_place_is_as_likely(rng):
    _, targets = MASKING.apply(rng, rng.integers(0, 7, (4000, 20)))
    share = (targets != -100).mean(axis=0)
    assert np.abs(share - 0.15).max() < 0.025


def test_spans_have_geometric_lengths(rng):
    """Few spans a row, so that they seldom touch: runs are as long as SpanBERT's, and there are fewer of them."""
    masking = replace(MASKING, span_p=0.2, rate=0.05)
    ids = rng.integers(0, 7, (3000, 400))
    chosen = masking.apply(rng, ids)[1] != -100
    edges = np.diff(np.pad(chosen, ((0, 0), (1, 1))).astype(int), axis=1)
    lengths = np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]
    # of 20 tokens the last span is cut, so the mean lies below 0.2's (4.46 with the cut at 10) but far above 1
    assert 3.0 < lengths.mean() < 4.6
    single = replace(MASKING, rate=0.05).apply(rng, ids)[1] != -100
    assert np.diff(single.astype(int), axis=1).clip(0).sum() > 2.5 * len(lengths)


def test_a_span_is_hidden_as_a_whole():
    """Every span has 3 tokens, all a row may lose: one that does not meet the edge has one fate."""
    masking = replace(MASKING, span_p=1e-6, max_span=3, rate=0.3)
    seen, targets = masking.apply(3, np.tile(np.arange(8, 18), (500, 1)))
    chosen = targets != -100
    inside = chosen.any(axis=1) & ~chosen[:, -1]  # the last token stands still: no span was cut
    assert inside.sum() > 300
    places = np.nonzero(chosen[inside])[1].reshape(-1, 3)
    assert (np.diff(places, axis=1) == 1).all()
    hidden = (seen == MASK)[inside].sum(axis=1)
    assert set(hidden) == {0, 3}
    assert abs((hidden == 3).mean() - 0.8) < 0.07


@pytest.mark.parametrize("kind", [CharTokenizer, WordTokenizer, BPETokenizer])
def test_mask_token_of_any_tokenizer(kind):
    tok = kind.train("some words and some more words, <eot> of a text", special_tokens=["<eot>"])
    size = tok.vocab_size
    masking = Masking.of(tok, rate=0.5)
    assert tok.vocab_size == size + 1
    assert masking.mask_id == tok.special_tokens["<mask>"] == size
    assert tok.encode("some <mask>")[-1] == size
    assert tok.special_tokens["<eot>"] in masking.special_ids
    assert Masking.of(tok).vocab_size == tok.vocab_size == size + 1  # added once
    ids = np.array([tok.encode("some words<eot> and words")])
    _, targets = masking.apply(0, ids)
    assert not np.isin(targets, list(tok.special_tokens.values())).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 1.0}, "every token hidden nothing is left"),
        ({"rate": 0.0}, "rate is a share between 0 and 1"),
        ({"hide": 0.8, "swap": 0.3}, "sum of at most 1"),
        ({"hide": -0.1}, "hide and swap"),
        ({"span_p": 0.0}, "span_p is a probability above 0"),
        ({"max_span": 0}, "max_span is at least 1"),
        ({"mask_id": V}, "mask_id 50 is not in the vocabulary"),
        ({"special_ids": tuple(range(V))}, "nothing to mask"),
    ],
)
def test_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(MASKING, **changes)


def test_bad_ids():
    with pytest.raises(ArgumentError, match="row 1 holds nothing that may be masked"):
        MASKING.apply(0, np.array([[1, 2], [PAD, 7]]))
    for ids in (np.arange(4), np.zeros((2, 3))):
        with pytest.raises(ShapeError, match=r"integer ids \(B, T\)"):
            MASKING.apply(0, ids)


def text_data(rng, n=400):
    return TokenData(rng.integers(0, 7, n), rng.integers(0, 7, 101), block_size=16)


def test_batches(rng):
    tokens = text_data(rng)
    data = MaskedData(tokens, MASKING)
    batch = data.batch(5, 6)
    assert batch["ids"].shape == batch["targets"].shape == (6, 16)
    windows = tokens.batch(5, 6)["ids"]  # those that a GPT would get
    chosen = batch["targets"] != -100
    assert np.array_equal(np.where(chosen, batch["targets"], batch["ids"]), windows)
    assert np.array_equal(data.batch(5, 6)["ids"], batch["ids"])
    assert chosen.any(axis=1).all()
    generator = np.random.default_rng(5)
    first, second = data.batch(generator, 6), data.batch(generator, 6)
    assert np.array_equal(first["ids"], batch["ids"])
    assert not np.array_equal(first["ids"], second["ids"])


def rows_of(batches):
    return [
        (ids.tolist(), targets.tolist()) for b in batches for ids, targets in zip(b["ids"], b["targets"], strict=True)
    ]


def test_validation_blanks_are_fixed(rng):
    data = MaskedData(text_data(rng), MASKING)
    assert data.has_val
    rows = rows_of(data.val_batches(3))
    assert rows == rows_of(data.val_batches(3)) == rows_of(data.val_batches(2))  # whatever the batch size
    assert rows != rows_of(MaskedData(data.tokens, MASKING, seed=1).val_batches(3))
    assert rows_of(data.val_batches(3, max_tokens=32)) == rows[:2]
    assert len(rows[-1][0]) == 4  # 100 targets: six windows of 16 and what is left


def test_check(rng):
    data = MaskedData(text_data(rng), MASKING)
    data.check(V)
    with pytest.raises(ConfigError, match="the masking knows 50 ids, the model 49"):
        data.check(V - 1)
    with pytest.raises(DataError):
        MaskedData(TokenData(np.full(40, 60)), MASKING).check(V)
    assert data.with_block_size(8).batch(0, 2)["ids"].shape == (2, 8)
