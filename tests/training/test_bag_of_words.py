"""BagOfWords: learns what single words tell, and no more."""

import numpy as np
import pytest

from minigpt.data.tasks import TASKS
from minigpt.errors import ArgumentError
from minigpt.training import BagOfWords


def test_it_learns_what_words_tell():
    texts = ["a good day", "good food", "a bad day", "bad food", "so bad"]
    labels = ["+", "+", "-", "-", "-"]
    model = BagOfWords(texts, labels)
    assert model.predict(["Good night!", "bad, bad night"]) == ["+", "-"]
    assert model.accuracy(texts, labels) == 1.0
    assert model.predict(["unknown words"]) == ["-"]  # what is more frequent


def test_three_classes():
    texts = [f"{word} {filler}" for word in ("red", "green", "blue") for filler in "abcd"]
    labels = [text.split()[0] for text in texts]
    assert BagOfWords(texts, labels).accuracy(texts, labels) == 1.0


def test_it_is_the_minimum():
    """The gradient of the penalised mean loss is almost zero, so a bad score is the model's, not the fit's."""
    records = list(TASKS["sentiment"].labelled("train", 600, 0))
    texts, labels = [r.text for r in records], [r.label for r in records]
    model = BagOfWords(texts, labels)
    x = model._features(texts)
    scores = x @ model.weights + model.bias
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    gradient = x.T @ (p - np.eye(2)[[model.classes.index(label) for label in labels]]) / len(x)
    assert np.abs(gradient).max() < 2e-3


def test_negation_is_beyond_it():
    """Sentences without negation are easy for it, negated ones are not: what the sentiment task is made for."""
    task = TASKS["sentiment"]
    train, test = (list(task.labelled(split, n, 0)) for split, n in (("train", 1000), ("test", 300)))

    def score(keep):
        parts = [[r for r in part if keep(r)] for part in (train, test)]
        (texts, labels), (test_texts, test_labels) = (([r.text for r in p], [r.label for r in p]) for p in parts)
        return BagOfWords(texts, labels).accuracy(test_texts, test_labels)

    def plain(record):
        return not {"not", "never", "Nothing"} & set(record.text.split())

    assert score(plain) > 0.97
    assert score(lambda record: True) < 0.8


def test_refused():
    with pytest.raises(ArgumentError, match="a label for each text and at least one, got 2 and 1"):
        BagOfWords(["a", "b"], ["x"])
    with pytest.raises(ArgumentError, match="got 0 and 0"):
        BagOfWords([], [])
