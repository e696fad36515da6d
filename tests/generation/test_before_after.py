"""What a tuning run reports: figures of the right examples, and answers right and wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

from minigpt.data import Labelled
from minigpt.data.tasks import TASKS
from minigpt.generation import before_after
from minigpt.generation.before_after import accuracies, bag_of_words, report
from minigpt.models import GPTClassifier
from minigpt.training import TrainConfig, Trainer
from minigpt.training.evaluation import wilson
from minigpt.training.finetune import FinetuneSettings, labelled_records, part_rng, prepare
from minigpt.training.lora import lora_layers

SMALL = {"examples": 60, "val_examples": 10, "n_layer": 1, "n_head": 2, "n_embd": 8}
FAST = {"steps": 1, "backend": "numpy", "progress": False, "workers": 1, "batch_size": 4}


def trainer_of(**changes):
    settings = FinetuneSettings(**{**SMALL, **changes})
    model, data = prepare(settings)
    return Trainer(model, data, TrainConfig(**FAST)), settings


def answers_like(monkeypatch, answer):
    """All models answer so: answer(example's right reply) -> text."""

    def greedy(model, tok, prompts, most, eos_id, stop, batch_size, progress):
        known = iter(asked)
        return [answer(next(known).reply) for _ in prompts]

    asked = list(TASKS["copy"].examples("test", 8, part_rng(0, "test")))
    monkeypatch.setattr("minigpt.generation.task_accuracy.greedy_answers", greedy)
    return asked


def test_figures_and_answers_of_a_task(monkeypatch):
    trainer, settings = trainer_of(task="copy")
    asked = answers_like(monkeypatch, lambda reply: reply if len(reply) > 8 else "no")
    (found,) = accuracies(trainer, settings, 8)
    right = [e for e in asked if len(e.reply) > 8]
    assert 0 < len(right) < 8
    assert (found["task"], found["right"], found["n"]) == ("copy", len(right), 8)
    assert found["good"] == [[f"Repeat: {e.reply}", e.reply, e.reply] for e in right][:3]
    assert all(given == "no" and len(wanted) <= 8 for _, wanted, given in found["bad"])
    assert "bag_of_words" not in found


def test_a_model_with_adapters_is_asked_merged_and_stays_as_it_is(monkeypatch):
    trainer, settings = trainer_of(task="copy", method="lora", rank=2)
    seen = []

    def evaluate(model, *args, **kwargs):
        seen.append(len(lora_layers(model)))
        return SimpleNamespace(right=0, n=1, answers=[])

    monkeypatch.setattr(before_after, "evaluate_task", evaluate)
    accuracies(trainer, settings, 4)
    assert seen == [0]
    assert len(lora_layers(trainer.model)) == 4


@pytest.mark.parametrize(("task", "level"), [("sentiment", "sequence"), ("tagging", "token")])
def test_classes(monkeypatch, task, level):
    """A head that knows every answer gets 100 %, one that always says the same gets that class's share."""
    trainer, settings = trainer_of(task=task, method="head")
    records = labelled_records(settings, "test", 30, 0)
    truth = [name for r in records for name in (r.tags if level == "token" else [r.label])]
    first = trainer.model.class_names[0]

    def constant(self, rows, batch_size=64):
        return [0 if level == "sequence" else np.zeros(len(row), int) for row in rows]

    monkeypatch.setattr(GPTClassifier, "predict", constant)
    (found,) = accuracies(trainer, settings, 30)
    assert (found["right"], found["n"]) == (truth.count(first), len(truth))
    assert all(given == first != wanted for _, wanted, given in found["bad"])
    assert ("bag_of_words" in found) == (level == "sequence")


def test_the_bag_of_words_is_measured_on_the_same_examples():
    class Colours:
        def labelled(self, split, n, rng):
            for i in range(n):
                yield Labelled("red" if i % 2 else "blue", "warm" if i % 2 or split == "test" else "cold")

    assert bag_of_words(Colours(), 20, 10, 0) == 0.5
    assert bag_of_words(SimpleNamespace(labelled=lambda split, n, rng: []), 20, 10, 0) is None


def test_report():
    old = [{"task": "copy", "right": 0, "n": 50, "good": [], "bad": []}]
    new = [
        {
            "task": "copy", "right": 40, "n": 50, "bag_of_words": 0.25,
            "good": [["Repeat: a", "a", "a"]], "bad": [["Repeat: b", "b", "c"]],
        }
    ]  # fmt: skip
    text = report(old, new)
    low, high = wilson(40, 50)
    assert f"80.0% ({low:.1%} … {high:.1%})" in text
    assert "0.0% (0.0% … 7.1%)" in text
    assert "(50 examples)" in text
    assert "(bag of words) reaches 25.0%" in text
    assert "right  'Repeat: a' -> 'a'\n" in text
    assert "wrong  'Repeat: b' -> 'b', not 'c'\n" in text
