"""Filling blanks: which candidates, in which order, with which probabilities; and texts that have no answer."""

from dataclasses import replace

import numpy as np
import pytest

from minigpt.data import Masking
from minigpt.errors import ArgumentError, ShapeError, TokenizerError
from minigpt.models import EncoderConfig, MaskedLM
from minigpt.tokenizers import BPETokenizer, CharTokenizer, WordTokenizer

TEXT = "the if statement , the for statement and the with statement"


def make(kind, **settings):
    tok = kind.train(TEXT, **settings)
    masking = Masking.of(tok)
    config = EncoderConfig(tok.vocab_size, 16, n_layer=1, n_head=2, n_embd=8, mask_id=masking.mask_id)
    model = MaskedLM(config, seed=0)
    for p in model.parameters():
        p.data += np.random.default_rng(1).normal(size=p.shape).astype(np.float32) * 0.4
    return model, tok


@pytest.mark.parametrize("kind", [CharTokenizer, WordTokenizer, BPETokenizer])
def test_all_candidates_are_a_distribution(kind):
    model, tok = make(kind)
    special = set(tok.special_tokens.values())
    n = tok.vocab_size - len(special)
    (blank,) = model.fill("the ___ state", tok, k=n)
    p = [c.probability for c in blank]
    assert p == sorted(p, reverse=True)
    assert sum(p) == pytest.approx(1)
    assert {c.id for c in blank} == set(range(tok.vocab_size)) - special
    assert all(c.token == tok.decode([c.id]) for c in blank)


def test_probabilities_are_those_of_the_logits():
    model, tok = make(WordTokenizer)
    ids = np.array(tok.encode("the <mask> statement"))
    blank = model.fill("the ___ statement", tok, k=3)[0]
    logits = model(ids[None])[0].numpy()[0, 1].astype(np.float64)
    ordinary = [i for i in range(tok.vocab_size) if i not in tok.special_tokens.values()]
    p = np.exp(logits[ordinary]) / np.exp(logits[ordinary]).sum()
    for candidate in blank:
        assert candidate.probability == pytest.approx(p[ordinary.index(candidate.id)], rel=1e-4)
    assert blank[0].probability == pytest.approx(p.max(), rel=1e-4)


def test_several_blanks_and_both_ways_to_write_them():
    model, tok = make(CharTokenizer)
    blanks = model.fill("th___ if st<mask>te______", tok)
    assert len(blanks) == 4
    assert all(len(blank) == 5 for blank in blanks)
    ids = tok.encode("th<mask> if st<mask>te<mask><mask>")
    for given in (ids, np.array(ids, np.int32)):
        for a, b in zip(model.fill(given, tok), blanks, strict=True):
            assert [c.id for c in a] == [c.id for c in b]
    assert blanks != [blanks[0]] * 4


def test_the_blank_of_a_byte_level_bpe_takes_in_the_space():
    model, tok = make(BPETokenizer, vocab_size=300)
    assert model.fill("the ___ statement", tok) == model.fill(tok.encode("the<mask> statement"), tok)


def test_the_models_own_tokenizer():
    model, tok = make(WordTokenizer)
    with pytest.raises(TokenizerError, match=r"set model\.tokenizer"):
        model.fill("the ___ statement")
    model.tokenizer = tok
    assert model.fill("the ___ statement") == model.fill("the ___ statement", tok)


def test_mode_and_dropout():
    model, tok = make(WordTokenizer)
    dropping = MaskedLM(replace(model.config, dropout=0.5), seed=0)
    assert dropping.fill("the ___ statement", tok) == dropping.fill("the ___ statement", tok)
    assert dropping.training


@pytest.mark.parametrize(
    ("text", "k", "error", "message"),
    [
        ("the if statement", 5, ArgumentError, "there is no blank in 'the if statement': mark the token"),
        ([4, 5], 5, ArgumentError, "there is no blank in ids"),
        ("___ ___", 5, ArgumentError, "nothing but blanks"),
        ("the ___", 0, ArgumentError, "k is the number of candidates, from 1 to"),
        ("the ___", 99, ArgumentError, "from 1 to 7"),
        ("", 5, ShapeError, "at least 1"),
        ([[4, 5]], 5, ShapeError, "one row of ids"),
        ("the ___" + " the" * 20, 5, ShapeError, "22 tokens are more than block_size = 16"),
    ],
)
def test_refused(text, k, error, message):
    model, tok = make(WordTokenizer)
    with pytest.raises(error, match=message):
        model.fill(text, tok, k)


def test_a_tokenizer_of_another_model():
    model, _ = make(WordTokenizer)
    with pytest.raises(TokenizerError, match=r"has no <mask> token.*Masking\.of"):
        model.fill("the ___", WordTokenizer.train(TEXT))
    _, other = make(CharTokenizer)
    with pytest.raises(TokenizerError, match="does not belong to the model"):
        model.fill("the ___", other)
