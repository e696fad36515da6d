"""One word or punctuation mark, one id: short sequences, at the price of words that have no id.

A text is cut into words, which are runs of letters, marks, digits and underscores with single apostrophes inside
("don't"), and into single other characters; white space only separates. In scripts that write no spaces between words
(Chinese, Japanese, Thai …) each character counts as a word. Words that are rare or were not in the training text become
`<unk>`, so what comes back is not what went in; byte-level BPE has neither trouble.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import TokenizerError
from ..files import FileGroup
from .base import Tokenizer, check_text, checked_special_tokens, read_json, special_pattern

PAD, UNK, START, END = FIXED = ("<pad>", "<unk>", "<start>", "<end>")  # ids 0 to 3

# Characters of scripts without spaces between words, as a class of the `regex` package.
_NO_SPACES = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTER = rf"(?![{_NO_SPACES}])[\p{{L}}\p{{M}}\p{{N}}_]"
# In decode: a mark that follows its word, one that its word follows.
_CLOSES = ".,;:!?%)]}»”…。，、；：！？」』）】》"
_OPENS = "([{«“¿¡「『（【《"


class WordTokenizer(Tokenizer):
    """Words as tokens: ids 0 … 3 are `<pad> <unk> <start> <end>`, then `words` in order, then added special tokens.

    `WordTokenizer.train(text)` is the usual way to make one. lowercase: "The" and "the" are one word. add_start,
    add_end: encode puts `<start>` before, `<end>` behind what it returns. Raises: TokenizerError.
    """

    FILE = "word_tokenizer.json"

    def __init__(
        self, words: Iterable[str], lowercase: bool = True, special_tokens: Iterable[str] = (),
        add_start: bool = False, add_end: bool = False,
    ):  # fmt: skip
        super().__init__()
        if isinstance(words, str):
            raise TokenizerError(
                "WordTokenizer needs a list of words; to make one from a text: WordTokenizer.train(text)"
            )
        for name, flag in (("lowercase", lowercase), ("add_start", add_start), ("add_end", add_end)):
            if not isinstance(flag, bool):
                raise TokenizerError(f"WordTokenizer: {name} is True or False, got {flag!r}")
        self.lowercase, self.add_start, self.add_end = lowercase, add_start, add_end
        self.words = tuple(words)
        self._pieces = [*FIXED, *self.words]  # id -> text
        self._ids: dict[str, int] = {}  # ordinary words only
        for i, word in enumerate(self.words, start=len(FIXED)):
            check_text(word, "a word of the vocabulary")
            if self._cut(word) != [word] or word in self._ids:
                raise TokenizerError(
                    f"{word!r} cannot be a word of this vocabulary: it is there twice, or encode never gives it "
                    f"(lowercase is {lowercase})"
                )
            self._ids[word] = i
        self.special_tokens = {name: i for i, name in enumerate(FIXED)}
        self.add_special_tokens(special_tokens)

    @classmethod
    def train(
        cls, text: str, min_freq: int = 1, lowercase: bool = True, max_size: int | None = None,
        special_tokens: Iterable[str] = (), add_start: bool = False, add_end: bool = False,
    ) -> WordTokenizer:  # fmt: skip
        """The words that occur at least min_freq times, frequent ones first, equally frequent ones in code point order.

        max_size: the most ids there may be, `<pad> <unk> <start> <end>` and special_tokens included; the often words
        go. Special tokens in the text are not counted as words. Raises: TokenizerError.
        """
        check_text(text, "WordTokenizer.train")
        special_tokens = [token for token in checked_special_tokens(special_tokens) if token not in FIXED]
        n_special = len(FIXED) + len(special_tokens)
        most = sys.maxsize if max_size is None else max_size
        for name, value, least in (("min_freq", min_freq, 1), ("max_size", most, n_special + 1)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise TokenizerError(f"WordTokenizer.train: {name} is an integer of at least {least}, got {value!r}")
        ordinary = special_pattern([*FIXED, *special_tokens]).sub(" ", text)
        counts = Counter(_cut(ordinary, lowercase))
        words = sorted((word for word, n in counts.items() if n >= min_freq), key=lambda word: (-counts[word], word))
        if not words:
            often = f", the most frequent of {len(counts)} occurs {max(counts.values())} times" if counts else ""
            raise TokenizerError(f"WordTokenizer.train found no word in the text (min_freq {min_freq}{often})")
        return cls(words[: most - n_special], lowercase, special_tokens, add_start, add_end)

    @property
    def vocab_size(self) -> int:
        """Number of ids V: words and special tokens."""
        return len(self._pieces)

    def encode(self, text: str, allow_special: bool = True) -> list[int]:
        """Ids of the words of `text`, `<unk>` for words without one; with `<start>` and `<end>` if so chosen.

        Raises: TokenizerError (not a str, lone surrogates).
        """
        ids = super().encode(text, allow_special)
        start = [self.special_tokens[START]] if self.add_start else []
        return start + ids + ([self.special_tokens[END]] if self.add_end else [])

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """The words, with a space between them. This is not the text that was encoded: lost are

        - white space: there is none before .,;:!? and closing brackets, after opening ones, and between characters of
          scripts without spaces, and one space everywhere else;
        - capital letters, if lowercase; words without an id, which are `<unk>` now.

        Encoding the result gives the same ids again, but for add_start and add_end.
        Raises: TokenizerError for an id outside 0 … vocab_size−1.
        """
        special = set(self.special_tokens.values())
        parts: list[str] = []
        previous = " "
        for i in self._checked_ids(ids):
            if i in special and skip_special_tokens:
                continue
            piece = self._pieces[i]
            apart = i in special or previous in self.special_tokens or not _touch(previous, piece)
            parts += [" ", piece] if parts and apart else [piece]
            previous = piece
        return "".join(parts)

    def add_files(self, files: FileGroup) -> None:
        """One file, `word_tokenizer.json`."""
        content = {
            "type": "word",
            "version": 1,
            "lowercase": self.lowercase,
            "add_start": self.add_start,
            "add_end": self.add_end,
            "special_tokens": [name for name in self.special_tokens if name not in FIXED],
            "words": list(self.words),
        }
        files.json(self.FILE, content)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> WordTokenizer:
        """Read `word_tokenizer.json` from `folder`. Raises TokenizerError if it is missing or damaged."""
        path = Path(folder) / cls.FILE
        content = read_json(path)
        if content.get("type") != "word" or content.get("version") != 1:
            raise TokenizerError(
                f'{path}: wanted "type": "word" and "version": 1, got {content.get("type")!r} and '
                f"{content.get('version')!r}: the file is damaged or from a newer minigpt"
            )
        names = ("words", "lowercase", "special_tokens", "add_start", "add_end")
        missing = [name for name in names if name not in content]
        if missing or not isinstance(content["words"], list) or not isinstance(content["special_tokens"], list):
            raise TokenizerError(f"{path} is damaged: wanted {', '.join(names)}, the first and third as lists")
        try:
            return cls(*(content[name] for name in names))
        except TokenizerError as error:
            raise TokenizerError(f"{path} is damaged: {error}") from None

    def _cut(self, text: str) -> list[str]:
        return _cut(text, self.lowercase)

    def _encode_ordinary(self, text: str, start: int, stop: int) -> list[int]:
        ids, unknown = self._ids, FIXED.index(UNK)
        return [ids.get(word, unknown) for word in self._cut(text[start:stop])]

    def _has_piece(self, token: str) -> bool:
        return token in self._ids

    def _append_piece(self, token: str) -> int:
        self._pieces.append(token)
        return len(self._pieces) - 1


@lru_cache(maxsize=1)
def _patterns() -> tuple[Any, Any]:
    """(a word or other character, a character of a script without spaces); compiled when first needed."""
    import regex

    one = rf"[{_NO_SPACES}]\p{{M}}*"
    either = rf"{one}|(?:{_LETTER})+(?:['’](?:{_LETTER})+)*|\S"
    return regex.compile(either), regex.compile(rf"(?!\p{{M}}){one}")


def _cut(text: str, lowercase: bool) -> list[str]:
    """Words and other characters of a text, in order; together they are the text without its white space."""
    pieces = _patterns()[0].findall(text)
    return [piece.lower() for piece in pieces] if lowercase else pieces


def _touch(left: str, right: str) -> bool:
    """Whether decode writes no space between two pieces: only where encode would cut them apart again."""
    if right in _CLOSES or left in _OPENS:
        return True
    no_spaces = _patterns()[1].fullmatch
    return bool(no_spaces(left) and no_spaces(right))
