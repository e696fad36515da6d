"""Accuracy of a model that is being tuned: per task, before and after, and answers right and wrong."""

from __future__ import annotations

from typing import Any

from ..backend import use
from ..models import GPTClassifier
from ..nn.lora import without_adapters
from ..training.bag_of_words import BagOfWords
from ..training.evaluation.intervals import CONFIDENCE, wilson
from ..training.finetune import FinetuneSettings, part_rng, question_of
from .class_accuracy import evaluate_classes
from .task_accuracy import evaluate_task

SHOWN = 3  # answers of each kind


def accuracies(trainer, settings: FinetuneSettings, n: int) -> list[dict[str, Any]]:
    """For each task: "task", "right", "n", and up to SHOWN "good" and "bad" answers (question, right one, given).

    Sentences with a class also have "bag_of_words", what a model of single words reaches on the same examples.
    """
    seed, bar = trainer.config.seed, trainer.config.progress
    with use(trainer.row):
        if isinstance(trainer.model, GPTClassifier):
            found = [_class_accuracy(trainer.model, *item, n, seed) for item in settings.tasks().items()]
        else:
            model = without_adapters(trainer.model)
            found = [_answer_accuracy(model, *item, n, seed, bar) for item in settings.tasks().items()]
    for entry, task in zip(found, settings.tasks().values(), strict=True):
        if hasattr(task, "labelled") and (baseline := bag_of_words(task, settings.examples, n, seed)) is not None:
            entry["bag_of_words"] = baseline
    return found


def _answer_accuracy(model, name, task, n, seed, progress) -> dict[str, Any]:
    e = evaluate_task(model, None, task, n, seed=part_rng(seed, "test"), name=name, progress=progress)
    shown = [((question_of(example), example.reply, answer), score == 1) for example, answer, score in e.answers]
    return {"task": name, "right": e.right, "n": e.n, **_good_and_bad(shown)}


def _class_accuracy(model: GPTClassifier, name, task, n, seed) -> dict[str, Any]:
    """Of texts, or of words: those are what is classified."""
    e = evaluate_classes(model, task, n, seed=part_rng(seed, "test"), name=name)
    shown = [((*asked, given), score == 1) for asked, given, score in e.answers]
    return {"task": name, "right": e.right, "n": e.n, **_good_and_bad(shown)}


def _good_and_bad(shown) -> dict[str, list]:
    return {name: [list(a) for a, fits in shown if fits == wanted][:SHOWN] for name, wanted in _KINDS}


_KINDS = (("good", True), ("bad", False))


def bag_of_words(task, n_train: int, n_test: int, seed: int) -> float | None:
    """Accuracy on the test examples of logistic regression over which words occur; None for a task without classes."""
    sizes = {"train": n_train, "test": n_test}
    train, test = (list(task.labelled(split, n, part_rng(seed, split))) for split, n in sizes.items())
    if not train or not test:
        return None
    model = BagOfWords([r.text for r in train], [r.label for r in train])
    return model.accuracy([r.text for r in test], [r.label for r in test])


def report(before: list[dict], after: list[dict]) -> str:
    """The table, and below it answers right and wrong."""
    lines = [f"\nexact match on unseen inputs, with {CONFIDENCE:.0%} intervals (Wilson)"]
    lines.append(f"  {'task':<16}{'before':<26}{'after':<26}")
    for old, new in zip(before, after, strict=True):
        lines.append(f"  {new['task']:<16}{_share(old):<26}{_share(new):<26}".rstrip() + f"  ({new['n']} examples)")
        if "bag_of_words" in new:
            lines.append(f"  {'':<16}a model of single words (bag of words) reaches {new['bag_of_words']:.1%}")
    for new in after:
        for name, mark in (("good", "right"), ("bad", "wrong")):
            for question, wanted, given in new[name]:
                instead = "" if name == "good" else f", not {given!r}"
                lines.append(f"  {mark}  {question!r} -> {wanted!r}{instead}")
    return "\n".join(lines) + "\n"


def _share(entry: dict) -> str:
    low, high = wilson(entry["right"], entry["n"])
    return f"{entry['right'] / max(entry['n'], 1):6.1%} ({low:.1%} … {high:.1%})"
