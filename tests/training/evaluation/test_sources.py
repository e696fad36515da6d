"""Which text is read: the parts as the trainer split them, and warnings where a text is not what it should be."""

import numpy as np
import pytest

from minigpt.data import tokenize_and_split
from minigpt.errors import ArgumentError, DataError, TokenizerError
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer
from minigpt.training.checkpoint import saved_data
from minigpt.training.evaluation.sources import note_if_seen, note_if_unseen, same_text_ids, text_part

TEXT = "".join(f"line {k} says {k * k}\n" for k in range(400))
TOK = CharTokenizer.train(TEXT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint of one step, with its data."""
    place = tmp_path_factory.mktemp("sources")
    model = GPT(GPTConfig(TOK.vocab_size, block_size=8, n_layer=1, n_head=1, n_embd=4), seed=0)
    model.tokenizer = TOK
    data = tokenize_and_split(TEXT, TOK, 8)
    config = TrainConfig(steps=1, batch_size=2, out=str(place / "run"), backend="numpy", workers=1, progress=False)
    Trainer(model, data, config).fit()
    (place / "text.txt").write_text(TEXT, encoding="utf-8")
    model.save_pretrained(place / "weights")
    return place


def test_the_saved_parts_and_the_parts_of_the_file_are_the_same(folder):
    for part in ("train", "val", "all"):
        saved, where = text_part(folder / "run", TOK, None, part)
        from_file, _ = text_part(folder / "run", TOK, folder / "text.txt", part)
        np.testing.assert_array_equal(saved, from_file)
        assert str(folder / "run") in where
    assert TOK.decode(saved) == TEXT
    assert TEXT.endswith(TOK.decode(text_part(folder / "run", TOK)[0]))
    assert "last 10%" in text_part(folder / "run", TOK, folder / "text.txt")[1]


def test_val_fraction(folder):
    ids, _ = text_part(folder / "run", TOK, folder / "text.txt", "val", 0.5)
    assert len(ids) == pytest.approx(len(TEXT) / 2, abs=1)


def test_refused(folder, tmp_path):
    with pytest.raises(DataError, match=r"holds no text.*--data"):
        text_part(folder / "weights", TOK)
    with pytest.raises(ArgumentError, match="val, train, all"):
        text_part(folder / "run", TOK, part="test")
    (tmp_path / "other.txt").write_text("Ω" * 100, encoding="utf-8")
    with pytest.raises(TokenizerError, match="Ω"):
        text_part(folder / "run", TOK, tmp_path / "other.txt")


def test_saved_data(folder):
    data = saved_data(folder / "run")
    assert TOK.decode(data.train_ids) + TOK.decode(data.val_ids) == TEXT
    assert saved_data(folder / "weights") is None


def test_a_training_text_is_noticed(folder):
    cut = int(len(TEXT) * 0.9)
    assert note_if_seen(folder / "run", TOK, TEXT[cut:]) is None
    assert "20 of 20 passages" in note_if_seen(folder / "run", TOK, TEXT[:cut])
    assert "was trained on this text" in note_if_seen(folder / "run", TOK, TEXT)
    assert note_if_seen(folder / "weights", TOK, TEXT) is None  # nobody knows what it was trained on


def test_a_text_that_was_not_trained_on_is_noticed(folder):
    cut = int(len(TEXT) * 0.9)
    assert note_if_unseen(folder / "run", TOK, TEXT[:cut]) is None
    assert "only 0 of 20" in note_if_unseen(folder / "run", TOK, TEXT[cut:])
    assert note_if_unseen(folder / "weights", TOK, TEXT[cut:]) is None


def test_one_text_for_two_tokenizers():
    ids = np.array(TOK.encode("says 25"))
    assert same_text_ids(TOK, CharTokenizer.train(TEXT), ids) is not None
    np.testing.assert_array_equal(same_text_ids(TOK, CharTokenizer.train(TEXT), ids), ids)
    other = CharTokenizer.train(TEXT[::-1] + "#")  # one character more, so other ids
    theirs = same_text_ids(TOK, other, ids)
    assert other.decode(theirs) == "says 25"
    assert not np.array_equal(theirs, ids)
