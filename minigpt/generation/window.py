"""Which part of a conversation a model reads: as many of the last turns as its context holds, each of them whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..data.conversation import Conversation, Message
from ..data.dialogue import render, render_prompt
from ..errors import ArgumentError

Turn = tuple[Message, Message]  # what the user said, and the answer


class Window(NamedTuple):
    """What is read, and what is left out."""

    ids: np.ndarray  # (T,) int64, ending with <|assistant|>
    dropped: int  # turns left out, the oldest
    room: int  # tokens that the context holds beyond ids


def fit(system: Message | None, turns: Sequence[Turn], asked: Message, tok, block_size: int, reserve: int) -> Window:
    """The prompt for an answer to `asked`: the system's message, the last turns, the question.

    Turns are left out, oldest first, until `reserve` tokens are free for the answer. The system's message and the
    question are always read; where even they leave no place, ArgumentError says so in numbers.
    """
    opening = opening_ids(system, tok)  # (S,)
    question = render_prompt(Conversation((asked,)), tok)  # (Q,)
    room = block_size - len(opening) - len(question)
    if room < 1:
        besides = f" and the system's message another {len(opening)}" if len(opening) else ""
        raise ArgumentError(
            f"the message is too long: with the marks of its turn it takes {len(question)} tokens{besides}, the "
            f"context holds {block_size} and the answer needs at least 1; leave out {1 - room} tokens or more"
        )
    parts: list[np.ndarray] = []
    for turn in reversed(turns):
        ids, _ = render(Conversation(turn), tok)
        if room - len(ids) < reserve:
            break
        parts.append(ids)
        room -= len(ids)
    return Window(np.concatenate([opening, *reversed(parts), question]), len(turns) - len(parts), room)


def opening_ids(system: Message | None, tok) -> np.ndarray:
    """The system's message as ids, none if there is no such message."""
    return np.zeros(0, np.int64) if system is None else render(Conversation((system,)), tok)[0]
