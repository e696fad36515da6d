"""A completion in the shape that completions APIs give: choices, the reason why each ended, and token counts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..decoding import Sampling
from ..errors import ArgumentError
from .job import Job
from .logprobs import LogProbs, LogProbsRecord, check_logprobs


@dataclass
class Choice:
    """One continuation. finish_reason: "stop" (a stop string, or the end-of-text token), "length" (max_tokens), or
    None in all but the last piece of a stream."""

    text: str
    index: int
    finish_reason: str | None
    logprobs: LogProbs | None = None


@dataclass
class Usage:
    """Tokens read and written. A prompt counts once, whatever n; an end token, and tokens of a stop string, count."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass
class Completion:
    """What a model wrote. Choice p * n + j is the j-th continuation of prompt p."""

    choices: list[Choice]
    usage: Usage | None
    model: str
    object: str = "text_completion"

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists: c.to_dict()["choices"][0]["text"]."""
        return dataclasses.asdict(self)

    @classmethod
    def create(
        cls, model=None, prompt="", max_tokens=50, n=1, stop=None, temperature=0.5, tokenizer=None, *, engine=None,
        top_k=None, top_p=None, logprobs=None, echo=False, stream=False, seed=None, repetition_penalty=1.0,
        min_tokens=0,
    ):  # fmt: skip
        """Complete a prompt, or each of a list of them.

        model:     a model, or the folder of one, which is then read for this call; engine is another name for it
        stop:      a string or several: the text ends before it
        logprobs:  also the log-probability of each token, and the so many likeliest in its place
        echo:      the text begins with the prompt
        stream:    instead of one Completion an iterator of them, each with one choice and a piece of its text
        The others are those of `mg.generate`. Raises: ArgumentError, TokenizerError, CheckpointError
        """
        if (model is None) == (engine is None):
            raise ArgumentError("give a model (engine= is another name for the same), once: a folder or a GPT")
        model, name = _loaded(engine if model is None else model)
        prompts = [prompt] if isinstance(prompt, str) else prompt
        if not isinstance(prompts, list | tuple) or not prompts:
            raise ArgumentError(f"prompt is a string or a list of at least one, got {prompt!r}")
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty, min_tokens)
        check_logprobs(logprobs, model.config.vocab_size)
        live = bool(stream) or logprobs is not None
        job = Job(model, tokenizer, prompts, max_tokens, sampling, n, stop, seed, live=live)
        run = _Run(job, list(prompts), name, logprobs, bool(echo))
        return run.pieces() if stream else run.whole()


def _loaded(model) -> tuple[Any, str]:
    """(the model, its name)"""
    if isinstance(model, str | os.PathLike):
        from ..models import GPT

        return GPT.from_pretrained(Path(model)), Path(model).name
    if not hasattr(model, "reader"):
        raise ArgumentError(f"model is a folder or a model that can generate, got {type(model).__name__}")
    return model, type(model).__name__


class _Run:
    """One call of create."""

    def __init__(self, job: Job, prompts, name, logprobs, echo):
        self.job, self.prompts, self.name, self.echo = job, prompts, name, echo
        self.written = 0
        self.records: list[LogProbsRecord] | None = None
        if logprobs is not None:
            self.records = [LogProbsRecord(job.tok, logprobs) for _ in job.writers]
            if echo:
                for row, record in enumerate(self.records):
                    record.add_prompt(job.model, job.prompt_ids[row // job.n], prompts[row // job.n])

    def steps(self) -> Iterator[list[int]]:
        """The rows that each step wrote to, while their tokens are counted and recorded."""
        starts = [0] * len(self.job.writers)
        for step in self.job.live_steps():
            rows = step.rows.tolist()
            self.written += len(rows)
            for k, row in enumerate(rows):
                if self.records is not None:
                    if step.ids[k] != self.job.eos_id:
                        self.records[row].add(int(step.ids[k]), step.logits[k], starts[row])
                    starts[row] = len(self.job.writers[row].text)
            yield rows

    def whole(self) -> Completion:
        for _ in self.steps():
            pass
        choices = []
        for row, writer in enumerate(self.job.writers):
            text = writer.finish()
            choices.append(Choice(self.head(row) + text, row, writer.reason, self.logprobs(row, 0, len(text), True)))
        return self.completion(choices, self.usage())

    def pieces(self) -> Iterator[Completion]:
        """A Completion per piece of text; the usage comes with the last."""
        writers = self.job.writers
        begun = [False] * len(writers)
        given = [0] * len(writers)  # characters

        def choice(row, piece, reason):
            text = piece if begun[row] else self.head(row) + piece
            start, given[row] = given[row], given[row] + len(piece)
            logprobs = self.logprobs(row, start, given[row], not begun[row])
            begun[row] = True
            return Choice(text, row, reason, logprobs)

        for rows in self.steps():
            for row in rows:
                if piece := writers[row].take():
                    yield self.completion([choice(row, piece, None)], None)
        for row, writer in enumerate(writers):
            writer.finish()
            last = choice(row, writer.take(), writer.reason)
            yield self.completion([last], self.usage() if row == len(writers) - 1 else None)

    def head(self, row) -> str:
        return self.prompts[row // self.job.n] if self.echo else ""

    def logprobs(self, row, start, end, with_prompt) -> LogProbs | None:
        """Of the tokens whose text begins in [start, end) of the continuation, and of the prompt if it is echoed."""
        if self.records is None:
            return None
        return self.records[row].between(start, end, with_prompt, len(self.head(row)))

    def usage(self) -> Usage:
        read = sum(len(ids) for ids in self.job.prompt_ids)
        return Usage(read, self.written, read + self.written)

    def completion(self, choices, usage) -> Completion:
        return Completion(choices, usage, self.name)
