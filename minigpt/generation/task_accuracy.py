"""How often a model answers a task's questions exactly right.

A task has two methods, `examples(split, n, rng)` and `score(example, answer)`; see `data/tasks/base.py`. Its examples
are conversations that end with the right answer: the model is asked what comes before it, and its turn ends at
<|end|>. For other examples, and for models without dialogue, `prompt` says how to ask as plain text.

Answers are written greedily, so that the same model always gets the same mark.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Conversation, end_id, render_prompt
from ..errors import ArgumentError, DataError, TokenizerError
from ..training.evaluation.intervals import CONFIDENCE, wilson
from .writer import stop_strings

MARGIN = 8  # tokens that an answer may have more than the longest right one: enough to see that it goes on


@dataclass(frozen=True)
class TaskEvaluation:
    """right of n answers have score 1; mean_score over all; interval: Wilson's 95 % for right / n;
    answers: (example, answer, score) of each, in order; unit: what n counts, "questions" or "words"."""

    name: str
    right: int
    n: int
    mean_score: float
    interval: tuple[float, float]
    answers: list[tuple[Any, str, float]]
    unit: str = "questions"

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
            "unit": self.unit,
            "interval": self.interval,
            "intervals": f"Wilson {CONFIDENCE:.0%}",
            "mean_score": self.mean_score,
        }

    def row(self) -> str:
        """One line of a table of tasks; the mean score where answers can be right in part."""
        low, high = self.interval
        text = (
            f"  {self.name:<20}{self.accuracy:>8.1%}   {low:.1%} … {high:.1%}   ({self.right} of {self.n} {self.unit})"
        )
        return text if self.mean_score == self.accuracy else f"{text}; mean score {self.mean_score:.3f}"


def task_table(evaluations) -> str:
    """Several tasks in columns: exact match with its interval."""
    head = f"  {'task':<20}{'exact':>8}   {CONFIDENCE:.0%} interval (Wilson)"
    return "\n".join([head, *(e.row() for e in evaluations)])


def evaluate_task(
    model, tok, task, n=200, split="test", seed=0, prompt=None, stop=None, max_new_tokens=None, batch_size=64,
    name=None, progress=False,
) -> TaskEvaluation:  # fmt: skip
    """Ask n examples of a split, drawn with `seed`, and score the answers.

    prompt:         prompt(example) -> text that the model continues, for examples that are no conversations
    stop:           with prompt, where an answer ends: a string or several
    max_new_tokens: None: somewhat more than the longest right answer; with prompt 50
    tok=None takes model.tokenizer. Raises ArgumentError, DataError (no examples), TokenizerError (no dialogue tokens).
    """
    tok = model.tokenizer if tok is None else tok
    name = type(task).__name__ if name is None else name
    given = () if max_new_tokens is None else (("max_new_tokens", max_new_tokens),)
    for label, value in (("n", n), ("batch_size", batch_size), *given):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ArgumentError(f"{label} needs an integer of at least 1, got {value!r}")
    examples = list(itertools.islice(task.examples(split, n, seed), n))
    if not examples:
        raise DataError(f"task {name} has no examples in the split {split!r}")
    if prompt is None:
        prompts: list[Any] = [render_prompt(_conversation(e).without_reply(), tok) for e in examples]
        longest = max(len(tok.encode(e.reply, allow_special=False)) for e in examples)
        eos_id, most = end_id(tok), longest + MARGIN if max_new_tokens is None else max_new_tokens
    else:
        prompts = [tok.encode(prompt(example)) for example in examples]
        eos_id, most = None, 50 if max_new_tokens is None else max_new_tokens
    width, context = max(map(len, prompts)), model.config.block_size
    if width > context:
        raise DataError(
            f"task {name} has questions of {width} tokens, this model reads {context}: tune one with a longer context"
        )
    answers = greedy_answers(model, tok, prompts, most, eos_id, stop, batch_size, progress)
    scores = [float(task.score(example, answer)) for example, answer in zip(examples, answers, strict=True)]
    if not all(0 <= score <= 1 for score in scores):
        raise ArgumentError(f"task {name} gives scores outside 0 … 1: {min(scores)} to {max(scores)}")
    right = sum(score == 1 for score in scores)
    marked = list(zip(examples, answers, scores, strict=True))
    return TaskEvaluation(name, right, len(marked), float(np.mean(scores)), wilson(right, len(marked)), marked)


def greedy_answers(
    model, tok, prompts: Sequence[Sequence[int]], max_new_tokens=50, eos_id=None, stop=None, batch_size=64,
    progress=False,
) -> list[str]:  # fmt: skip
    """The greedy continuation of each prompt of ids, up to eos_id or the first stop string; never past the context.

    Prompts of one length share a batch.
    """
    from tqdm import tqdm

    stops = stop_strings(stop)
    if not all(len(ids) for ids in prompts):
        raise TokenizerError("a prompt is empty and this tokenizer has no token to start from")
    answers = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    with tqdm(total=len(prompts), delay=2, disable=not progress, unit="answer", desc="answering") as bar:
        for length, group in itertools.groupby(order, key=lambda i: len(prompts[i])):
            room = model.config.block_size + 1 - length  # the last token written is not read any more
            if room < 1:
                raise DataError(f"a prompt of {length} tokens leaves no room in a context of {room + length - 1}")
            same = list(group)
            for first in range(0, len(same), batch_size):
                some = same[first : first + batch_size]
                rows = np.array([prompts[i] for i in some], np.int64)  # (n, length)
                out = model.generate(rows, min(max_new_tokens, room), temperature=0, eos_id=eos_id)
                for i, row in zip(some, out[:, length:], strict=True):
                    end = next((k for k, token in enumerate(row) if token == eos_id), len(row))
                    text = tok.decode(row[:end])
                    answers[i] = text[: min([p for p in (text.find(s) for s in stops) if p >= 0], default=len(text))]
                bar.update(len(some))
    return answers


def _conversation(example) -> Conversation:
    if not isinstance(example, Conversation):
        raise ArgumentError(
            f"an example of type {type(example).__name__} is no Conversation; say how to ask it: "
            "evaluate_task(…, prompt=lambda example: …)"
        )
    return example
