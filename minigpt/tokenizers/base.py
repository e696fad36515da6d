"""What every tokenizer can do: text → ids, ids → text, special tokens, save and load.

A tokenizer owns a vocabulary of V pieces, numbered 0 … V−1. A subclass says how *ordinary* text is cut
(`_encode_ordinary`) and what the ids mean (`decode`); special tokens such as "<eot>" are the same for all
and live here: each is one id, found in the text before anything else is cut.
"""

from __future__ import annotations

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from ..errors import TokenizerError
from ..files import FileGroup


class Tokenizer(ABC):
    """Base class. Attributes: `FILE` (its file name in a checkpoint folder), `special_tokens` (name → id)."""

    FILE: str
    TOKENS_ARE_BYTES: ClassVar[bool] = False  # whether the bytes of a sequence are those of its tokens, joined

    def __init__(self) -> None:
        self.special_tokens: dict[str, int] = {}

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of ids V, special tokens included."""

    @abstractmethod
    def _encode_ordinary(self, text: str, start: int, stop: int) -> list[int]:
        """Ids of text[start:stop], never that of a special token; the rest is there for error messages."""

    @abstractmethod
    def _has_piece(self, token: str) -> bool:
        """Whether `token` is already one ordinary piece of the vocabulary."""

    @abstractmethod
    def _append_piece(self, token: str) -> int:
        """Append one piece at the end of the vocabulary and return its id."""

    @abstractmethod
    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """Text of a sequence of ids; the ids of special tokens give their names, or nothing if skipped.

        Raises: TokenizerError for an id outside 0 … vocab_size−1, or for anything but integers.
        """

    def decode_bytes(self, ids: Iterable[int], skip_special_tokens: bool = False) -> bytes:
        """The text of `ids` as UTF-8 bytes; a kind whose tokens may end inside a character gives them exactly."""
        return self.decode(ids, skip_special_tokens).encode("utf-8")

    @abstractmethod
    def add_files(self, files: FileGroup) -> None:
        """Put the tokenizer's file into a group of files that change together (a checkpoint)."""

    def save(self, folder: str | os.PathLike) -> None:
        """Write the tokenizer's file into `folder` (made if missing).

        Raises: CheckpointError if that fails; a file that was there before is then as it was.
        """
        with FileGroup(folder) as files:
            self.add_files(files)

    @classmethod
    @abstractmethod
    def load(cls, folder: str | os.PathLike) -> Tokenizer:
        """Read what `save` wrote. Raises TokenizerError if the file is missing or damaged."""

    @classmethod
    def file_names(cls) -> tuple[str, ...]:
        """All files that `save` writes."""
        return (cls.FILE,)

    @classmethod
    def found_in(cls, folder: str | os.PathLike) -> bool:
        """Whether a folder holds a file of this kind."""
        return any((Path(folder) / name).is_file() for name in cls.file_names())

    @property
    def _whole_tokens(self) -> dict[str, int]:
        """name → id of what is found in the text before anything else is cut."""
        return self.special_tokens

    def encode(self, text: str, allow_special: bool = True) -> list[int]:
        """Ids of `text`; decode(encode(text)) == text for lossless tokenizers.

        A special token found in the text becomes its one id; of two that start at the same place the longer
        one counts. With allow_special=False it is ordinary text, which is the safe way for what users type.
        Raises: TokenizerError (not a str, lone surrogates, pieces outside the vocabulary).
        """
        check_text(text, "encode")
        ids: list[int] = []
        start = 0
        whole = self._whole_tokens if allow_special else {}
        if whole:
            for match in special_pattern(whole).finditer(text):
                ids += self._encode_ordinary(text, start, match.start())
                ids.append(whole[match.group()])
                start = match.end()
        ids += self._encode_ordinary(text, start, len(text))
        return ids

    def add_special_tokens(self, tokens: Iterable[str]) -> int:
        """Give each token an id of its own at the end of the vocabulary; returns how many were new.

        The model must grow by the same number: `model.resize_vocab(tok.vocab_size)`. A token that is already
        special is left as it is. Raises: TokenizerError for a str instead of a list of them, an empty token,
        or one that is an ordinary piece already (its id would have two meanings). On an error none is added.
        """
        new = [token for token in checked_special_tokens(tokens) if token not in self.special_tokens]
        for token in new:
            if self._has_piece(token):
                raise TokenizerError(
                    f"{token!r} is already an ordinary piece of this vocabulary and cannot become a special "
                    'token: choose a name that does not occur in the text, such as "<eot>"'
                )
        for token in new:
            self.special_tokens[token] = self._append_piece(token)
        return len(new)

    def _checked_ids(self, ids: Iterable[int]) -> list[int]:
        """`ids` as a list of ints in 0 … V−1, or a TokenizerError that names the first bad one."""
        if hasattr(ids, "tolist"):  # a NumPy array or scalar: plain ints are faster to walk through
            ids = ids.tolist()
        if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
            raise TokenizerError(f"decode needs a sequence of ids, got {_short(ids)}: for one id pass [id]")
        good = []
        for position, token_id in enumerate(ids):
            if isinstance(token_id, bool) or not hasattr(token_id, "__index__"):
                hint = ": decode one row at a time" if isinstance(token_id, Iterable) else ""
                raise TokenizerError(f"decode needs integer ids, got {_short(token_id)} at position {position}{hint}")
            if not 0 <= token_id < self.vocab_size:
                raise TokenizerError(
                    f"id {token_id} at position {position} is not in the vocabulary: wanted 0 to "
                    f"{self.vocab_size - 1} ({self.vocab_size} ids); the ids come from another tokenizer, "
                    "or from a model with a larger vocab_size"
                )
            good.append(int(token_id))
        return good

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, special_tokens={list(self.special_tokens)})"


