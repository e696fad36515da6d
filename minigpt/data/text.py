"""Reading text files and folders, with errors that say what is wrong with a file and how to repair it.

Text is UTF-8. A byte order mark is dropped and line ends become "\\n", so that a file gives the same ids on
every platform.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError

TEXT_SUFFIXES = (".txt", ".md", ".rst")


def read_text(path: str | os.PathLike) -> str:
    """The text of a UTF-8 file.

    Raises: DataError if the file is missing, a folder, empty (or blank), binary (NUL bytes), or not UTF-8
    (names the byte offset and the line).
    """
    path = Path(path)
    text = _decode(_read_bytes(path), path)
    if not text.strip():
        raise DataError(f"{path} holds no text ({path.stat().st_size} bytes): wanted a UTF-8 text file")
    return text


def numbered_lines(path: str | os.PathLike) -> Iterator[tuple[int, str]]:
    """(1, first line), (2, second line) … of a UTF-8 file, each ending with "\\n"; one line in memory at a time.

    Raises: the DataErrors of `read_text` but for a blank file, which has no lines to give.
    """
    path = Path(path)
    number, offset = 0, 0  # lines and bytes so far
    try:
        with open(path, "rb") as file:
            for data in file:
                text = _decode(data, path, offset, number + 1)
                for line in text.removesuffix("\n").split("\n"):  # more than one where lines end with "\r" alone
                    number += 1
                    yield number, line + "\n"
                offset += len(data)
    except OSError as error:
        raise _unreadable(path, error) from None


def read_folder(folder: str | os.PathLike) -> str:
    """All *.txt, *.md and *.rst files below `folder`, sorted by path and joined by blank lines.

    Blank files are left out, and so is whatever lies below a name that starts with a dot (.git, .venv).
    Raises: DataError if there is no such file with text in it, or if one cannot be read.
    """
    folder = Path(folder)
    paths = text_files(folder)
    texts = [_decode(_read_bytes(path), path).strip("\n") for path in paths]
    texts = [text for text in texts if text.strip()]
    if not texts:
        found = f"{len(paths)} such files, all of them blank" if paths else "none"
        raise DataError(f"no text in the folder {folder}: wanted files *.txt, *.md or *.rst, found {found}")
    return "\n\n".join(texts) + "\n"


def text_files(folder: Path) -> list[Path]:
    """Paths of the text files below `folder`, in an order that is the same on every platform."""
    if not folder.is_dir():
        raise DataError(f"no folder {folder}")
    found = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.suffix.lower() in TEXT_SUFFIXES and not hidden and path.is_file():
            found.append((relative.as_posix(), path))
    return [path for _, path in sorted(found)]


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"no file {path} (looked from the folder {Path.cwd()})")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{path} is a folder: wanted a text file")
    return DataError(f"cannot read {path}: {error.strerror or error}")


def _decode(data: bytes, path: Path, offset: int = 0, line: int = 1) -> str:
    """The text of a file, or of a part of it that starts at byte `offset` with line `line`."""
    if offset == 0 and data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is UTF-16, wanted UTF-8. {_how_to_convert(path, 'utf-16')}")
    nul = data.find(b"\x00")
    if nul >= 0:
        raise DataError(
            f"{path} is a binary file, not text: NUL byte at byte {offset + nul}. Wanted plain UTF-8 text; save a "
            "document (PDF, Word, …) as plain text first"
        )
    try:
        text = data.decode("utf-8-sig" if offset == 0 else "utf-8")  # -sig: drops a byte order mark
    except UnicodeDecodeError as error:
        # error.start does not count a byte order mark; error.object is what was left after it.
        start = error.start + len(data) - len(error.object)
        line += data.count(b"\n", 0, start)
        raise DataError(
            f"{path} is not UTF-8: byte 0x{data[start]:02X} at byte {offset + start} (line {line}). Likely an older "
            f"encoding such as Latin-1 or Windows-1252. {_how_to_convert(path, 'cp1252')}"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _how_to_convert(path: Path, encoding: str) -> str:
    target = path.with_name(f"{path.stem}-utf8{path.suffix}")
    return (
        f"Convert it in Python: from pathlib import Path; Path({str(target)!r})"
        f".write_text(Path({str(path)!r}).read_text({encoding!r}), encoding='utf-8')"
    )
