"""How often a model answers a task's questions exactly right.

A task is any object with these two methods:

    task.examples(split) -> iterable of examples          split: "train", "val" or "test"
    task.score(example, answer) -> 1 if right, 0 if not (True and False, or a part in between)

Answers are written greedily, so that the same model always gets the same mark.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import ArgumentError, DataError, TokenizerError
from ..training.evaluation.intervals import CONFIDENCE, wilson
from .writer import stop_strings


class ScoredTask(Protocol):
    """What `evaluate_task` needs of a task."""

    def examples(self, split: str) -> Any: ...

    def score(self, example: Any, answer: str) -> float: ...


@dataclass(frozen=True)
class TaskEvaluation:
    """right of n answers have score 1; mean_score over all; interval: Wilson's 95 % for right / n;
    answers: (example, answer, score) of each, in order."""

    name: str
    right: int
    n: int
    mean_score: float
    interval: tuple[float, float]
    answers: list[tuple[Any, str, float]]

    @property
    def accuracy(self) -> float:
        """Share of exact matches."""
        return self.right / self.n

    def to_dict(self) -> dict[str, Any]:
        return {
            "task": self.name,
            "exact_match": self.accuracy,
            "right": self.right,
            "n": self.n,
            "interval": self.interval,
            "intervals": f"Wilson {CONFIDENCE:.0%}",
            "mean_score": self.mean_score,
        }

    def row(self) -> str:
        """One line of a table of tasks."""
        low, high = self.interval
        return f"  {self.name:<20}{self.accuracy:>8.1%}   {low:.1%} … {high:.1%}   ({self.right} of {self.n})"


def task_table(evaluations) -> str:
    """Several tasks in columns: exact match with its interval."""
    head = f"  {'task':<20}{'exact':>8}   {CONFIDENCE:.0%} interval (Wilson)"
    return "\n".join([head, *(e.row() for e in evaluations)])


def evaluate_task(
    model, tok, task, n=200, split="test", prompt=None, stop=None, max_new_tokens=50, batch_size=64, name=None,
    progress=False,
) -> TaskEvaluation:  # fmt: skip
    """Ask the first n examples of a split, and score the answers.

    prompt:  prompt(example) -> text that the model continues; None takes example.prompt, or example["prompt"]
    stop:    where an answer ends: a string or several; without any it is max_new_tokens long
    tok=None takes model.tokenizer. Raises ArgumentError, DataError (no examples), TokenizerError.
    """
    tok = model.tokenizer if tok is None else tok
    for label, value in (("n", n), ("max_new_tokens", max_new_tokens), ("batch_size", batch_size)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ArgumentError(f"{label} needs an integer of at least 1, got {value!r}")
    name = type(task).__name__ if name is None else name
    examples = list(itertools.islice(task.examples(split), n))
    if not examples:
        raise DataError(f"task {name} has no examples in the split {split!r}")
    prompts = [(prompt or _prompt_of)(example) for example in examples]
    answers = greedy_answers(model, tok, prompts, stop, max_new_tokens, batch_size, progress)
    scores = [float(task.score(example, answer)) for example, answer in zip(examples, answers, strict=True)]
    if not all(0 <= score <= 1 for score in scores):
        raise ArgumentError(f"task {name} gives scores outside 0 … 1: {min(scores)} to {max(scores)}")
    right = sum(score == 1 for score in scores)
    marked = list(zip(examples, answers, scores, strict=True))
    return TaskEvaluation(name, right, len(marked), float(np.mean(scores)), wilson(right, len(marked)), marked)


def greedy_answers(model, tok, prompts, stop=None, max_new_tokens=50, batch_size=64, progress=False) -> list[str]:
    """The greedy continuation of each prompt, cut at the first stop string. Prompts of one length share a batch."""
    from tqdm import tqdm

    stops = stop_strings(stop)
    ends = [tok.encode(text) for text in stops]
    eos_id = ends[0][0] if len(ends) == 1 and len(ends[0]) == 1 else None  # then generation itself can stop there
    encoded = [tok.encode(text) for text in prompts]
    if not all(encoded):
        raise TokenizerError("a prompt is empty and this tokenizer has no token to start from")
    answers = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(encoded[i]))
    with tqdm(total=len(prompts), delay=2, disable=not progress, unit="answer", desc="answering") as bar:
        for length, group in itertools.groupby(order, key=lambda i: len(encoded[i])):
            same = list(group)
            for first in range(0, len(same), batch_size):
                some = same[first : first + batch_size]
                rows = np.array([encoded[i] for i in some], np.int64)  # (n, length)
                out = model.generate(rows, max_new_tokens, temperature=0, eos_id=eos_id)
                for i, row in zip(some, out, strict=True):
                    answers[i] = _cut(tok.decode(row[length:]), stops)
                bar.update(len(some))
    return answers


def _cut(text: str, stops: list[str]) -> str:
    """The text up to the first of the stop strings."""
    return text[: min((place for place in map(text.find, stops) if place >= 0), default=len(text))]


def _prompt_of(example) -> str:
    found = example.get("prompt") if isinstance(example, dict) else getattr(example, "prompt", None)
    if not isinstance(found, str):
        raise ArgumentError(
            f"an example of type {type(example).__name__} has no text `prompt`; say how to ask it: "
            "evaluate_task(…, prompt=lambda example: …)"
        )
    return found
