"""The prompts of a recording: texts or ids, as a model is given them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError, MiniGPTError


class Prompt(NamedTuple):
    """text as it was given, None for ids; inputs: for each argument of the model, mostly one, its ids (T,)"""

    text: str | None
    inputs: tuple[list[int], ...]

    def __str__(self):
        return repr(self.text) if self.text is not None else f"{len(self.inputs[-1])} ids"


def prompt_list(prompts) -> list:
    """One prompt, or a list of them, as a list."""
    if isinstance(prompts, str | tuple | np.ndarray | Prompt):
        return [prompts]
    prompts = list(prompts)
    return [prompts] if prompts and all(isinstance(item, int | np.integer) for item in prompts) else prompts


def encoded(prompt, model) -> Prompt:
    """What the model is given for a text, ids, or a tuple of them for a model with several inputs."""
    if isinstance(prompt, Prompt):
        return prompt
    parts = prompt if isinstance(prompt, tuple) else (prompt,)
    texts = [part for part in parts if isinstance(part, str)]
    return Prompt(" → ".join(texts) if len(texts) == len(parts) else None, tuple(_ids(part, model) for part in parts))


def _ids(part, model) -> list[int]:
    if isinstance(part, str):
        part = model.tokenizer.encode(part)
    ids = np.asarray(part)
    if ids.ndim != 1 or not len(ids) or ids.dtype.kind not in "iu":
        raise ArgumentError(f"a prompt to record is a text or ids (T,), at least one of them; got {part!r:.60}")
    return ids.tolist()


def tokens_of(ids, model) -> list[str]:
    """What each id stands for; the ids themselves, if the model has no tokenizer."""
    tok: Any = getattr(model, "_tokenizer", None)
    return [str(i) if tok is None else tok.decode([i]) for i in ids]


def naming(k: int, prompt: Prompt, error: MiniGPTError) -> MiniGPTError:
    """The same error, which says of which prompt."""
    return type(error)(f"prompt {k}, {prompt}, cannot be recorded: {error}")
