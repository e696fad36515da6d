"""From a text to two parts of ids: in order, without overlap, in the smallest type that holds them."""

import numpy as np
import pytest

from minigpt.data import tokenize_and_split, train_tokenizer
from minigpt.errors import ArgumentError, DataError, TokenizerError
from minigpt.tokenizers import BPETokenizer, CharTokenizer

TEXT = "the cat sat on the mat.\n" * 10


def test_the_parts_are_the_text_in_order():
    tok = CharTokenizer.train(TEXT)
    data = tokenize_and_split(TEXT, tok, block_size=8)
    assert tok.decode(data.train_ids) + tok.decode(data.val_ids) == TEXT
    assert len(data.val_ids) == len(TEXT) // 10
    assert data.block_size == 8
    np.testing.assert_array_equal(data.batch(0, 2)["ids"].shape, (2, 8))


@pytest.mark.parametrize(("fraction", "n_val"), [(0.1, 24), (0.25, 60), (0.5, 120)])
def test_the_last_part_validates(fraction, n_val):
    data = tokenize_and_split(TEXT, CharTokenizer.train(TEXT), 4, val_fraction=fraction)
    assert (len(data.train_ids), len(data.val_ids)) == (len(TEXT) - n_val, n_val)


@pytest.mark.parametrize(("V", "dtype"), [(1, np.uint8), (256, np.uint8), (257, np.uint16), (65_000, np.uint16)])
def test_ids_take_the_smallest_type_that_holds_the_whole_vocabulary(V, dtype):
    characters = [chr(i) for i in range(70_000) if not 0xD800 <= i <= 0xDFFF][:V]
    tok = CharTokenizer("".join(characters))
    text = characters[-1] * 100
    data = tokenize_and_split(text, tok, block_size=4)
    assert data.train_ids.dtype == data.val_ids.dtype == dtype
    assert (data.train_ids == V - 1).all()  # the largest id did not wrap around


def test_a_text_shorter_than_the_context():
    tok = CharTokenizer.train(TEXT)
    assert tokenize_and_split(TEXT, tok, block_size=23).has_val  # 24 tokens to validate: one window and its target
    with pytest.raises(DataError, match=r"too short.*at least 25 \(block_size \+ 1\)"):
        tokenize_and_split(TEXT, tok, block_size=24)
    with pytest.raises(DataError, match="too short"):
        tokenize_and_split("", tok, block_size=4)


def test_bad_arguments():
    tok = CharTokenizer.train(TEXT)
    with pytest.raises(TokenizerError, match=r"unknown character 'X'.* at index 240"):
        tokenize_and_split(TEXT + "X", tok, block_size=4)
    for fraction in (0, 1, -0.1, 1.5, "some", None, float("nan")):
        with pytest.raises(ArgumentError, match="val_fraction"):
            tokenize_and_split(TEXT, tok, block_size=4, val_fraction=fraction)
    for block_size in (0, -4, 2.5):
        with pytest.raises(ArgumentError, match="block_size"):
            tokenize_and_split(TEXT, tok, block_size=block_size)


def test_a_tokenizer_by_its_name():
    assert train_tokenizer("char", TEXT).characters == CharTokenizer.train(TEXT).characters
    tok = train_tokenizer("bpe", TEXT, 262)
    assert isinstance(tok, BPETokenizer)
    assert tok.vocab_size == 262
    with pytest.raises(ArgumentError, match="no tokenizer 'BPE': wanted char, word, bpe"):
        train_tokenizer("BPE", TEXT)
    with pytest.raises(ArgumentError, match="vocab_size is for the bpe and word tokenizers"):
        train_tokenizer("char", TEXT, 300)


def test_merges_are_learned_from_the_training_part_only():
    text = "ab" * 90 + "xy" * 10
    pairs = train_tokenizer("bpe", text, 300, val_fraction=0.1).merges
    assert pairs[0] == (b"a", b"b")
    assert not any(b"x" in left + right for left, right in pairs)


def test_word_vocabulary_comes_from_the_training_part():
    """Words that occur twice in it; what only the validation part has is unknown there."""
    tok = train_tokenizer("word", "sun and moon and sun and moon " * 30 + "star star " * 5, val_fraction=0.1)
    assert sorted(tok.words) == ["and", "moon", "sun"]
    assert tok.decode(tok.encode("the sun and star")) == "<unk> sun and <unk>"
    small = train_tokenizer("word", "sun and moon and sun and moon and " * 30, vocab_size=5)
    assert small.words == ["and"] or list(small.words) == ["and"]
