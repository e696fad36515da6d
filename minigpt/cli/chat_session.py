"""The loop of a chat: a line is a message, or a command that begins with a slash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..data.conversation import Conversation
from ..data.records import read_jsonl, write_jsonl
from ..decoding import Sampling
from ..decoding.sampling import check_count, check_sampling
from ..errors import ArgumentError, DataError, MiniGPTError
from ..generation import Chat
from ..generation.job import Job
from ..generation.text import pieces
from ..randomness import as_generator
from .chat_console import Pipe, Terminal
from .common import notes_afterwards

COMMANDS = {
    "/reset": "forget what was said; the system's message stays",
    "/save FILE": "write the conversation to FILE.jsonl",
    "/load FILE": "go on from a conversation in FILE.jsonl",
    "/system TEXT": "what the system says at the start; without TEXT: nothing",
    "/temp X": "temperature; 0 always takes the likeliest token",
    "/seed N": "the same seed and messages give the same answers",
    "/help": "this list",
}
OF_DIALOGUE = ("/reset", "/save", "/load", "/system")
LEAVE = ("exit", "quit", "/exit", "/quit")
HELP = "\n".join(
    [
        *(f"{usage:<13} {purpose}" for usage, purpose in COMMANDS.items()),
        "exit, quit    leave, as Ctrl-D does; Ctrl-C stops an answer",
        "A space before a slash makes a message of it.",
    ]
)


class Continuation:
    """A model that only continues texts, with the settings and the stream of a Chat; it remembers nothing."""

    def __init__(self, model, temperature, top_k, top_p, max_new_tokens, seed):
        check_count("max_new_tokens", max_new_tokens, 1)
        check_sampling(model.tokenizer.vocab_size, temperature, top_k, top_p)
        self.model, self.temperature, self.top_k, self.top_p = model, temperature, top_k, top_p
        self.max_new_tokens, self.rng = max_new_tokens, as_generator(seed)
        self.finish_reason: str | None = None

    def stream(self, text: str) -> Iterator[str]:
        sampling = Sampling(self.temperature, self.top_k, self.top_p)
        job = Job(self.model, None, [text], self.max_new_tokens, sampling, seed=self.rng, live=True)
        self.finish_reason = None  # cut at max_new_tokens is the usual end here
        return (piece for _, piece in pieces(job))


class Session:
    """speaker: a Chat or a Continuation; console: a Terminal or a Pipe"""

    def __init__(self, speaker: Any, console: Terminal | Pipe):
        self.speaker, self.console = speaker, console
        self.is_dialogue = isinstance(speaker, Chat)
        self.actions = {
            "/reset": self.reset, "/save": self.save, "/load": self.load, "/system": self.system, "/temp": self.temp,
            "/seed": self.seed, "/help": self.help,
        }  # fmt: skip

    def run(self) -> int:
        """Until the input ends or the user leaves."""
        for line in self.console.lines():
            text = line.strip()
            if text in LEAVE:
                break
            try:
                if line.startswith("/"):
                    self.command(*text.split(maxsplit=1))
                elif text:
                    self.message(text)
            except MiniGPTError as error:
                self.console.say(f"error: {error}")
        return 0

    def message(self, text: str) -> None:
        before = self.speaker.conversation if self.is_dialogue else None
        stream = self.speaker.stream(text)  # refuses before anything is printed
        with notes_afterwards():
            self.console.answer(stream)
        if self.is_dialogue:
            self.say_how_it_ended(kept=self.speaker.conversation != before)

    def say_how_it_ended(self, kept: bool) -> None:
        """If not because the model had said all."""
        if not kept:
            self.console.say("(no answer; the message is not kept either)")
        elif self.speaker.finish_reason == "length":
            self.console.say(f"(cut after {self.speaker.max_new_tokens} tokens; --max-new-tokens allows for more)")
        elif self.speaker.finish_reason == "context":
            self.console.say(f"(cut: the context of {self.speaker.model.config.block_size} tokens is full)")
        elif self.speaker.finish_reason == "interrupted":
            self.console.say("(stopped; what was said so far is kept)")

    def command(self, name: str, rest: str = "") -> None:
        if name not in self.actions:
            raise ArgumentError(f"there is no command {name}; there are {', '.join(COMMANDS)}, exit and quit")
        if name in OF_DIALOGUE and not self.is_dialogue:
            raise ArgumentError(f"{name} belongs to a dialogue; here the model only continues each line by itself")
        self.actions[name](rest)

    def reset(self, rest: str) -> None:
        self.speaker.reset()
        self.console.say("the conversation begins anew")

    def save(self, rest: str) -> None:
        path, conversation = conversation_file("/save", rest), self.speaker.conversation
        if conversation is None or conversation.messages[-1].role != "assistant":
            raise ArgumentError("nothing was said yet, there is nothing to save")
        write_jsonl(path, [conversation])
        self.console.say(f"{len(conversation.messages)} messages saved in {path}")

    def load(self, rest: str) -> None:
        path = conversation_file("/load", rest)
        records = read_jsonl(path)
        conversation = next(records)
        if not isinstance(conversation, Conversation):
            raise DataError(f"{path}: its first record is a labelled text, wanted a conversation")
        others = " (the first conversation in it)" if next(records, None) is not None else ""
        self.speaker.conversation = conversation
        self.console.say(f"{len(conversation.messages)} messages loaded from {path}{others}")

    def system(self, rest: str) -> None:
        self.speaker.system = rest or None
        self.console.say(f"the system says: {rest}" if rest else "the system says nothing")

    def temp(self, rest: str) -> None:
        if rest:
            temperature = number(float, rest)
            check_sampling(self.speaker.model.config.vocab_size, temperature)
            self.speaker.temperature = temperature
        self.console.say(f"temperature {self.speaker.temperature}")

    def seed(self, rest: str) -> None:
        seed = number(int, rest)
        if not isinstance(seed, int) or seed < 0:
            raise ArgumentError(f"/seed takes an integer from 0 up, as in /seed 1; got {rest!r}")
        self.speaker.rng = as_generator(seed)
        self.console.say(f"seed {seed}")

    def help(self, rest: str) -> None:
        self.console.say(HELP)


def number(kind: type, text: str):
    """The number that the text stands for, or the text itself, for the error message of whoever checks it."""
    try:
        return kind(text)
    except ValueError:
        return text


def conversation_file(command: str, name: str) -> Path:
    """The path, which ends with .jsonl: so that nothing else is overwritten, and fine-tuning can read it."""
    path = Path(os.path.expanduser(name))
    if path.suffix.lower() != ".jsonl":
        raise ArgumentError(f"{command} takes the name of a .jsonl file, as in {command} talk.jsonl; got {name!r}")
    return path
