"""CharTokenizer: round trips, special tokens, saving, and what its errors say."""

import errno
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.errors import CheckpointError, TokenizerError
from minigpt.tokenizers import CharTokenizer, Tokenizer, load_tokenizer

# Any valid text: everything but lone surrogates (category Cs).
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_ids_are_sorted_characters():
    tok = CharTokenizer.train("hello\n")
    assert tok.characters == "\nehlo"
    assert tok.vocab_size == 5
    assert tok.encode("hello\n") == [2, 1, 3, 3, 4, 0]
    assert tok.decode([2, 1, 3, 3, 4, 0]) == "hello\n"
    assert all(type(i) is int for i in tok.encode("hello"))


@given(TEXTS)
def test_round_trip(text):
    tok = CharTokenizer.train(text)
    ids = tok.encode(text)
    assert len(ids) == len(text)
    assert tok.vocab_size == len(set(text))
    assert tok.decode(ids) == text
    assert tok.decode(np.array(ids, dtype=np.uint16)) == text


def test_empty_text():
    tok = CharTokenizer.train("a")
    assert tok.encode("") == []
    assert tok.decode([]) == ""
    with pytest.raises(TokenizerError, match="at least one character, got an empty text"):
        CharTokenizer.train("")


def test_encode_is_fast():
    text = "the quick brown fox jumps over the lazy dog\n" * 25_000  # 1.1 MB
    tok = CharTokenizer.train(text)
    start = time.perf_counter()
    ids = tok.encode(text)
    seconds = time.perf_counter() - start
    assert len(ids) == len(text)
    assert seconds < 1.0, f"1.1 MB took {seconds:.2f} s"  # about 0.05 s on a quiet machine


# ---- special tokens


def test_special_tokens_are_single_ids():
    tok = CharTokenizer.train("a b")
    assert tok.add_special_tokens(["<eot>", "<pad>"]) == 2
    assert tok.special_tokens == {"<eot>": 3, "<pad>": 4}
    assert tok.vocab_size == 5
    ids = tok.encode("a<eot>b<pad><eot>")
    assert ids == [1, 3, 2, 4, 3]
    assert tok.decode(ids) == "a<eot>b<pad><eot>"
    assert tok.decode(ids, skip_special_tokens=True) == "ab"


def test_special_token_that_starts_another_does_not_win():
    tok = CharTokenizer.train("x", special_tokens=["<a", "<a>"])
    assert tok.encode("<a>x<a") == [2, 0, 1]


def test_special_token_names_are_not_patterns():
    tok = CharTokenizer.train("abc", special_tokens=[".", "(|)"])
    assert tok.encode("a.b(|)") == [0, 3, 1, 4]
    with pytest.raises(TokenizerError, match="unknown character"):
        tok.encode("|")


def test_train_leaves_out_the_letters_of_special_tokens():
    tok = CharTokenizer.train("ab<eot>ba<eot>", special_tokens=["<eot>"])
    assert tok.characters == "ab"
    assert tok.encode("ab<eot>") == [0, 1, 2]


def test_train_and_encode_cut_overlapping_special_tokens_alike():
    text = "abcd"  # encode takes "ab" first, so "c" and "d" must have ids although "bcd" is special too
    tok = CharTokenizer.train(text, special_tokens=["ab", "bcd"])
    assert tok.decode(tok.encode(text)) == text


def test_adding_twice_adds_once():
    tok = CharTokenizer.train("ab", special_tokens=["<eot>"])
    assert tok.add_special_tokens(["<eot>"]) == 0
    assert tok.add_special_tokens(["<u>", "<u>", "<eot>"]) == 1
    assert tok.vocab_size == 4


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ("<eot>", 'a list such as ["<eot>"], got str'),
        (7, "got int 7"),
        ([""], "at least one character"),
        ([7], "a special token needs a str, got int 7"),
        (["<ok>", "a"], "'a' is already an ordinary piece"),
    ],
)
def test_bad_special_tokens_add_nothing(tokens, message):
    tok = CharTokenizer.train("ab")
    with pytest.raises(TokenizerError) as info:
        tok.add_special_tokens(tokens)
    assert message in str(info.value)
    assert tok.vocab_size == 2
    assert tok.special_tokens == {}


