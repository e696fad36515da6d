"""Dialogue as token ids: four special tokens mark who speaks and where a turn ends.

    <|system|>Answer briefly.<|end|><|user|>What is 17 + 25?<|end|><|assistant|>42<|end|>

A model learns only what the assistant says: the loss covers its words and the <|end|> after them, so that it learns
when to stop. Whatever people write is encoded as ordinary text: a user who types "<|end|>" ends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..errors import DataError, TokenizerError
from ..tokenizers import Tokenizer
from .conversation import Conversation

END = "<|end|>"
START = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}  # role -> its token
DIALOGUE_TOKENS = (*START.values(), END)

Messages = Conversation | Iterable[Mapping[str, str]]


def add_dialogue_tokens(tok: Tokenizer) -> int:
    """Give the tokenizer the four tokens; returns how many were new.

    The model grows along: `model.resize_vocab(tok.vocab_size)`.
    """
    return tok.add_special_tokens(DIALOGUE_TOKENS)


def has_dialogue_tokens(tok: Tokenizer) -> bool:
    """Whether the tokenizer knows all four."""
    return all(name in tok.special_tokens for name in DIALOGUE_TOKENS)


def end_id(tok: Tokenizer) -> int:
    """The id that ends a turn: `eos_id` of generation. Raises TokenizerError without dialogue tokens."""
    return _ids_of(tok)[END]


def render(conversation: Messages, tok: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """(ids (T,) int64, loss_mask (T,) bool): the whole conversation, and which of its tokens are to be learned.

    loss_mask is True for what the assistant says and the <|end|> of its turn, not for <|assistant|>: that one is
    given, and what follows is predicted.
    Raises: DataError (no conversation), TokenizerError (no dialogue tokens, characters without an id).
    """
    special = _ids_of(tok)
    ids: list[int] = []
    loss: list[bool] = []
    for message in Conversation.of(conversation).messages:
        content = tok.encode(message.content, allow_special=False)
        ids += [special[START[message.role]], *content, special[END]]
        loss += [False] + [message.role == "assistant"] * (len(content) + 1)
    return np.array(ids, np.int64), np.array(loss, bool)


def render_prompt(conversation: Messages, tok: Tokenizer) -> np.ndarray:
    """ids (T,) int64 of a conversation in which the user spoke last, ending with <|assistant|>: its turn now.

    `model.generate(ids[None], …, eos_id=end_id(tok))` goes on from there.
    Raises: DataError if the assistant spoke last, TokenizerError.
    """
    conversation = Conversation.of(conversation)
    if conversation.messages[-1].role != "user":
        raise DataError(
            f"a prompt ends with a message of the user, this one with one of the {conversation.messages[-1].role}; "
            "for the question of an example use conversation.without_reply()"
        )
    ids, _ = render(conversation, tok)
    return np.append(ids, _ids_of(tok)[START["assistant"]])


def _ids_of(tok: Tokenizer) -> dict[str, int]:
    """Name -> id of the four tokens."""
    missing = [name for name in DIALOGUE_TOKENS if name not in tok.special_tokens]
    if missing:
        raise TokenizerError(
            f"this tokenizer has no token {missing[0]}, it was never made ready for dialogue: call "
            "add_dialogue_tokens(tok), then model.resize_vocab(tok.vocab_size), and tune the model on dialogues"
        )
    return {name: tok.special_tokens[name] for name in DIALOGUE_TOKENS}
