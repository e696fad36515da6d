"""Continue a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..decoding import Sampling
from ..decoding.sampling import check_count, softmax
from .job import Job
from .special import token_text


def generate(
    model, tok, prompt, max_new_tokens=100, temperature=1.0, top_k=None, top_p=None, n=1, stop=None, seed=None,
    repetition_penalty=1.0, min_new_tokens=0, beams=1, length_penalty=1.0,
) -> list[str]:  # fmt: skip
    """n continuations of the prompt, without the prompt.

    stop:    a string or several; a continuation ends before the first place where one of them occurs, also where it
             spans several tokens, and nothing is computed after it
    beams:   above 1: the n best continuations of beam search, which draws nothing (temperature and seed have no
             effect); length_penalty: see decoding/beam.py
    The other settings are those of `model.generate`. tok=None takes model.tokenizer. A continuation also ends before
    the end-of-text token: the first of <|endoftext|>, <eot>, <end> that is a special token of the tokenizer. An empty
    prompt starts from <start>, or from that token.
    Raises:  ArgumentError, TokenizerError (unknown characters, empty prompt)
    """
    return _job(
        model, tok, prompt, max_new_tokens, temperature, top_k, top_p, n, stop, seed, repetition_penalty,
        min_new_tokens, beams, length_penalty,
    ).run()  # fmt: skip


def _job(
    model, tok, prompt, max_new_tokens, temperature, top_k, top_p, n, stop, seed, repetition_penalty, min_new_tokens,
    beams, length_penalty, live=False,
) -> Job:  # fmt: skip
    sampling = Sampling(temperature, top_k, top_p, repetition_penalty, min_new_tokens)
    return Job(model, tok, [prompt], max_new_tokens, sampling, n, stop, seed, beams, length_penalty, live)


def stream(
    model, tok, prompt, max_new_tokens=100, temperature=1.0, top_k=None, top_p=None, n=1, stop=None, seed=None,
    repetition_penalty=1.0, min_new_tokens=0, beams=1, length_penalty=1.0,
) -> Iterator[str]:  # fmt: skip
    """Pieces of the first continuation that generate gives with the same settings, as they are written.

    A piece holds whole characters, and nothing that might become a stop string. Beam search decides at the end: its
    text comes in one piece. Raises at once what generate raises.
    """
    job = _job(
        model, tok, prompt, max_new_tokens, temperature, top_k, top_p, n, stop, seed, repetition_penalty,
        min_new_tokens, beams, length_penalty, live=True,
    )  # fmt: skip
    job.ended[1:] = True  # the others are not wanted; random numbers are drawn for them all the same
    return (piece for row, piece in pieces(job) if row == 0 and piece)


def pieces(job: Job) -> Iterator[tuple[int, str]]:
    """(number of the continuation, piece of its text), one continuation after the other, while they are written.

    All are computed together; pieces of later ones wait for those before. Each gives at least one piece, maybe "".
    """
    row = 0
    if job.beams > 1:
        job.run()
    else:
        for _ in job.live_steps():
            if piece := job.writers[row].take():
                yield row, piece
            while row < len(job.writers) - 1 and job.ended[row]:
                job.writers[row].finish()
                yield row, job.writers[row].take()
                row += 1
    for last in range(row, len(job.writers)):
        job.writers[last].finish()
        yield last, job.writers[last].take()


class NextToken(NamedTuple):
    """A token that may come next."""

    text: str
    id: int
    probability: float


def next_tokens(model, tok, prompt, k=10) -> list[NextToken]:
    """The k likeliest tokens after the prompt with their probabilities, likeliest first: softmax of the logits.

    Raises: ArgumentError, TokenizerError
    """
    job = Job(model, tok, [prompt], 1, Sampling())
    check_count("k, the number of tokens,", k, 1)
    with model.evaluating():
        logits = model.reader(job.prompt_ids, vocab_size=job.tok.vocab_size).logits()  # (1, V)
    probabilities = softmax(logits.astype(np.float64))[0]  # (V,)
    best = np.argsort(-probabilities, kind="stable")[:k]
    return [NextToken(token_text(job.tok, int(i)), int(i), float(probabilities[i])) for i in best]
