"""A slow-motion picture of sampling: what each filter left of the candidates, and which was drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..decoding import Sampling, filter_logits
from ..decoding.sampling import check_count, softmax
from ..errors import ArgumentError
from .job import Job
from .special import token_text

if TYPE_CHECKING:
    from ..viz import SamplingSteps


def microscope(
    model, tok, prompt, max_new_tokens=20, temperature=1.0, top_k=None, top_p=None, stop=None, seed=None,
    repetition_penalty=1.0, min_new_tokens=0, show=8,
) -> SamplingSteps:  # fmt: skip
    """Continue a prompt as generate does with the same settings, and keep the candidates of every token.

    The result shows itself in a notebook and saves itself, .save("x.html"); its data are plain arrays: the
    probabilities of the `show` likeliest candidates (and of the one drawn) after each stage that was in use.
    Raises: ArgumentError, TokenizerError
    """
    from ..viz import SamplingSteps

    sampling = Sampling(temperature, top_k, top_p, repetition_penalty, min_new_tokens)
    check_count("show, the number of candidates,", show, 1)
    job = Job(model, tok, [prompt], max_new_tokens, sampling, stop=stop, seed=seed)
    names, ids, probabilities, drawn = stage_names(sampling), [], [], []
    with model.evaluating():
        for step in job.steps():
            chosen = int(step.ids[0])
            stages = stage_probabilities(sampling, step.logits, step.scores)  # (S, V)
            shown = np.argsort(-stages[0], kind="stable")[:show]  # (K,)
            if chosen not in shown:
                shown[-1] = chosen
            ids.append(shown)
            probabilities.append(stages[:, shown])
            drawn.append(int(np.flatnonzero(shown == chosen)[0]))
    if not ids:
        raise ArgumentError("microscope: there is no token to look at; max_new_tokens is at least 1")
    candidates = [[token_text(job.tok, int(i)) for i in row] for row in ids]
    text = job.writers[0].finish()
    return SamplingSteps(names, candidates, np.stack(probabilities), drawn, prompt, np.stack(ids), text)


def stage_names(sampling: Sampling) -> list[str]:
    """The stages that these settings put a token through, in order."""
    penalties = [f"penalty {sampling.repetition_penalty:g}"] if sampling.repetition_penalty != 1 else []
    penalties += [f"min {sampling.min_new_tokens}"] if sampling.min_new_tokens else []
    top_k = [] if sampling.top_k is None else [f"top-k {sampling.top_k}"]
    top_p = [] if sampling.top_p is None else [f"top-p {sampling.top_p:g}"]
    last = [", ".join(penalties)] if penalties else []
    return ["model", *last, f"T {sampling.temperature:g}", *top_k, *top_p]


def stage_probabilities(sampling: Sampling, logits, scores) -> np.ndarray:
    """Probabilities of all tokens after each of stage_names; logits, scores (1, V) of a Step -> (S, V)"""
    stages = [softmax(logits.astype(np.float64))]
    if scores is not logits:
        stages.append(softmax(scores.astype(np.float64)))
    elif len(stage_names(sampling)) > len(stage_names(Sampling(sampling.temperature, sampling.top_k, sampling.top_p))):
        stages.append(stages[0])  # min_new_tokens has been reached
    if sampling.temperature == 0:
        certain = np.zeros(logits.shape)
        certain[0, np.argmax(scores)] = 1.0
        stages += [certain] * (1 + (sampling.top_k is not None) + (sampling.top_p is not None))
    else:
        filters: list[tuple[int | None, float | None]] = [(None, None)]
        filters += [] if sampling.top_k is None else [(sampling.top_k, None)]
        filters += [] if sampling.top_p is None else [(sampling.top_k, sampling.top_p)]
        stages += [softmax(filter_logits(scores, sampling.temperature, *kept)) for kept in filters]
    return np.concatenate(stages)  # (S, V)
