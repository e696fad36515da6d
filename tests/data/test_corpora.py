"""Corpora: the prose of CPython with its repeats removed, names and paths, the split by position."""

import hashlib
import os
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.data import Corpus, chinese_scenes, load_corpus, python_prose, split_by_position
from minigpt.data import fetch as fetching
from minigpt.data.corpora import prose_from_topics
from minigpt.errors import ArgumentError, DataError, ShapeError


def share_of_known_windows(text: str, width: int = 50) -> float:
    """Share of the windows of the validation part that occur in the training part."""
    train, val = split_by_position(text, 0.1)
    known = {train[i : i + width] for i in range(len(train) - width + 1)}
    windows = [val[i : i + width] for i in range(len(val) - width + 1)]
    return sum(window in known for window in windows) / len(windows)


# ---- the prose


def test_prose_is_long_and_hardly_repeats_itself():
    pytest.importorskip("pydoc_data.topics")
    text = python_prose()
    assert len(text) > 200_000
    assert share_of_known_windows(text) < 0.01  # 0.0014 on Python 3.11
    assert share_of_known_windows(" ".join(text.split())) < 0.01  # nor when only the line breaks differ
    assert text == python_prose()


def test_raw_topics_do_repeat_themselves():
    """The reason for leaving paragraphs out; if this fails, the topics have changed."""
    topics = pytest.importorskip("pydoc_data.topics").topics

    raw = "\n\n".join(topics[name] for name in sorted(topics))
    assert share_of_known_windows(raw) > 0.05


def test_repeated_paragraphs_go_whatever_their_layout():
    long = "The quick brown fox jumps over the lazy dog, and then over it once more."
    new = "Something new is said about foxes in this second paragraph."
    topics = {
        "b": f"Title\n=====\n\n   {long.upper()}\n\n{new}\n",
        "a": f"Title\n*****\n\n{long[:30]}\n{long[30:]}\n",
    }
    # Topics come in sorted order; the repeated heading goes with the paragraph below it.
    assert prose_from_topics(topics) == f"Title\n*****\n\n{long[:30]}\n{long[30:]}\n\n{new}\n"


def test_short_paragraph_stays_with_what_it_introduces():
    topics = {"a": "For example:\n\n   x = 1\n\nFor example:\n\n   y = 2\n"}
    assert prose_from_topics(topics) == "For example:\n\n   x = 1\n\nFor example:\n\n   y = 2\n"


def test_tables_go_and_grammar_stays():
    table = "   +-----+-----+\n   | one | two |\n   |=====|=====|\n   | a   | b   |\n   +-----+-----+"
    grammar = '   target ::= identifier\n              | "(" target ")"\n              | "*" target'
    assert prose_from_topics({"a": f"Before.\n\n{table}\n\n{grammar}"}) == f"Before.\n\n{grammar}\n"


def test_stripped_python_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)  # makes the import fail
    with pytest.raises(DataError, match=r"no pydoc_data .*`minigpt data fetch tinyshakespeare`"):
        python_prose()


# ---- names and paths


def test_load_by_name_python():
    pytest.importorskip("pydoc_data.topics")
    corpus = load_corpus("python")
    assert corpus == Corpus("python", python_prose(), corpus.source)
    assert "pydoc_data" in corpus.source
    assert "PSF" in corpus.source
    with pytest.raises(AttributeError):
        corpus.text = "frozen"


def test_load_by_name_chinese():
    corpus = load_corpus("chinese")
    assert corpus == Corpus("chinese", chinese_scenes(), corpus.source)
    assert "minigpt/data/chinese.py" in corpus.source


def test_load_file_and_folder(tmp_path, monkeypatch):
    (tmp_path / "my text.txt").write_text("hello\n", encoding="utf-8")
    corpus = load_corpus(tmp_path / "my text.txt")
    assert (corpus.name, corpus.text) == ("my text", "hello\n")
    assert load_corpus(str(tmp_path)).text == "hello\n"
    assert load_corpus(tmp_path).name == tmp_path.name
    monkeypatch.chdir(tmp_path)
    assert load_corpus(".").name == tmp_path.name
    # A file that is called like a corpus is reached by a path.
    (tmp_path / "python").write_text("mine\n", encoding="utf-8")
    assert load_corpus(os.path.join(".", "python")).text == "mine\n"


