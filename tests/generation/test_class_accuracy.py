"""evaluate_classes: heads whose answers are known, and heads that were trained on something else."""

import json

import numpy as np
import pytest

from minigpt.data.tasks import TASKS
from minigpt.errors import ArgumentError, ConfigError, DataError
from minigpt.generation.class_accuracy import evaluate_classes
from minigpt.models import GPTClassifier
from minigpt.training.evaluation import wilson
from minigpt.training.finetune import FinetuneSettings, prepare

SMALL = {"examples": 60, "val_examples": 10, "n_layer": 1, "n_head": 2, "n_embd": 8, "method": "head"}


@pytest.fixture(scope="module")
def heads():
    return {task: prepare(FinetuneSettings(task=task, **SMALL))[0].eval() for task in ("sentiment", "tagging")}


def test_texts(heads):
    """A head that always says the same is right as often as that class occurs; what it was asked is kept in order."""
    model = heads["sentiment"]
    model.head.weight.data[:] = 0
    model.head.bias.data[:] = [0, 1]  # classes are sorted: negative, positive
    e = evaluate_classes(model, TASKS["sentiment"], 50, seed=3, name="sentiment")
    records = list(TASKS["sentiment"].labelled("test", 50, 3))
    right = sum(r.label == "positive" for r in records)
    assert (e.right, e.n, e.unit, e.interval) == (right, 50, "questions", wilson(right, 50))
    assert [asked for asked, _, _ in e.answers] == [(r.text, r.label) for r in records]
    assert {given for _, given, _ in e.answers} == {"positive"}
    assert json.loads(json.dumps(e.to_dict()))["exact_match"] == right / 50


def test_words_are_asked_at_their_last_token(heads, monkeypatch):
    """A guess is counted at the last letter of each word, where it was trained, and nowhere else."""
    model, task = heads["tagging"], TASKS["tagging"]
    records = list(task.tagged("test", 5, 0))
    ends = [np.cumsum([len(w) + (i > 0) for i, w in enumerate(r.words)]) - 1 for r in records]

    def predict(self, rows, batch_size=64):
        found = [np.full(len(row), self.class_names.index("PRON")) for row in rows]
        for guesses, r, end in zip(found, records, ends, strict=True):
            guesses[end] = [self.class_names.index(tag) for tag in r.tags]
        found[0][ends[0][0]] = (found[0][ends[0][0]] + 1) % len(self.class_names)
        return found

    monkeypatch.setattr(GPTClassifier, "predict", predict)
    e = evaluate_classes(model, task, 5, seed=0)
    n = sum(len(r.words) for r in records)
    assert (e.right, e.n, e.unit) == (n - 1, n, "words")
    (asked, tag), given, score = e.answers[0]
    assert asked == f"{records[0].words[0]!r} in {records[0].key!r}"
    assert score == 0
    assert given != tag == records[0].tags[0]


def test_refused(heads):
    with pytest.raises(ArgumentError, match=r"negative, positive apart, for each text; tagging has .*for each word"):
        evaluate_classes(heads["sentiment"], TASKS["tagging"], 5, name="tagging")
    with pytest.raises(ArgumentError, match="another task than sentiment"):
        evaluate_classes(heads["tagging"], TASKS["sentiment"], 5, name="sentiment")
    with pytest.raises(ConfigError, match="arithmetic has none"):
        evaluate_classes(heads["tagging"], TASKS["arithmetic"], 5, name="arithmetic")

    class Empty:
        def labelled(self, split, n, rng):
            return iter(())

    with pytest.raises(DataError, match="task Empty has no texts with classes in the split 'test'"):
        evaluate_classes(heads["sentiment"], Empty(), 5)