# ---- errors


def test_unknown_character_says_what_where_and_the_vocabulary():
    tok = CharTokenizer.train("ab\n", special_tokens=["<é>"])
    with pytest.raises(TokenizerError) as info:
        tok.encode("ab\nb<é>é")
    message = str(info.value)
    assert "'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE)" in message
    assert "index 7 (line 2, column 5)" in message  # the é inside the special token is not the culprit
    assert r"3 characters, '\nab'" in message
    assert "train the tokenizer" in message


def test_unknown_control_character_has_no_unicode_name():
    with pytest.raises(TokenizerError, match=r"'\\x07' \(U\+0007 a character without a name\) at index 0"):
        CharTokenizer.train("ab").encode("\x07")


def test_long_vocabulary_is_shortened():
    tok = CharTokenizer.train("".join(chr(i) for i in range(0x4E00, 0x4E00 + 3000)))
    with pytest.raises(TokenizerError, match="3000 characters") as info:
        tok.encode("a")
    assert len(str(info.value)) < 400


@pytest.mark.parametrize("call", [CharTokenizer.train, CharTokenizer.train("ab").encode, CharTokenizer])
def test_lone_surrogates_are_refused(call):
    with pytest.raises(TokenizerError, match=r"lone surrogate, U\+DC80, at index 3 \(line 2, column 2\)"):
        call("a\nb\udc80")


@pytest.mark.parametrize("value", [b"ab", 5, None, ["a"]])
def test_encode_needs_a_str(value):
    with pytest.raises(TokenizerError, match=f"encode needs a str, got {type(value).__name__}"):
        CharTokenizer.train("ab").encode(value)


def test_ids_out_of_range():
    tok = CharTokenizer.train("abc")
    with pytest.raises(TokenizerError, match=r"id 3 at position 2 .* wanted 0 to 2 \(3 ids\)"):
        tok.decode([0, 1, 3])
    with pytest.raises(TokenizerError, match="id -1 at position 0"):  # must not count from the end
        tok.decode(np.array([-1, 0]))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (3, "needs a sequence of ids, got int 3"),
        (np.int64(1), "needs a sequence of ids, got int 1"),
        ("ab", "got str 'ab'"),
        ([0, 1.0], "got float 1.0 at position 1"),
        ([True], "got bool True at position 0"),
        (np.zeros((2, 3), int), "decode one row at a time"),
        (np.zeros(2), "got float 0.0 at position 0"),
    ],
)
def test_decode_needs_a_row_of_integers(ids, message):
    with pytest.raises(TokenizerError) as info:
        CharTokenizer.train("ab").decode(ids)
    assert message in str(info.value)


def test_constructor_refuses_repeats():
    with pytest.raises(TokenizerError, match="got 'l' more than once"):
        CharTokenizer("hello")


# ---- files


