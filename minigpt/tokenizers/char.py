"""One character, one id: the smallest tokenizer, and the one for first experiments.

The vocabulary is the sorted set of the characters of the training text, so that a small text gives a small
softmax (65 ids for Tiny Shakespeare). What it does not do: characters outside the training text have no id
(byte-level BPE has no such gap), and the sequences are long, one token a character.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from ..errors import TokenizerError
from ..files import FileGroup
from .base import (
    Tokenizer,
    check_text,
    checked_special_tokens,
    place,
    read_json,
    special_pattern,
)


class CharTokenizer(Tokenizer):
    """Characters as tokens: ids 0 … n−1 are `characters` in order, special tokens follow, and what was added later.

    `CharTokenizer.train(text)` is the usual way to make one; the constructor takes the characters themselves
    (a str without repeats). Raises: TokenizerError.
    """

    FILE = "char_tokenizer.json"

    def __init__(self, characters: str, special_tokens: Iterable[str] = ()):
        super().__init__()
        check_text(characters, "CharTokenizer")
        if characters == "":
            raise TokenizerError("CharTokenizer needs at least one character, got an empty text")
        if len(set(characters)) != len(characters):
            twice = next(c for i, c in enumerate(characters) if c in characters[:i])
            raise TokenizerError(
                f"CharTokenizer needs distinct characters, got {twice!r} more than once: "
                "to make one from a text use CharTokenizer.train(text)"
            )
        self.characters = characters
        self._pieces = list(characters)  # id -> text, special tokens at the end
        self._ids = {character: i for i, character in enumerate(characters)}  # ordinary characters only
        self.add_special_tokens(special_tokens)

    @classmethod
    def train(cls, text: str, special_tokens: Iterable[str] = ()) -> CharTokenizer:
        """The tokenizer of all characters in `text`, sorted by code point.

        Special tokens that stand in the text are taken out first: their letters need no ids of their own.
        """
        check_text(text, "CharTokenizer.train")
        special_tokens = checked_special_tokens(special_tokens)
        ordinary = special_pattern(special_tokens).sub("", text) if special_tokens else text
        return cls("".join(sorted(set(ordinary))), special_tokens)

    @property
    def vocab_size(self) -> int:
        """Number of ids V: characters and special tokens."""
        return len(self._pieces)

    def _encode_ordinary(self, text: str, start: int, stop: int) -> list[int]:
        ids = self._ids
        try:
            return [ids[character] for character in text[start:stop]]
        except KeyError:
            raise self._unknown_character(text, start) from None

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """Text of a sequence of ids (list or 1-D integer array).

        Raises: TokenizerError for an id outside 0 … vocab_size−1 (names id, position and range).
        """
        checked = self._checked_ids(ids)
        if skip_special_tokens:
            special = set(self.special_tokens.values())
            checked = [token_id for token_id in checked if token_id not in special]
        return "".join([self._pieces[token_id] for token_id in checked])

    def add_characters(self, text: str) -> int:
        """Give each character of `text` that has no id yet one at the end of the vocabulary; returns how many.

        The model must grow by the same number: `model.resize_vocab(tok.vocab_size)`. Raises: TokenizerError.
        """
        check_text(text, "add_characters")
        new = sorted(set(text) - set(self._ids) - set(self.special_tokens))
        for character in new:
            self._ids[character] = self._append_piece(character)
        self.characters += "".join(new)
        return len(new)

    def add_files(self, files: FileGroup) -> None:
        """One file, `char_tokenizer.json`; with "order", all pieces by id, where characters follow special tokens."""
        content = {
            "type": "char",
            "version": 1,
            "characters": self.characters,
            "special_tokens": list(self.special_tokens),
        }
        if self._pieces != [*self.characters, *self.special_tokens]:
            content |= {"version": 2, "order": self._pieces}
        files.json(self.FILE, content)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> CharTokenizer:
        """Read `char_tokenizer.json` from `folder`. Raises TokenizerError if it is missing or damaged."""
        path = Path(folder) / cls.FILE
        content = read_json(path)
        if content.get("type") != "char" or content.get("version") not in (1, 2):
            raise TokenizerError(
                f'{path}: wanted "type": "char" and "version": 1 or 2, got {content.get("type")!r} and '
                f"{content.get('version')!r}: the file is damaged or from a newer minigpt"
            )
        characters, special_tokens = content.get("characters"), content.get("special_tokens")
        if not isinstance(characters, str) or not isinstance(special_tokens, list):
            raise TokenizerError(f'{path} is damaged: wanted a str "characters" and a list "special_tokens"')
        try:
            tokenizer = cls(characters, special_tokens)
        except TokenizerError as error:
            raise TokenizerError(f"{path} is damaged: {error}") from None
        if content["version"] == 2:
            order = content.get("order")
            if not isinstance(order, list) or sorted(map(str, order)) != sorted(tokenizer._pieces):
                raise TokenizerError(f'{path} is damaged: "order" must hold each character and special token once')
            tokenizer._reorder(order)
        return tokenizer

    def _reorder(self, pieces: list[str]) -> None:
        """Number the pieces anew."""
        self._pieces = list(pieces)
        numbers = {piece: i for i, piece in enumerate(pieces)}
        self._ids = {character: numbers[character] for character in self.characters}
        self.special_tokens = {name: numbers[name] for name in self.special_tokens}

    def _has_piece(self, token: str) -> bool:
        return token in self._ids

    def _append_piece(self, token: str) -> int:
        self._pieces.append(token)
        return len(self._pieces) - 1

    def _unknown_character(self, text: str, start: int) -> TokenizerError:
        """The error for the first character of text[start:] that has no id."""
        index = next(i for i in range(start, len(text)) if text[i] not in self._ids)
        character = text[index]
        name = unicodedata.name(character, "a character without a name")
        shown = repr(self.characters[:80]) + ("…" if len(self.characters) > 80 else "")
        return TokenizerError(
            f"unknown character {character!r} (U+{ord(character):04X} {name}) at {place(text, index)}: the "
            f"vocabulary has {len(self.characters)} characters, {shown}; remove or replace it, or train the "
            "tokenizer (and the model) on text that holds it"
        )
