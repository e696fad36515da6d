"""`minigpt eval --task`: ask a model, or two, the questions of tasks, and count the answers that are exactly right."""

from __future__ import annotations

import sys
from pathlib import Path

from ..data.tasks import TASKS
from ..errors import ArgumentError

SHOWN = 3  # wrong answers, of each task


def run_tasks(args) -> dict:
    """Print the tables; returns what --json writes."""
    from ..generation.before_after import bag_of_words
    from ..generation.task_accuracy import task_table
    from ..generation.task_difference import compare_answers, difference_table
    from ..training.finetune import FinetuneSettings

    part = args.part or "test"
    tasks = {name: named_task(name) for name in args.task}
    folders = {str(args.model): args.model}
    if args.compare:
        again = " (again)" if str(args.compare) in folders else ""
        folders[f"{args.compare}{again}"] = args.compare
    models = {name: load_for(folder, args.task[0]) for name, folder in folders.items()}
    report: dict = {"part": part, "seed": args.seed, "models": {}}
    found: dict = {}
    for name, model in models.items():
        note_other_task(folders[name], args.task)
        found[name] = [ask(model, task, t, part, args) for t, task in tasks.items()]
        print(f"{name} on the {part} part (seed {args.seed})")
        print(task_table(found[name]))
        for e in found[name]:
            for w in wrong_answers(e)[:SHOWN]:
                print(f"  wrong  {e.name}: {w['question']!r} -> {w['right']!r}, not {w['given']!r}")
        report["models"][name] = [{**e.to_dict(), "wrong": wrong_answers(e)} for e in found[name]]
    if part == "test":
        n_train = FinetuneSettings.examples
        for t, task in tasks.items():
            bag = bag_of_words(task, n_train, args.test_examples, args.seed) if hasattr(task, "labelled") else None
            if bag is not None:
                print(f"a model of single words (bag of words) reaches {bag:.1%} on {t}")
                report.setdefault("bag_of_words", {})[t] = bag
    if args.compare:
        differences = [compare_answers(*pair) for pair in zip(*found.values(), strict=True)]
        print("first: {}; second: {}".format(*folders))
        print(difference_table(differences))
        report["comparison"] = [d.to_dict() for d in differences]
    return report


def named_task(name: str):
    """A task of the project, or a file of records. Raises ArgumentError, DataError."""
    from ..data.file_task import FileTask

    if name in TASKS:
        return TASKS[name]
    if Path(name).suffix.lower() in (".tsv", ".jsonl"):
        return FileTask(name)
    raise ArgumentError(
        f"there is no task {name!r}; there are {', '.join(TASKS)}, and .tsv or .jsonl files of your own"
    )


def load_for(folder: Path, task: str):
    """A model that can be asked. Raises ArgumentError for one that was never tuned, and CheckpointError."""
    from ..data.dialogue import has_dialogue_tokens
    from ..models import GPT, GPTClassifier
    from ..models.loading import load_model

    model = load_model(folder)
    if isinstance(model, GPTClassifier):
        return model
    option = "--data" if Path(task).suffix else "--task"
    tune = f"minigpt finetune {option} {task}"
    if not isinstance(model, GPT):
        raise ArgumentError(
            f"{folder} holds a {type(model).__name__}; tasks are asked of a GPT that was tuned for dialogue, or has a "
            f"head for classes. To make one: {tune}"
        )
    if not has_dialogue_tokens(model.tokenizer):
        raise ArgumentError(
            f"the model in {folder} was never tuned for dialogue, so it cannot be asked anything. To tune it: "
            f"{tune} --from {folder}"
        )
    return model


def note_other_task(folder: Path, tasks: list[str]) -> None:
    """Say on stderr which of the tasks the model was not tuned on, where its folder tells."""
    from ..files import read_json
    from ..training.finetune import FinetuneSettings
    from .finetune import FILE

    if not (folder / FILE).exists():
        return
    tuned = FinetuneSettings.from_dict(read_json(folder / FILE)["settings"]).task_names
    new = [name for name in tasks if Path(name).name not in tuned]
    if new:
        print(f"note: {folder} was tuned on {', '.join(tuned)}, not on {', '.join(new)}", file=sys.stderr)


def ask(model, task, name: str, part: str, args):
    """The answers to the first --test-examples questions of the part: with the same seed those that finetune asks."""
    from ..generation.class_accuracy import evaluate_classes
    from ..generation.task_accuracy import evaluate_task
    from ..models import GPTClassifier
    from ..training.finetune import part_rng

    n, rng = args.test_examples, part_rng(args.seed, part)
    if isinstance(model, GPTClassifier):
        return evaluate_classes(model, task, n, part, rng, name)
    return evaluate_task(model, None, task, n, part, rng, name=name, progress=True)


def wrong_answers(e) -> list[dict[str, str]]:
    """Question, right answer and given one, of each that scores less than 1."""
    from ..training.finetune import question_of

    wrong = [(example, given) for example, given, score in e.answers if score < 1]
    asked = [(*(x if isinstance(x, tuple) else (question_of(x), x.reply)), given) for x, given in wrong]
    return [dict(zip(("question", "right", "given"), triple, strict=True)) for triple in asked]
