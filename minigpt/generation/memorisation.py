"""What a model can repeat word for word of the text that it was trained on.

Two questions. Prompted: given k tokens of the text, does greedy decoding go on with the 50 tokens that follow there?
Then that window is *extractable with k tokens of context* (Carlini et al. 2023, "Quantifying memorization across
neural language models", definition 3.1). Free: of what the model writes on its own at temperature 1, which windows of
50 tokens stand in the text (the way of attack of Carlini et al. 2021, "Extracting training data from large language
models", section 4)?

Text that was never trained on, measured in the same way, says how much of that is only predictable: a phrase that
everybody writes is no secret.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.verbatim import VerbatimSearch
from ..errors import ArgumentError, DataError
from ..randomness import as_generator
from ..training.evaluation.intervals import CONFIDENCE, wilson
from ..training.evaluation.reading import reading, rows_at_once
from ..training.workers import ThreadSettings

WINDOW = 50  # tokens that must be repeated
FOLLOWED, LONGEST = 20, 500  # so many of the windows that were repeated are followed on, for so many tokens
SHORTEST_SAMPLE, LONGEST_SAMPLE = WINDOW + 10, 256  # tokens; between them a sample is as long as the context


@dataclass(frozen=True)
class Repeated:
    """Windows of 50 tokens: how many of how many were repeated, and the longest run of tokens with its text."""

    repeated: int
    windows: int
    longest: int
    text: str

    @property
    def share(self) -> float:
        return self.repeated / max(self.windows, 1)

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "share": self.share}


@dataclass(frozen=True)
class Memorisation:
    """What `memorisation` found.

    prompted, free                of the training text
    unseen_prompted, unseen_text  of text never trained on, or None: prompted in the same way; its own windows
                                  searched in the training text
    prompt_tokens                 k
    samples, sample_tokens        how many texts were written freely, and how long each is
    """

    prompted: Repeated
    free: Repeated
    unseen_prompted: Repeated | None
    unseen_text: Repeated | None
    prompt_tokens: int
    samples: int
    sample_tokens: int

    def to_dict(self) -> dict[str, Any]:
        parts = {k: v.to_dict() if isinstance(v, Repeated) else v for k, v in vars(self).items()}
        interval = wilson(self.prompted.repeated, self.prompted.windows)
        return {**parts, "window_tokens": WINDOW, "prompted_share_interval": interval, "interval": "Wilson 95 %"}

    def table(self) -> str:
        low, high = wilson(self.prompted.repeated, self.prompted.windows)
        rows = [
            (f"prompted with {self.prompt_tokens} tokens, greedy", self.prompted),
            ("  the same, text never trained on", self.unseen_prompted),
            (f"{self.samples} free samples of {self.sample_tokens} tokens", self.free),
            ("  the text never trained on, itself", self.unseen_text),
        ]
        lines = [f"  {f'windows of {WINDOW} tokens repeated':<40}{'share':>8}{'of':>9}{'longest':>9}"]
        for name, r in rows:
            if r is not None:
                lines.append(f"  {name:<40}{r.share:>8.2%}{r.windows:>9,}{r.longest:>9,}")
        lines.append(
            f"  prompted: {CONFIDENCE:.0%} interval {low:.2%} … {high:.2%} (Wilson); longest: tokens in a row"
            + (f", followed no further than {LONGEST}" if self.prompted.longest >= LONGEST else "")
        )
        for name, r in (("prompted", self.prompted), ("free", self.free)):
            lines.append(f"  longest, {name}: {r.text!r}")
        return "\n".join(lines)


def memorisation(
    model, tok, ids, unseen=None, prompt_tokens=50, windows=1000, samples=200, seed=0, progress=False
) -> Memorisation:
    """Measure on the training text ids (N,); unseen (M,): text of the same kind that was never trained on, or None.

    `windows` prompts of prompt_tokens are drawn from the text, all of them if there are no more; `samples` texts of
    block_size tokens (within 60 and 256) are written, each from one token drawn from the text.
    Raises DataError for a text too short for a prompt and a window, ArgumentError.
    """
    for name, value in (("prompt_tokens", prompt_tokens), ("windows", windows), ("samples", samples)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ArgumentError(f"{name} needs an integer of at least 1, got {value!r}")
    ids, rng = np.asarray(ids), as_generator(seed)
    least = prompt_tokens + WINDOW
    if len(ids) < least:
        raise DataError(f"the text has {len(ids)} tokens; a prompt of {prompt_tokens} and {WINDOW} more need {least}")
    use_unseen = unseen is not None and len(unseen) >= least
    from tqdm import tqdm

    total = windows + samples + (windows if use_unseen else 0)
    with tqdm(total=total, delay=2, disable=not progress, unit="text", desc="repeating") as bar:
        prompted = _prompted(model, tok, ids, prompt_tokens, windows, rng, bar)
        written = _write(model, ids, samples, rng, bar)
        unseen_prompted = _prompted(model, tok, unseen, prompt_tokens, windows, rng, bar) if use_unseen else None
    unseen_text = _searched(tok, ids, [np.asarray(unseen)]) if use_unseen else None
    free = _searched(tok, ids, written)
    return Memorisation(prompted, free, unseen_prompted, unseen_text, int(prompt_tokens), *written.shape)


def _prompted(model, tok, ids, k, windows, rng, bar) -> Repeated:
    ids = np.asarray(ids).astype(np.int64)
    possible = len(ids) - k - WINDOW + 1
    starts = np.sort(rng.choice(possible, size=min(windows, possible), replace=False))
    runs = greedy_runs(model, ids, starts, k, WINDOW, bar)
    repeated = int((runs == WINDOW).sum())
    best = int(runs.argmax())
    start, longest = int(starts[best]), int(runs[best])
    if repeated:
        followed = rng.permutation(starts[runs == WINDOW])[:FOLLOWED]
        longer = greedy_runs(model, ids, followed, k, LONGEST)
        start, longest = int(followed[longer.argmax()]), int(longer.max())
    return Repeated(repeated, len(starts), longest, tok.decode(ids[start + k : start + k + longest]))


def greedy_runs(model, ids, starts, k: int, most: int, bar=None) -> np.ndarray:
    """How many tokens of ids[s + k :] greedy decoding repeats from the prompt ids[s : s + k], at most `most`.

    ids (N,), starts (n,) -> (n,). What `model.generate(prompt, most, temperature=0)` gives, up to the first difference.
    As long as there is none, what the model has written is the text itself. So one pass over the text gives all
    choices up to block_size; behind it, each further token of those that are still right takes a pass over the
    block_size tokens before it, which is done once however many starts lead there.
    """
    T, N = model.config.block_size, len(ids)
    width = max(1, min(T - k + 1, most))  # tokens predicted in the first pass
    starts = np.asarray(starts)
    runs = np.zeros(len(starts), np.int64)
    known = np.full(N, -1, np.int8)  # is the token at this place chosen after the T before it? −1: not asked yet
    rows = rows_at_once(model, T)
    with reading(model) as read_rows:
        for first in range(0, len(starts), rows):
            ends = starts[first : first + rows] + k  # (n,): where the continuations begin
            read = min(T, k + width - 1)  # tokens given to the model
            right = _right(read_rows, ids, ends + width - 1, read, width)  # (n, width)
            run = np.cumprod(right, axis=1).sum(axis=1)  # (n,): right ones in a row
            alive = np.flatnonzero((run == width) & (width < most) & (ends + width < N))
            while alive.size:
                places = ends[alive] + run[alive]
                new = np.unique(places[known[places] < 0])
                if new.size:
                    known[new] = _right(read_rows, ids, new, T, 1)[:, 0]
                alive = alive[known[places] == 1]
                run[alive] += 1
                alive = alive[(run[alive] < most) & (ends[alive] + run[alive] < N)]
            runs[first : first + rows] = run
            if bar is not None:
                bar.update(len(ends))
    return runs


def _right(read_rows, ids, stops, read: int, last: int) -> np.ndarray:
    """Reading ids[stop − read : stop]: are the `last` last choices the tokens that follow? (n, last); False past N."""
    positions = stops[:, None] + np.arange(-read, 0)  # (n, read)
    inside = ids[np.minimum(positions, len(ids) - 1)]
    choices = np.concatenate(read_rows(inside, lambda logits, _: logits[:, read - last :].argmax(axis=-1)))  # (n, last)
    following = positions[:, read - last :] + 1  # (n, last)
    return (choices == ids[np.minimum(following, len(ids) - 1)]) & (following < len(ids))


def _write(model, ids, samples, rng, bar, at_once: int = 50) -> np.ndarray:
    """Texts that the model writes from one token, (samples, tokens)."""
    tokens = int(np.clip(model.config.block_size, SHORTEST_SAMPLE, LONGEST_SAMPLE))
    written = []
    with warnings.catch_warnings(), ThreadSettings():
        warnings.simplefilter("ignore", UserWarning)  # with a small context, samples are meant to grow past it
        for start in range(0, samples, at_once):
            prompts = rng.choice(ids, size=(min(at_once, samples - start), 1)).astype(np.int64)  # (n, 1)
            written.append(model.generate(prompts, tokens - 1, temperature=1.0, seed=rng))
            bar.update(len(prompts))
    return np.concatenate(written)


def _searched(tok, ids, sequences) -> Repeated:
    """Windows of `sequences` that stand in ids."""
    search = VerbatimSearch(ids, sequences)
    hits = np.concatenate(search.occurs(WINDOW))
    run = search.longest()
    text = tok.decode(np.asarray(ids)[run.in_text : run.in_text + run.length])
    return Repeated(int(hits.sum()), len(hits), run.length, text)
