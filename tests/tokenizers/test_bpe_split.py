"""How text is cut into pieces, and bytes written as letters."""

import random

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from minigpt.tokenizers import bpe_split
from minigpt.tokenizers.bpe_split import (
    CHUNK,
    PATTERN,
    alphabet_bytes,
    ascii_splitter,
    byte_alphabet,
    chunks,
    from_letters,
    split,
    to_letters,
    unicode_splitter,
)

EVERYTHING = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
VALID = st.characters(exclude_categories=["Cs"])
# Where pieces meet: white space of every kind, contractions, letters and digits outside ASCII.
TRICKY = st.lists(
    st.sampled_from([*" \n\t\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2003\u2028\u3000\u200b", "'s", "'ll", "'", "S",
                     "a", "9", "é", "好", "²", "!", "_", "😀", "\x00", "e\u0301"]),
).map("".join)  # fmt: skip


def test_words_take_the_space_before_them():
    assert split("I'll pay 12 €.") == ["I", "'ll", " pay", " 12", " €."]


def test_the_last_space_is_left_to_the_word():
    assert split("a   b\n\n  c  \n") == ["a", "  ", " b", "\n\n ", " c", "  \n"]


def test_only_lower_case_contractions():
    assert split("it's IT'S 're") == ["it", "'s", " IT", "'", "S", " '", "re"]


@given(st.text(VALID) | TRICKY)
def test_pieces_join_to_the_text(text):
    assert "".join(split(text)) == text
    assert "" not in split(text)


@given(st.text(st.characters(max_codepoint=0x7F)))
@example("".join(map(chr, range(128))))
def test_the_two_patterns_agree_on_ascii(text):
    assert ascii_splitter()(text) == unicode_splitter()(text)


def test_the_two_patterns_agree_on_all_short_texts_of_their_classes():
    """One character for each class of each pattern, and the separators on which the two notions of space differ."""
    letters = ["a", "Z", "s", "0", "'", "_", " ", "\n", "\t", "\x0b", "\x1c", "\x1f", "\x00", "\x7f"]
    texts = [a + b + c + d for a in letters for b in letters for c in letters for d in letters]
    assert all(ascii_splitter()(text) == unicode_splitter()(text) for text in texts)


def test_the_pattern_is_gpt2s():
    assert PATTERN == r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


# ---- chunks


@given(text=TRICKY, size=st.integers(0, 5), start=st.integers(0, 3))
@example(text="a b c d", size=0, start=0)
def test_cutting_into_chunks_changes_no_piece(text, size, start):
    before, bpe_split.CHUNK = bpe_split.CHUNK, size
    try:
        parts = list(chunks(text, start, len(text)))
    finally:
        bpe_split.CHUNK = before
    assert [piece for part in parts for piece in split(part)] == split(text[start:])
    assert "" not in parts


def test_every_character_may_stand_beside_a_cut(monkeypatch):
    monkeypatch.setattr(bpe_split, "CHUNK", 1)
    text = "".join(f"{character} x" for character in EVERYTHING[:0x3100])  # all white space lies below
    parts = list(chunks(text, 0, len(text)))
    assert len(parts) > 0x3000
    assert [piece for part in parts for piece in split(part)] == unicode_splitter()(text)


def test_chunks_are_not_much_longer_than_asked():
    text = "".join(random.Random(0).choices(["word ", "好。", "x\n"], k=CHUNK))
    lengths = [len(part) for part in chunks(text, 0, len(text))]
    assert max(lengths) < 1.1 * CHUNK


def test_a_text_without_a_border_stays_whole():
    text = "好" * (2 * CHUNK)
    assert list(chunks(text, 0, len(text))) == [text]


# ---- letters for bytes


def test_alphabet():
    assert len(set(byte_alphabet())) == 256
    assert sorted(alphabet_bytes()) == list(range(256))
    assert byte_alphabet() == "".join(sorted(byte_alphabet()))  # the order of ids is that of the code points
    assert not any(letter.isspace() for letter in byte_alphabet())
    assert to_letters(b" \n\x00!~\x7f\xa0\xad\xff") == "ĠĊĀ!~ġłŃÿ"  # as in GPT-2's vocab.json


@given(st.binary())
def test_letters_and_back(data):
    assert from_letters(to_letters(data)) == data


@pytest.mark.parametrize("token", ["a b", "好", "\n", "\xad"])
def test_letters_that_stand_for_no_byte(token):
    assert from_letters(token) is None


def test_white_space_of_the_library_is_white_space_of_python():
    """What the border of chunks relies on: \\S of `re` lies within \\S of `regex`."""
    spaces = regex.findall(r"\s", "".join(EVERYTHING))
    assert len(spaces) == 25
    assert all(character.isspace() for character in spaces)
