"""How often a model with a head names the right class: of a text, or of each word."""

from __future__ import annotations

from ..data.classes import class_data
from ..errors import ArgumentError, DataError
from ..models import GPTClassifier
from ..training.evaluation.intervals import wilson
from ..training.finetune import class_records
from .task_accuracy import TaskEvaluation


def evaluate_classes(
    model: GPTClassifier, task, n: int = 200, split: str = "test", seed=0, name: str | None = None
) -> TaskEvaluation:
    """Ask for the classes of n texts (level "sequence"), or of every word of n texts (level "token").

    An example in `answers` is (text, right class), or ("'light' in 'she saw a light'", "NOUN"). Words of one sentence
    are counted as independent.
    Raises: ConfigError (the task has no classes), ArgumentError (others than the head knows), DataError,
    TokenizerError.
    """
    name = type(task).__name__ if name is None else name
    records = class_records(name, task, split, n, seed)
    if not records:
        raise DataError(f"task {name} has no texts with classes in the split {split!r}")
    tagged = hasattr(records[0], "tags")
    known, level = model.class_names, "token" if tagged else "sequence"
    named = {tag for r in records for tag in r.tags} if tagged else {r.label for r in records}
    if level != model.level or not named <= set(known):
        raise ArgumentError(
            f"the head of this model was trained on another task than {name}: it tells {', '.join(known)} apart, for "
            f"each {'word' if model.level == 'token' else 'text'}; {name} has {', '.join(sorted(named))}, for each "
            f"{'word' if tagged else 'text'}"
        )
    data = class_data(records, model.tokenizer, known)
    predicted = model.predict([data[i][0].tolist() for i in range(len(data))])
    answers: list[tuple] = []
    for i, (record, guess) in enumerate(zip(records, predicted, strict=True)):
        if not tagged:
            answers.append(((record.text, record.label), known[guess]))
            continue
        guesses = [known[k] for k in guess[data[i][1] >= 0]]  # at the last token of each word
        for word, tag, given in zip(record.words, record.tags, guesses, strict=True):
            answers.append(((f"{word!r} in {record.key!r}", tag), given))
    marked = [(asked, given, float(asked[1] == given)) for asked, given in answers]
    right = sum(score == 1 for _, _, score in marked)
    share, unit = right / len(marked), "words" if tagged else "questions"
    return TaskEvaluation(name, right, len(marked), share, wilson(right, len(marked)), marked, unit)