def checked_special_tokens(tokens: Iterable[str]) -> list[str]:
    """The tokens as a list without repeats; TokenizerError for a lone str, a non-str or an empty token."""
    if isinstance(tokens, str) or not isinstance(tokens, Iterable):
        raise TokenizerError(f'special tokens need a list such as ["<eot>"], got {_short(tokens)}')
    tokens = list(dict.fromkeys(tokens))
    for token in tokens:
        check_text(token, "a special token")
        if token == "":
            raise TokenizerError("a special token needs at least one character, got ''")
    return tokens


def special_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds any of the special tokens; alternatives are tried in order, so longest first."""
    return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))


def check_text(text: Any, what: str) -> None:
    """Raise TokenizerError unless `text` is a str that UTF-8 can hold (no lone surrogates)."""
    if not isinstance(text, str):
        hint = ': decode the bytes first, data.decode("utf-8")' if isinstance(text, bytes) else ""
        raise TokenizerError(f"{what} needs a str, got {_short(text)}{hint}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"{what}: the text holds a lone surrogate, U+{ord(text[error.start]):04X}, at "
            f"{place(text, error.start)}: that is half a character and no valid text; it usually comes from "
            'reading a file with errors="surrogateescape" or from cutting UTF-16 in the middle'
        ) from None


def place(text: str, index: int) -> str:
    """Where text[index] stands, for people: "index 7 (line 2, column 3)"; lines and columns count from 1."""
    line = text.count("\n", 0, index) + 1
    column = index - text.rfind("\n", 0, index)  # rfind gives -1 on the first line, so this counts from 1
    return f"index {index} (line {line}, column {column})"


def _short(value: Any, limit: int = 60) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= limit else shown[:limit] + '…'}"


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; TokenizerError if it is missing, unreadable, or not an object."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        raise TokenizerError(f"no tokenizer file {path}: wanted a folder that tok.save(folder) wrote") from None
    except OSError as error:
        raise TokenizerError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:  # malformed JSON and malformed UTF-8 are both ValueErrors
        raise TokenizerError(f"{path} is damaged, it is not valid JSON ({error}): save it again") from error
    if not isinstance(content, dict):
        raise TokenizerError(f"{path} is damaged: wanted a JSON object, got a {type(content).__name__}")
    return content
