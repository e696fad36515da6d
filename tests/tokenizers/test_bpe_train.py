"""Training against a trainer that counts everything again after each merge."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minigpt.errors import TokenizerError
from minigpt.tokenizers import BPETokenizer
from minigpt.tokenizers.bpe_split import alphabet_bytes, chunks, split
from minigpt.tokenizers.bpe_train import count_pieces, learn_merges


def by_definition(piece_counts, n_merges):
    """Count all pairs of neighbours, join the most frequent, of equals the one with the smaller ids; begin again."""
    id_of = {byte: i for i, byte in enumerate(alphabet_bytes())}
    words = [([id_of[byte] for byte in piece.encode()], count) for piece, count in piece_counts.items()]
    merges = []
    while len(merges) < n_merges:
        counts = Counter()
        for word, count in words:
            for pair in pairwise(word):
                counts[pair] += count
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        for word, _ in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = [256 + len(merges)]
                i += 1
        merges.append(best)
    return merges


PIECES = st.text("ab ", min_size=1, max_size=12) | st.text("abcé好", min_size=1, max_size=6)


@given(st.dictionaries(PIECES, st.integers(1, 5), max_size=12), st.integers(0, 30))
@example({"aaaaaaa": 1, "aaaa": 2}, 5)
@example({"abab": 1, "ababab": 1, "aba": 3}, 6)
@example({}, 3)
def test_learns_what_the_definition_learns(piece_counts, n_merges):
    assert learn_merges(piece_counts, n_merges) == by_definition(piece_counts, n_merges)


@given(st.text("ab c\n好", max_size=80), st.integers(0, 40))
def test_trained_tokens_are_the_merges(text, n_merges):
    tok = BPETokenizer.train(text, 256 + n_merges)
    wanted = by_definition(Counter(split(text)), n_merges)
    assert tok.vocab_size == 256 + len(wanted)
    for rank, (left, right) in enumerate(tok.merges):
        assert (left, right) == tuple(tok.decode_bytes([token_id]) for token_id in wanted[rank])
        assert tok.decode_bytes([256 + rank]) == left + right


def test_textbook_example():
    """Sennrich et al. 2016, section 3.2: "low" five times, "lower" twice …, without the sign for the end of a word."""
    text = "low\n" * 5 + "lower\n" * 2 + "newest\n" * 6 + "widest\n" * 3
    tok = BPETokenizer.train(text, 256 + 10)
    assert tok.merges[:3] == [(b"e", b"s"), (b"es", b"t"), (b"l", b"o")]
    assert (b"lo", b"w") in tok.merges
    assert [tok.decode([i]) for i in tok.encode("lowest")] == ["low", "est"]  # a word that training has not seen


def test_ties_go_to_the_smaller_ids():
    assert BPETokenizer.train("cd ab", 257).merges == [(b"a", b"b")]  # ab, cd and " a" occur once


def test_stops_when_no_pair_is_left():
    tok = BPETokenizer.train("abab", 1000)
    assert tok.merges == [(b"a", b"b"), (b"ab", b"ab")]
    assert tok.vocab_size == 258
    assert BPETokenizer.train("", 1000).vocab_size == 256
    assert BPETokenizer.train("a\nb\n", 1000).vocab_size == 256


def test_a_text_in_parts_is_the_same_as_whole():
    line = "the cat sat on the mat.\n"
    text = line * 20
    whole = BPETokenizer.train(text, 300)
    assert BPETokenizer.train([line] * 20, 300).merges == whole.merges
    assert BPETokenizer.train(iter([text]), 300).merges == whole.merges


def test_long_texts_are_read_in_chunks():
    text = "the cat sat on the mat.\n" * 10_000
    assert len(list(chunks(text, 0, len(text)))) > 2
    assert count_pieces(text, [], None) == Counter(split(text))


def test_special_tokens_are_not_learned_from():
    tok = BPETokenizer.train("ab<|x|>ab<|x|>", 1000, special_tokens=["<|x|>"])
    assert tok.merges == [(b"a", b"b")]
    assert tok.special_tokens == {"<|x|>": 257}
    assert tok.vocab_size == 258


def test_one_very_long_piece():
    """Neither training nor encoding may look through a whole piece once per merge: that would take minutes."""
    tok = BPETokenizer.train("gattaca" * 15_000, 256 + 60)
    assert tok.vocab_size < 256 + 60 + 1
    assert len(tok.encode("gattaca" * 15_000)) < 30


@pytest.mark.parametrize(
    ("vocab_size", "special", "message"),
    [
        (255, [], "at least 256, 256 for the single bytes, got 255"),
        (257, ["<a>", "<b>"], "at least 258, 256 for the single bytes and 2 special tokens, got 257"),
        (-1, [], "got -1"),
        (512.0, [], "needs an integer, got float 512.0"),
        (True, [], "needs an integer, got bool True"),
        ("512", [], "needs an integer, got str '512'"),
    ],
)
def test_vocab_sizes_that_cannot_be(vocab_size, special, message):
    with pytest.raises(TokenizerError) as info:
        BPETokenizer.train("text", vocab_size, special)
    assert message in str(info.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"bytes", "decode the bytes first"),
        (5, "needs a str, got int 5"),
        (None, "needs a str, got NoneType None"),
        (["a", 7], "needs a str, got int 7"),
        ("a\ud800", "lone surrogate"),
        (["a", "\udfff"], "lone surrogate"),
    ],
)
def test_texts_that_are_none(text, message):
    with pytest.raises(TokenizerError, match=message):
        BPETokenizer.train(text)


@pytest.mark.parametrize(
    ("special", "message"),
    [("<a>", "a list such as"), ([""], "at least one character"), (["a"], "already an ordinary piece")],
)
def test_special_tokens_that_cannot_be(special, message):
    with pytest.raises(TokenizerError, match=message):
        BPETokenizer.train("other the the the", 300, special)


def test_progress_can_be_shown_and_hidden(capsys, monkeypatch):
    monkeypatch.setattr("minigpt.tokenizers.bpe_train.SECONDS_BEFORE_BAR", 0)
    BPETokenizer.train("some text", 260, progress=True)
    assert "merges" in capsys.readouterr().err
    BPETokenizer.train("some text", 260, progress=False)
    BPETokenizer.train("some text", 260)  # no terminal here
    assert capsys.readouterr().err == ""