@given(text=TEXTS)
def test_save_and_load(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("tok") / "new" / "folder"
    tok = CharTokenizer.train(text, special_tokens=["<|end of text|>"])
    tok.save(folder)
    loaded = load_tokenizer(folder)
    assert type(loaded) is CharTokenizer
    assert loaded.characters == tok.characters
    assert loaded.special_tokens == tok.special_tokens
    assert loaded.encode(text + "<|end of text|>") == tok.encode(text + "<|end of text|>")
    assert os.listdir(folder) == ["char_tokenizer.json"]


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    CharTokenizer.train("old").save(tmp_path)

    def full_disk(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(CheckpointError, match=r"No space left on device; what was there before is untouched"):
        CharTokenizer.train("new text").save(tmp_path)
    monkeypatch.undo()
    assert load_tokenizer(tmp_path).characters == "dlo"
    assert os.listdir(tmp_path) == ["char_tokenizer.json"]  # no temporary file is left behind


def test_save_into_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="cannot make the folder"):
        CharTokenizer.train("ab").save(tmp_path / "file")


def test_load_from_nowhere(tmp_path):
    with pytest.raises(TokenizerError, match=r"no folder .*nowhere: wanted the folder"):
        load_tokenizer(tmp_path / "nowhere")
    with pytest.raises(TokenizerError, match=r"wanted one of the files char_tokenizer\.json"):
        load_tokenizer(tmp_path)
    with pytest.raises(TokenizerError, match="no tokenizer file"):
        CharTokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        ("[]", "wanted a JSON object, got a list"),
        ('{"type": "char", "version": 3}', "from a newer minigpt"),
        ('{"type": "char", "version": 1, "characters": 5, "special_tokens": []}', "is damaged"),
        ('{"type": "char", "version": 1, "characters": "aa", "special_tokens": []}', "distinct characters"),
        ('{"type": "char", "version": 1, "characters": "a\\ud800", "special_tokens": []}', "surrogate"),
        ('{"type": "char", "version": 1, "characters": "ab", "special_tokens": [3]}', "needs a str"),
    ],
)
def test_damaged_file_names_the_path(tmp_path, content, message):
    path = tmp_path / "char_tokenizer.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TokenizerError) as info:
        load_tokenizer(tmp_path)
    assert str(path) in str(info.value)
    assert message in str(info.value)


def test_file_is_readable(tmp_path):
    CharTokenizer.train("né\n", special_tokens=["<eot>"]).save(tmp_path)
    text = (tmp_path / "char_tokenizer.json").read_text(encoding="utf-8")
    assert json.loads(text)["characters"] == "\nné"
    assert "é" in text


def test_is_a_tokenizer_and_imports_nothing_heavy():
    assert issubclass(CharTokenizer, Tokenizer)
    code = (
        "import sys, minigpt.tokenizers, minigpt.data; "
        "print([m for m in ('numba', 'matplotlib', 'scipy', 'tqdm') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_characters_added_later(tmp_path):
    """They come last, so that every id from before keeps its meaning; the file keeps the order."""
    tok = CharTokenizer("abc", ["<eot>"])
    before = tok.encode("cab<eot>")
    assert tok.add_characters("zab y\nz") == 4
    assert tok.add_characters("abc") == 0
    assert tok.add_special_tokens(["<more>"]) == 1
    assert tok.vocab_size == 9
    assert tok.encode("cab<eot>") == before == [2, 0, 1, 3]
    text = "a\nz<eot>y<more>"
    assert tok.encode(text) == [0, 4, 7, 3, 6, 8]
    assert tok.decode(tok.encode(text)) == text
    assert tok.decode(tok.encode(text), skip_special_tokens=True) == "a\nzy"
    tok.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.encode(text) == tok.encode(text)
    assert loaded.decode(range(9)) == tok.decode(range(9)) == "abc<eot>\n yz<more>"
    assert loaded.special_tokens == {"<eot>": 3, "<more>": 8}
    assert loaded.characters == tok.characters == "abc\n yz"
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again" / tok.FILE).read_bytes() == (tmp_path / tok.FILE).read_bytes()


def test_added_before_special_tokens_the_file_is_as_ever(tmp_path):
    tok = CharTokenizer("abc")
    tok.add_characters("z")
    tok.add_special_tokens(["<eot>"])
    tok.save(tmp_path)
    content = json.loads((tmp_path / tok.FILE).read_text())
    assert content["version"] == 1
    assert "order" not in content


def test_damaged_order_is_refused(tmp_path):
    tok = CharTokenizer("ab", ["<eot>"])
    tok.add_characters("z")
    tok.save(tmp_path)
    content = json.loads((tmp_path / tok.FILE).read_text())
    for order in (None, ["a", "b", "<eot>"], ["a", "b", "z", "z"], ["a", "b", "z", 4]):
        (tmp_path / tok.FILE).write_text(json.dumps({**content, "order": order}))
        with pytest.raises(TokenizerError, match='"order" must hold'):
            load_tokenizer(tmp_path)