def test_fetched_corpus_comes_from_the_cache_folder(tmp_path, monkeypatch):
    content = b"to be or not to be\n"
    entry = fetching.Download(
        "poem",
        "https://example.invalid/p",
        None,
        hashlib.sha256(content).hexdigest(),
        "poem.txt",
        "public domain",
    )
    monkeypatch.setitem(fetching.DOWNLOADS, "poem", entry)
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"poem\.txt.*`minigpt data fetch poem`"):
        load_corpus("poem")
    (tmp_path / "poem.txt").write_bytes(content)
    assert load_corpus("poem") == Corpus("poem", "to be or not to be\n", "https://example.invalid/p (public domain)")
    (tmp_path / "poem.txt").write_bytes(content + b"!")
    with pytest.raises(DataError, match="its SHA-256 differs"):
        load_corpus("poem")


def test_not_fetched_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    with pytest.raises(DataError, match="`minigpt data fetch tinyshakespeare`"):
        load_corpus("tinyshakespeare")


def test_unknown_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=r"python, chinese, tinyshakespeare, or the path .*did you mean 'tinyshakespeare'"
    ):
        load_corpus("tinyshakespear")
    with pytest.raises(DataError) as info:
        load_corpus("missing/file.txt")
    assert "did you mean" not in str(info.value)


# ---- the split


@given(st.integers(20, 400), st.floats(0.06, 0.94))
def test_split_covers_everything_once(n, val_fraction):
    ids = np.arange(n)
    train, val = split_by_position(ids, val_fraction, min_tokens=1)
    np.testing.assert_array_equal(np.concatenate([train, val]), ids)
    assert abs(len(val) - n * val_fraction) <= 1
    assert np.shares_memory(train, ids)
    assert np.shares_memory(val, ids)


def test_split_of_tinyshakespeare_is_the_usual_one():
    """1,115,394 characters: the first 1,003,854 train, the last 111,540 validate."""
    train, val = split_by_position(np.zeros(1_115_394, dtype=np.uint8))
    assert (len(train), len(val)) == (1_003_854, 111_540)


def test_split_of_lists_and_text():
    assert split_by_position(list(range(10)), 0.3) == ([0, 1, 2, 3, 4, 5, 6], [7, 8, 9])
    assert split_by_position("abcdefghij", 0.2) == ("abcdefgh", "ij")


@pytest.mark.parametrize(("val_fraction", "part"), [(0.1, "validation"), (0.9, "training")])
def test_too_short_for_the_block_size(val_fraction, part):
    with pytest.raises(DataError) as info:
        split_by_position(np.arange(300), val_fraction, min_tokens=65)
    message = str(info.value)
    assert f"30 for {part}" in message or f"29 for {part}" in message
    assert "at least 65" in message
    shorter = min(map(len, split_by_position(np.arange(300), val_fraction)))
    assert f"a block_size of at most {shorter - 1}" in message  # and that one does fit:
    split_by_position(np.arange(300), val_fraction, min_tokens=shorter)
    wanted = int(message.rsplit("about ", 1)[1].split()[0])
    split_by_position(np.arange(wanted + 1), val_fraction, min_tokens=65)
    with pytest.raises(DataError):
        split_by_position(np.arange(wanted - 11), val_fraction, min_tokens=65)


def test_hopelessly_short():
    with pytest.raises(DataError, match="no block_size at all"):
        split_by_position([1, 2, 3])
    with pytest.raises(DataError, match="0 tokens"):
        split_by_position([])


@pytest.mark.parametrize("val_fraction", [0, 1, -0.1, 1.5, "0.1", None, float("nan")])
def test_bad_fraction(val_fraction):
    with pytest.raises(ArgumentError, match="val_fraction needs a number between 0 and 1"):
        split_by_position(range(100), val_fraction)


def test_two_rows_are_refused():
    with pytest.raises(ShapeError, match=r"got shape \(2, 50\)"):
        split_by_position(np.zeros((2, 50), int))
