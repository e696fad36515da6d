"""A conversation: who said what, in an order that makes sense, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DataError

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Message:
    """One turn. role: "system", "user" or "assistant"; content: its text, not blank. Raises DataError."""

    role: str
    content: str

    def __post_init__(self):
        if self.role not in ROLES:
            raise DataError(f"role: wanted one of {', '.join(ROLES)}, got {self.role!r}")
        if not isinstance(self.content, str):
            raise DataError(f"content: wanted text, got {type(self.content).__name__} {self.content!r}")
        if not self.content.strip():
            raise DataError(f"content: the text of the {self.role} is empty; leave the message out, or the record")


@dataclass(frozen=True)
class Conversation:
    """Messages in the order spoken: at most one of the system, at the start; then user and assistant in turn.

    Raises: DataError naming the message, `messages[i]`, counted from 0.
    """

    messages: tuple[Message, ...]

    def __post_init__(self):
        object.__setattr__(self, "messages", tuple(self.messages))
        if not self.messages:
            raise DataError("messages: a conversation needs at least one message, got none")
        wanted = "user"
        for i, message in enumerate(self.messages):
            if message.role == "system" and i == 0:
                continue
            if message.role != wanted:
                raise DataError(f"messages[{i}].role: {_out_of_turn(message.role, wanted, i)}")
            wanted = "assistant" if wanted == "user" else "user"

    @classmethod
    def of(cls, messages: Conversation | Iterable[Mapping[str, str]]) -> Conversation:
        """From a list of {"role": …, "content": …}, the form of JSONL files; a Conversation is given back as it is."""
        if isinstance(messages, cls):
            return messages
        if isinstance(messages, str | Mapping) or not isinstance(messages, Iterable):
            shown = f"{type(messages).__name__} {str(messages)[:60]!r}"
            raise DataError(f'messages: wanted a list of {{"role": …, "content": …}}, got {shown}')
        return cls(tuple(_message(i, entry) for i, entry in enumerate(messages)))

    @classmethod
    def exchange(cls, prompt: str, reply: str, system: str | None = None) -> Conversation:
        """One question of the user and its answer."""
        opening = [] if system is None else [Message("system", system)]
        return cls((*opening, Message("user", prompt), Message("assistant", reply)))

    @property
    def reply(self) -> str:
        """What the assistant says last, the answer that a task scores. Raises DataError if the user speaks last."""
        if self.messages[-1].role != "assistant":
            raise DataError("this conversation ends with the user, it has no reply yet")
        return self.messages[-1].content

    def without_reply(self) -> Conversation:
        """The conversation up to the last answer, which is what a model is asked to give."""
        return Conversation(self.messages[:-1]) if self.messages[-1].role == "assistant" else self

    @property
    def key(self) -> str:
        """What the answer follows from, for splits: all that was said before it."""
        return "\n".join(message.content for message in self.without_reply().messages)


def _message(i: int, entry: Any) -> Message:
    if isinstance(entry, Message):
        return entry
    if not isinstance(entry, Mapping):
        raise DataError(f'messages[{i}]: wanted {{"role": …, "content": …}}, got {type(entry).__name__}')
    missing = [name for name in ("role", "content") if name not in entry]
    if missing:
        raise DataError(
            f"messages[{i}].{missing[0]}: missing; the message has {', '.join(map(repr, entry)) or 'nothing'}"
        )
    try:
        return Message(entry["role"], entry["content"])
    except DataError as error:
        raise DataError(f"messages[{i}].{error}") from None


def _out_of_turn(role: str, wanted: str, i: int) -> str:
    if role == "system":
        return "the system speaks only at the start, as messages[0]"
    if i == 0 or (wanted == "user" and i == 1):
        return "the assistant answers a user: the first message after the system's needs role 'user'"
    return f"two {role} turns in a row: join them into one message, or put the {wanted}'s between them"
