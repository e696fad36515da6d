"""Where the target of a class or of a tag stands."""

import numpy as np
import pytest

from minigpt.data import NO_LOSS, Labelled
from minigpt.data.classes import class_data, label_target, tag_target
from minigpt.data.tasks import Tagged
from minigpt.errors import DataError
from minigpt.tokenizers import BPETokenizer, CharTokenizer

CHARS = CharTokenizer(" abcdeghilnostuw")
BPE = BPETokenizer.train("the old dog saw a light the old dog " * 20, vocab_size=300)


@pytest.mark.parametrize("tok", [CHARS, BPE], ids=["char", "bpe"])
def test_label_stands_at_the_last_token(tok):
    ids, targets = label_target(Labelled("the dog", "yes"), tok, ["no", "yes"])
    assert tok.decode(ids) == "the dog"
    assert targets.tolist() == [NO_LOSS] * (len(ids) - 1) + [1]


@pytest.mark.parametrize("tok", [CHARS, BPE], ids=["char", "bpe"])
def test_tags_stand_where_the_words_end(tok):
    words, tags = ("the", "old", "dog", "saw"), ("DET", "ADJ", "NOUN", "VERB")
    names = sorted(set(tags))
    ids, targets = tag_target(Tagged(words, tags), tok, names)
    assert tok.decode(ids) == "the old dog saw"
    read = [tok.decode(ids[: i + 1]) for i in np.flatnonzero(targets != NO_LOSS)]
    assert read == ["the", "the old", "the old dog", "the old dog saw"]
    assert [names[k] for k in targets if k != NO_LOSS] == list(tags)


def test_special_names_in_a_text_are_ordinary():
    tok = CharTokenizer("<ab>", ["<ab>"])
    ids, _ = label_target(Labelled("<ab>", "x"), tok, ["x", "y"])
    assert len(ids) == 4


def test_class_data():
    data = class_data([Labelled("a", "x"), Tagged(("a", "b"), ("y", "x"))], CHARS, ["x", "y"])
    assert data.widths.tolist() == [1, 3]
    assert data[1][1].tolist() == [1, NO_LOSS, 0]
    with pytest.raises(DataError, match="'z' is none of the classes x, y"):
        class_data([Labelled("a", "z")], CHARS, ["x", "y"])
