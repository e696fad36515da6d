"""Continue a text."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, TokenizerError
from ..randomness import as_generator


def generate(
    model, tok, prompt, max_new_tokens=100, temperature=1.0, top_k=None, top_p=None, n=1, stop=None, seed=None
) -> list[str]:
    """n continuations of the prompt, without the prompt.

    stop:    a string or several; a continuation ends before the first place where one of them occurs, also where it
             spans several tokens
    The other settings are those of `model.generate`. tok=None takes model.tokenizer.
    Raises:  ArgumentError, TokenizerError (unknown characters, empty prompt)
    """
    tok = model.tokenizer if tok is None else tok
    if not isinstance(n, int | np.integer) or n < 1:
        raise ArgumentError(f"n, the number of continuations, is an integer of at least 1, got {n!r}")
    stops = _stop_strings(stop)
    if not isinstance(prompt, str):
        raise ArgumentError(f"prompt must be a string, got {type(prompt).__name__}")
    ids = tok.encode(prompt)
    if not ids:
        raise TokenizerError(
            "the prompt is empty and this tokenizer has no token to start from; give at least one character"
        )
    rows = np.tile(np.array(ids, np.int64), (int(n), 1))  # (n, T)
    out = model.generate(rows, max_new_tokens, temperature, top_k, top_p, seed=as_generator(seed))
    return [cut_at_stop(tok.decode(row[len(ids) :]), stops) for row in out]


def _stop_strings(stop) -> list[str]:
    stops = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list | tuple) or not all(isinstance(s, str) and s for s in stops):
        raise ArgumentError(f"stop is a non-empty string or a list of them, got {stop!r}")
    return list(stops)


def cut_at_stop(text: str, stops: list[str]) -> str:
    """The text up to the first occurrence of any stop string."""
    return text[: min([i for i in (text.find(s) for s in stops) if i >= 0], default=len(text))]
