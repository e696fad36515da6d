"""How byte-level BPE cuts a text into pieces before it merges anything, and how it writes bytes as letters.

No token ever spans two pieces, so that "dog." and "dog!" share the token "dog". Both rules are GPT-2's (Radford et
al. 2019, section 2.2, and the code published with it).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator

# Contractions; then a word, a number, or other signs, each with the space before it; then white space, whose last
# character is left to the word after it.
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# The same for text in ASCII only, spelled for Python's own `re`, which takes less than half the time. Its \s would
# include the separators 0x1C to 0x1F, hence the classes.
ASCII_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\t-\r A-Za-z0-9]+|[\t-\r ]+(?![^\t-\r ])|[\t-\r ]+"

# Longer texts are cut into chunks of at least so many characters, so that few pieces are in memory at a time.
CHUNK = 1 << 16


@functools.cache
def unicode_splitter() -> Callable[[str], list[str]]:
    import regex  # here: it takes as long to import as all of this package

    return regex.compile(PATTERN).findall


@functools.cache
def ascii_splitter() -> Callable[[str], list[str]]:
    return re.compile(ASCII_PATTERN).findall


def split(text: str) -> list[str]:
    """The pieces of a text; joined they give it back.

    "I'll pay 12 €" -> ["I", "'ll", " pay", " 12", " €"]. What is a letter or a digit follows the Unicode version of
    the installed `regex`.
    """
    return ascii_splitter()(text) if text.isascii() else unicode_splitter()(text)


def chunks(text: str, start: int, stop: int) -> Iterator[str]:
    """text[start:stop] in parts with split(a + b) == split(a) + split(b) for neighbours a and b.

    A place between a character that is no white space and a space or line end is always a border between pieces:
    pieces have white space at their start only, and look ahead only from white space.
    """
    while stop - start > CHUNK:
        border = _border().search(text, start + CHUNK, stop)
        if border is None:
            break
        yield text[start : border.start() + 1]
        start = border.start() + 1
    if start < stop:
        yield text[start:stop]


@functools.cache
def _border() -> re.Pattern[str]:
    return re.compile(r"\S[ \n]")


@functools.cache
def byte_alphabet() -> str:
    """256 characters, the i-th stands for the byte `alphabet_bytes()[i]`, which has the id i.

    A vocabulary file holds text, tokens are bytes: each byte is written as one visible character. Printable bytes of
    Latin-1 stand for themselves and come first, the others follow as U+0100, U+0101 …: a space is "Ġ", "\\n" is "Ċ".
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return "".join(map(chr, printable)) + "".join(chr(0x100 + i) for i in range(256 - len(printable)))


@functools.cache
def alphabet_bytes() -> bytes:
    """The bytes in the order of `byte_alphabet()`: "!" is 0, a space 220."""
    printable = [ord(letter) for letter in byte_alphabet() if ord(letter) < 0x100]
    return bytes([*printable, *(byte for byte in range(256) if byte not in printable)])


def to_letters(token: bytes) -> str:
    """b" caf\\xc3\\xa9" -> "ĠcafÃ©", as vocabulary files write it."""
    return "".join([_letter_of()[byte] for byte in token])


def from_letters(token: str) -> bytes | None:
    """The inverse of to_letters; None if a character stands for no byte."""
    try:
        return bytes([_byte_of()[letter] for letter in token])
    except KeyError:
        return None


@functools.cache
def _letter_of() -> dict[int, str]:
    return dict(zip(alphabet_bytes(), byte_alphabet(), strict=True))


@functools.cache
def _byte_of() -> dict[str, int]:
    return dict(zip(byte_alphabet(), alphabet_bytes(), strict=True))
