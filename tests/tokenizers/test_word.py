"""WordTokenizer: what counts as a word, the order of the vocabulary, what comes back, saving, and its errors."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.errors import TokenizerError
from minigpt.tokenizers import CharTokenizer, Tokenizer, WordTokenizer, load_tokenizer
from minigpt.tokenizers.special import end_token, start_token

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
PAD, UNK, START, END = range(4)


def words_of(text, **kwargs):
    """The pieces that a text is cut into, whatever their ids."""
    tok = WordTokenizer.train(text, **kwargs)
    return [tok.decode([i]) for i in tok.encode(text)]


# ---- training


def test_frequent_words_first_then_alphabetically():
    tok = WordTokenizer.train("b a c. b a b, d")
    assert tok.words == ("b", "a", ",", ".", "c", "d")
    assert tok.vocab_size == 10
    assert tok.special_tokens == {"<pad>": 0, "<unk>": 1, "<start>": 2, "<end>": 3}
    assert tok.encode("a b. zebra") == [5, 4, 7, UNK]
    assert all(type(i) is int for i in tok.encode("a zebra"))


def test_min_freq():
    tok = WordTokenizer.train("one two two three three three", min_freq=2)
    assert tok.words == ("three", "two")
    assert tok.encode("one two three") == [UNK, 5, 4]
    with pytest.raises(
        TokenizerError, match=r"no word in the text \(min_freq 4, the most frequent of 3 occurs 3 times\)"
    ):
        WordTokenizer.train("one two two three three three", min_freq=4)


def test_max_size_counts_every_id():
    text = "one two two three three three"
    assert WordTokenizer.train(text, max_size=6).words == ("three", "two")
    assert WordTokenizer.train(text, max_size=6).vocab_size == 6
    tok = WordTokenizer.train(text, max_size=6, special_tokens=["<eot>"])
    assert (tok.words, tok.vocab_size, tok.special_tokens["<eot>"]) == (("three",), 6, 5)
    assert WordTokenizer.train(text, max_size=100).vocab_size == 7
    with pytest.raises(TokenizerError, match="max_size is an integer of at least 5, got 4"):
        WordTokenizer.train(text, max_size=4)


def test_lowercase_or_not():
    assert WordTokenizer.train("The the THE ÉTÉ").words == ("the", "été")
    tok = WordTokenizer.train("The the THE", lowercase=False)
    assert tok.words == ("THE", "The", "the")
    assert tok.decode(tok.encode("The tHE")) == "The <unk>"


@pytest.mark.parametrize("text", ["", " \n\t", "<pad> <end>"])
def test_nothing_to_learn(text):
    with pytest.raises(TokenizerError, match=r"found no word in the text \(min_freq 1\)"):
        WordTokenizer.train(text)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2", None])
def test_bad_min_freq(value):
    with pytest.raises(TokenizerError, match="min_freq is an integer of at least 1"):
        WordTokenizer.train("a b", min_freq=value)


# ---- what a word is


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Stop, or I'll shoot!", ["stop", ",", "or", "i'll", "shoot", "!"]),
        ("rock'n'roll l’été 'quoted'", ["rock'n'roll", "l’été", "'", "quoted", "'"]),
        ("snake_case x2 3.14 a-b", ["snake_case", "x2", "3", ".", "14", "a", "-", "b"]),
        ("straße Ελλάδα ΟΔΟΣ", ["straße", "ελλάδα", "οδος"]),
        ("Привет, мир", ["привет", ",", "мир"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # vowel signs and viramas are marks: they belong to the word
        ("שָׁלוֹם السَّلَامُ", ["שָׁלוֹם", "السَّلَامُ"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("我爱你。ラーメン", ["我", "爱", "你", "。", "ラ", "ー", "メ", "ン"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("a\u00a0b\u3000c\u2028d", ["a", "b", "c", "d"]),  # all white space separates
        ("x👍y", ["x", "👍", "y"]),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


@given(TEXTS)
def test_nothing_but_white_space_is_lost(text):
    tok = WordTokenizer.train(text, lowercase=False)
    ids = tok.encode(text)
    assert UNK not in ids
    assert "".join(tok.decode([i]) for i in ids) == "".join(c for c in text if tok.encode(c))
    assert all(c.isspace() for c in text if not tok.encode(c))


@given(TEXTS, st.booleans())
def test_encoding_what_was_decoded_changes_nothing(text, lowercase):
    tok = WordTokenizer.train(text, lowercase=lowercase)
    ids = [*tok.encode(text), UNK, END, *tok.encode(text)[::-1]]  # in the other order, new neighbours meet
    assert tok.encode(tok.decode(ids)) == ids


# ---- decoding


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("Hello ,  world  !", "hello, world!"),
        ("( a [ b ] ) { c }", "(a [b]) {c}"),
        ("3.14", "3. 14"),
        ("don ' t", "don ' t"),  # together they would be one word
        ("我 爱\n你。 好", "我爱你。 好"),
        ("“ quoted ” 50 %", "“quoted” 50%"),
        ("a-b", "a - b"),
    ],
)
def test_decode_is_lossy_in_known_ways(text, back):
    tok = WordTokenizer.train(text)
    assert tok.decode(tok.encode(text)) == back


def test_unknown_words_and_special_tokens():
    tok = WordTokenizer.train("the cat sat.")
    ids = tok.encode("<start>The dog sat.<end><pad>")
    assert ids == [START, tok.encode("the")[0], UNK, *tok.encode("sat."), END, PAD]
    assert tok.decode(ids) == "<start> the <unk> sat. <end> <pad>"
    assert tok.decode(ids, skip_special_tokens=True) == "the sat."
    assert tok.decode([]) == ""


def test_decode_checks_ids():
    tok = WordTokenizer.train("a b")
    assert tok.decode(np.array([4, 5], np.uint16)) == "a b"
    with pytest.raises(TokenizerError, match=r"id 6 at position 1 .* wanted 0 to 5"):
        tok.decode([4, 6])
    with pytest.raises(TokenizerError, match="got int 4"):
        tok.decode(4)


def test_start_and_end_are_added_if_asked():
    plain = WordTokenizer.train("a b")
    assert plain.encode("") == []
    tok = WordTokenizer.train("a b", add_start=True, add_end=True)
    assert tok.encode("a b") == [START, 4, 5, END]
    assert tok.encode("") == [START, END]
    assert WordTokenizer.train("a b", add_end=True).encode("a") == [4, END]
    assert WordTokenizer.train("a b", add_start=True).encode("a") == [START, 4]


def test_which_tokens_begin_and_end_a_text():
    tok = WordTokenizer.train("a")
    assert (start_token(tok), end_token(tok)) == (START, END)
    tok.add_special_tokens(["<|endoftext|>"])
    assert (start_token(tok), end_token(tok)) == (START, 5)
    char = CharTokenizer.train("ab")
    assert (start_token(char), end_token(char)) == (None, None)
    char.add_special_tokens(["<eot>"])
    assert (start_token(char), end_token(char)) == (2, 2)


# ---- special tokens


def test_added_special_tokens_come_last():
    tok = WordTokenizer.train("a b user", special_tokens=["<user>"])
    assert tok.special_tokens["<user>"] == 7
    assert tok.add_special_tokens(["<user>", "<bot>", "<pad>"]) == 1
    assert tok.vocab_size == 9
    assert tok.encode("<user> a<bot>user") == [7, 4, 8, 6]
    assert tok.decode([7, 4, 8, 6]) == "<user> a <bot> user"
    with pytest.raises(TokenizerError, match="'user' is already an ordinary piece"):
        tok.add_special_tokens(["user"])


def test_special_tokens_in_the_text_are_not_words():
    tok = WordTokenizer.train("<start> a <eot> b <eot>", special_tokens=["<eot>"])
    assert tok.words == ("a", "b")


# ---- files


@given(TEXTS, st.booleans(), st.booleans(), st.booleans())
def test_save_and_load(tmp_path_factory, text, lowercase, add_start, add_end):
    folder = tmp_path_factory.mktemp("tok")
    tok = WordTokenizer.train(text, lowercase=lowercase, special_tokens=["<eot>"], add_start=add_start, add_end=add_end)
    tok.add_special_tokens(["<later>"])
    tok.save(folder)
    loaded = load_tokenizer(folder)
    assert type(loaded) is WordTokenizer
    assert (loaded.words, loaded.special_tokens) == (tok.words, tok.special_tokens)
    assert loaded.encode(text + "<later> unseen<eot>") == tok.encode(text + "<later> unseen<eot>")
    assert os.listdir(folder) == ["word_tokenizer.json"]


def test_file_is_readable(tmp_path):
    WordTokenizer.train("né né ça").save(tmp_path)
    text = (tmp_path / "word_tokenizer.json").read_text(encoding="utf-8")
    assert json.loads(text)["words"] == ["né", "ça"]
    assert "né" in text


def test_two_tokenizers_in_a_folder(tmp_path):
    WordTokenizer.train("a b").save(tmp_path)
    CharTokenizer.train("a b").save(tmp_path)
    with pytest.raises(TokenizerError, match=r"char_tokenizer\.json and word_tokenizer\.json"):
        load_tokenizer(tmp_path)


GOOD = {"type": "word", "version": 1, "words": ["a"], "lowercase": True, "special_tokens": [], "add_start": False,
        "add_end": False}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "from a newer minigpt"),
        ({"type": "char"}, "got 'char'"),
        ({"words": "ab"}, "wanted words"),
        ({"words": {"a": 1}}, "wanted words"),
        ({"words": [3]}, "a word of the vocabulary needs a str, got int 3"),
        ({"words": ["a", "a"]}, "'a' cannot be a word of this vocabulary: it is there twice"),
        ({"words": ["A"]}, "'A' cannot be a word of this vocabulary"),
        ({"words": ["a b"]}, "'a b' cannot be a word"),
        ({"words": [""]}, "'' cannot be a word"),
        ({"words": ["<unk>"]}, "'<unk>' cannot be a word"),
        ({"words": ["\ud800"]}, "lone surrogate"),
        ({"lowercase": "yes"}, "lowercase is True or False, got 'yes'"),
        ({"add_end": None}, "add_end is True or False"),
        ({"special_tokens": ["a"]}, "'a' is already an ordinary piece"),
        ({"special_tokens": "<x>"}, "wanted words"),
    ],
)
def test_damaged_files_are_named(tmp_path, changes, message):
    path = tmp_path / "word_tokenizer.json"
    path.write_text(json.dumps({**GOOD, **changes}), encoding="utf-8")
    with pytest.raises(TokenizerError) as caught:
        load_tokenizer(tmp_path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["words", "lowercase", "special_tokens", "add_start"])
def test_incomplete_file(tmp_path, name):
    content = {key: value for key, value in GOOD.items() if key != name}
    (tmp_path / "word_tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(TokenizerError, match="is damaged: wanted words, lowercase"):
        WordTokenizer.load(tmp_path)


# ---- bad input


@pytest.mark.parametrize("call", [WordTokenizer.train, WordTokenizer.train("ab").encode])
def test_not_a_text(call):
    with pytest.raises(TokenizerError, match="needs a str, got bytes"):
        call(b"ab")
    with pytest.raises(TokenizerError, match=r"lone surrogate, U\+DC80"):
        call("a\udc80")


def test_the_constructor_wants_words_not_a_text():
    with pytest.raises(TokenizerError, match=r"WordTokenizer\.train\(text\)"):
        WordTokenizer("the cat")
    assert WordTokenizer(["the", "cat"]).encode("the cat") == [4, 5]


def test_is_a_tokenizer_and_imports_nothing_heavy():
    assert issubclass(WordTokenizer, Tokenizer)
    code = "import sys, minigpt.tokenizers; print([m for m in ('regex', 'numba', 'safetensors') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
