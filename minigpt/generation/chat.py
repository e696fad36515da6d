"""A conversation with a model that was tuned for dialogue.

    chat = mg.Chat(model, system="Answer briefly.")
    chat.say("What is 17 + 25?")                    # "42"
    for piece in chat.stream("And 8 + 9?"):
        print(piece, end="", flush=True)

All that was said stays in `chat.conversation`; what the model reads of it is `window.py`'s matter.
"""

from __future__ import annotations

import html
import warnings
from collections.abc import Iterator

import numpy as np

from ..data.conversation import Conversation, Message
from ..data.dialogue import DIALOGUE_TOKENS, Messages, end_id, render
from ..decoding import Sampling, decode
from ..decoding.reader import levels_to_the_caller
from ..decoding.sampling import check_count
from ..errors import ArgumentError
from ..randomness import as_generator
from .job import tokenizer_for
from .special import ENDS
from .window import Turn, Window, fit, opening_ids
from .writer import Writer


class Chat:
    """Turns of a user and a model.

    model            a GPT whose tokenizer has the dialogue tokens
    tok              its tokenizer, None for model.tokenizer
    system           what the system says at the start, None for nothing
    temperature, top_k, top_p, max_new_tokens   of each answer, as in `mg.generate`; may be changed between turns
    seed             int, Generator or None; the same seed and messages give the same answers
    keep_cache       keep keys and values from turn to turn, so that only what is new is read; right only as long as
                     nothing changes the model (training, adapters, patches) while the conversation goes on

    Attributes: conversation, system; rng; finish_reason of the last answer: "stop" (the model ended its turn),
    "length" (max_new_tokens), "context" (no room left), "interrupted" (Ctrl-C, or a stream that was closed)
    Raises: TokenizerError (no dialogue tokens), ArgumentError, DataError (blank system message)
    """

    def __init__(
        self, model, tok=None, system=None, temperature=0.8, top_k=None, top_p=None, max_new_tokens=200, seed=None,
        keep_cache=False,
    ):  # fmt: skip
        self.model, self.tok = model, tokenizer_for(model, tok)
        self._end = end_id(self.tok)
        special = self.tok.special_tokens
        # A model that begins a turn of someone else instead of ending its own has nothing more to say either.
        self._ends = {special[name] for name in (*DIALOGUE_TOKENS, *ENDS) if name in special}
        self.temperature, self.top_k, self.top_p, self.max_new_tokens = temperature, top_k, top_p, max_new_tokens
        self._sampling()
        self.rng = as_generator(seed)
        self.keep_cache = keep_cache
        self.finish_reason: str | None = None
        self._turns: list[Turn] = []
        self._kept: tuple | None = None  # ids (T,) and the cache that holds exactly these
        self._said = False  # that the context is full
        self.system = system

    @property
    def system(self) -> str | None:
        """The system's message. Setting it counts from the next answer on; what was said stays.

        Raises: ArgumentError if it leaves no room for any message, DataError if it is blank, TokenizerError.
        """
        return None if self._system is None else self._system.content

    @system.setter
    def system(self, text: str | None) -> None:
        message = None if text is None else Message("system", text)
        self._check_system(message)
        self._system = message

    @property
    def conversation(self) -> Conversation | None:
        """All that was said, None if nothing was. Setting it goes on from another one; it ends with the assistant.

        Raises, leaving everything as it was: ArgumentError, DataError, TokenizerError (characters without an id).
        """
        opening = () if self._system is None else (self._system,)
        messages = opening + tuple(message for turn in self._turns for message in turn)
        return Conversation(messages) if messages else None

    @conversation.setter
    def conversation(self, messages: Messages) -> None:
        new = Conversation.of(messages)
        render(new, self.tok)
        system = new.messages[0] if new.messages[0].role == "system" else None
        self._check_system(system)
        rest = new.messages[1:] if system else new.messages
        if len(rest) % 2:
            raise ArgumentError("the conversation ends with the user: leave the last message out, then say it")
        self._system, self._turns, self._said = system, list(zip(rest[::2], rest[1::2], strict=True)), False

    def reset(self) -> None:
        """Forget what was said; the system's message stays."""
        self._turns, self._said = [], False

    def say(self, text: str) -> str:
        """The whole answer to a message. Raises what stream raises; Ctrl-C keeps what was said so far."""
        return "".join(self.stream(text))

    def stream(self, text: str) -> Iterator[str]:
        """Pieces of the answer to a message, one for each token; "" while a character is not complete.

        Message and answer join the conversation when the stream ends, also where the caller closes it early; a turn
        in which the model said nothing is not kept. Whatever stands in the text, no special token comes of it.
        Raises, at once: ArgumentError (too long, wrong settings), DataError (blank), TokenizerError (characters
        without an id). Warns, once, when older turns are read no longer.
        """
        sampling = self._sampling()
        asked, block_size = Message("user", text), self.model.config.block_size
        reserve = min(self.max_new_tokens, max(1, block_size // 4))
        window = fit(self._system, self._turns, asked, self.tok, block_size, reserve)
        if window.dropped and not self._said:
            self._said = True
            message = (
                f"the context of {block_size} tokens is full: from here on the oldest turns are read no longer "
                f"(now {window.dropped} of {len(self._turns)})"
            )
            warnings.warn(message, stacklevel=levels_to_the_caller())
        return self._answer(asked, window, sampling)

    def _answer(self, asked: Message, window: Window, sampling: Sampling) -> Iterator[str]:
        reader = self.model.reader([window.ids], vocab_size=self.tok.vocab_size, cache=self._cache_for(window.ids))
        most = min(self.max_new_tokens, window.room)
        steps = decode(reader, most, sampling, self.rng, eos_id=self._end)
        writer = Writer(self.tok, live=True)
        self.finish_reason = "interrupted"  # unless it comes to an end below
        try:
            while True:
                with self.model.evaluating():  # not while the caller looks at the piece
                    step = next(steps, None)
                if step is None:
                    self.finish_reason = "length" if most == self.max_new_tokens else "context"
                    return
                if int(step.ids[0]) in self._ends:
                    self.finish_reason = "stop"
                    return
                writer.push(int(step.ids[0]))
                yield writer.take()
        finally:  # half a character at the end is left out: the writer was not asked to finish
            if writer.text.strip():
                self._turns.append((asked, Message("assistant", writer.text)))
            if self.keep_cache and reader.cache is not None:
                self._kept = (reader.tokens(0)[: reader.cache.length].copy(), reader.cache)

    def _cache_for(self, ids: np.ndarray):
        """The cache of the last answer, rewound to the tokens that ids begin with, or None."""
        if self._kept is None:
            return None
        (known, cache), self._kept = self._kept, None  # two answers at once must not write into one cache
        n = min(len(known), len(ids) - 1)  # the last one is read in any case, for its logits
        different = np.flatnonzero(known[:n] != ids[:n])
        cache.rewind(int(different[0]) if different.size else n)
        return cache

    def _sampling(self) -> Sampling:
        """The settings, checked. Raises ArgumentError."""
        check_count("max_new_tokens", self.max_new_tokens, 1)
        sampling = Sampling(self.temperature, self.top_k, self.top_p)
        sampling.check(self.tok.vocab_size)
        return sampling

    def _check_system(self, message: Message | None) -> None:
        used, block_size = len(opening_ids(message, self.tok)), self.model.config.block_size
        least = 5  # <|user|>, one token, <|end|>, <|assistant|>, and one of the answer
        if used + least > block_size:
            raise ArgumentError(
                f"the system's message is too long: with its marks it takes {used} tokens, the context holds "
                f"{block_size}, and the shortest question with its answer needs {least}"
            )

    def __repr__(self):
        return f"Chat({type(self.model).__name__}, {len(self._turns)} turns)"

    def _repr_html_(self) -> str:
        """The conversation as a table, for notebooks."""
        conversation = self.conversation
        rows = "".join(
            f'<tr><th style="vertical-align:top;text-align:left">{message.role}</th>'
            f'<td style="white-space:pre-wrap;text-align:left">{html.escape(message.content)}</td></tr>'
            for message in (conversation.messages if conversation else ())
        )
        return f"<table>{rows}</table>" if rows else "<p>nothing was said yet</p>"
