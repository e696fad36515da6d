"""Records from files: labelled texts and dialogues, one at a time, however long the file.

    reviews.tsv     text <tab> label          the first line names the columns, in any order; others are passed over
    answers.tsv     prompt <tab> reply
    chats.jsonl     one JSON object a line: {"messages": [{"role": …, "content": …}, …]}, or {"prompt": …, "reply": …},
                    or {"text": …, "label": …}

Quotes in TSV follow the rule of spreadsheets (RFC 4180, with tabs for commas): a field that begins with a double quote
ends at the next lone one, and may hold tabs, line breaks, and doubled quotes, which stand for one each. Anywhere else
in a field a quote is an ordinary character.

Files are UTF-8, with or without a byte order mark; lines end with LF, CRLF or CR. Blank lines are passed over.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import FileGroup
from .conversation import Conversation
from .text import numbered_lines

KINDS = (("text", "label"), ("prompt", "reply"))  # the columns that a kind of record needs


@dataclass(frozen=True)
class Labelled:
    """A text and its class, for classifiers."""

    text: str
    label: str

    @property
    def key(self) -> str:
        """What the label follows from, for splits."""
        return self.text


Record = Conversation | Labelled


def read_records(path: str | os.PathLike) -> Iterator[Record]:
    """The records of a .tsv or .jsonl file, as they are read. Raises: DataError, also for another suffix."""
    readers = {".tsv": read_tsv, ".jsonl": read_jsonl}
    suffix = Path(path).suffix.lower()
    if suffix not in readers:
        raise DataError(f"{path}: records are read from .tsv and .jsonl files, this one ends with {suffix!r}")
    return readers[suffix](path)


def read_tsv(path: str | os.PathLike) -> Iterator[Record]:
    """Labelled for columns text and label, Conversation for prompt and reply; see the top of this file.

    Raises: DataError with line and column: no such columns, wrong number of fields, empty text, a quote without end,
            not UTF-8; if the file holds no record.
    """
    lines = _Lines(path)
    rows = _rows(lines)
    header = next(rows, None)
    if header is None:
        raise DataError(f"{path} is empty: wanted a first line that names the columns, such as text<tab>label")
    names = [name.strip() for name in header]
    kind = _kind_of(lines.where(), names)
    count = 0
    for fields in rows:
        if len(fields) != len(names):
            raise DataError(
                f"{lines.where()}: wanted {len(names)} fields ({', '.join(names)}), got {len(fields)}"
                + (f": column {names[len(fields)]!r} is missing" if len(fields) < len(names) else "")
                + "; a field that holds a tab needs double quotes around it"
            )
        yield _record(lines.where(), kind, dict(zip(names, fields, strict=True)))
        count += 1
    if count == 0:
        raise DataError(f"{path} holds no record, only the names of its columns ({', '.join(names)})")


def read_jsonl(path: str | os.PathLike) -> Iterator[Record]:
    """Conversation for messages, or for prompt and reply; Labelled for text and label; see the top of this file.

    Raises: DataError with line and column, or line and key: no JSON, no such keys, unknown role, roles out of turn,
            empty text, not UTF-8; if the file holds no record.
    """
    count = 0
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            entry = json.loads(line.removesuffix("\n"))  # else an end too early counts as column 1 of the next line
        except json.JSONDecodeError as error:
            raise DataError(f"{where}, column {error.colno}: no valid JSON: {error.msg}") from None
        except RecursionError:
            raise DataError(f"{where}: no valid JSON: nested too deeply") from None
        if not isinstance(entry, dict):
            raise DataError(f'{where}: wanted an object {{"messages": …}}, got {type(entry).__name__}')
        yield _conversation(where, entry) if "messages" in entry else _record(where, _kind_of(where, entry), entry)
        count += 1
    if count == 0:
        raise DataError(f"{path} holds no record: wanted one JSON object a line")


def write_jsonl(path: str | os.PathLike, conversations: Iterable[Conversation]) -> None:
    """One line {"messages": …} for each conversation, which read_jsonl reads back if it ends with the assistant.

    The file appears whole or not at all. Raises: CheckpointError if that fails, DataError for half a character.
    """
    lines = []
    for conversation in conversations:
        messages = [{"role": message.role, "content": message.content} for message in conversation.messages]
        lines.append(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
    path = Path(path)
    try:
        content = "".join(lines).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: a message holds {error.object[error.start]!r}, half a character") from None
    with FileGroup(path.parent) as files:
        files.bytes(path.name, content)


class _Lines:
    """The lines of a file, which knows where the record being read begins."""

    def __init__(self, path):
        self.path, self.first, self.last = path, 1, 0
        self._lines = numbered_lines(path)

    def __iter__(self):
        for number, line in self._lines:
            self.last = number
            yield line

    def where(self) -> str:
        return f"{self.path}, line {self.first}"


def _rows(lines: _Lines) -> Iterator[list[str]]:
    """The fields of each line that is not blank; `lines.first` is then the number of the line where they began."""
    reader = csv.reader(lines, delimiter="\t", quotechar='"', doublequote=True, strict=True)
    while True:
        lines.first = lines.last + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{lines.where()}: {_quoting(str(error))}") from None
        if len(fields) > 1 or (fields and fields[0].strip()):
            yield fields


def _quoting(reason: str) -> str:
    never_ends = 'a field begins with a double quote that never ends; write a quote that begins a text as """'
    if "unexpected end of data" in reason:
        return never_ends
    if "field limit" in reason:
        return f"a field of more than {csv.field_size_limit():,} characters; maybe {never_ends}"
    if "expected after" in reason:
        return (
            "a field goes on after its closing double quote: around the whole field, and doubled inside it, is how "
            'quotes are written: "She said ""no""."'
        )
    return reason


def _kind_of(where: str, names: Iterable[str]) -> tuple[str, str]:
    """Which of KINDS the columns are."""
    names = list(names)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{where}: column {twice[0]!r} is there more than once")
    found = [kind for kind in KINDS if set(kind) <= set(names)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{where}: columns of two kinds, text and label as well as prompt and reply; keep one kind")
    half = [(have, lacks) for kind in KINDS for have, lacks in (kind, kind[::-1]) if have in names]
    got = ", ".join(map(repr, names)) or "none"
    missing = f"column {half[0][1]!r} is missing" if half else "no columns text and label, or prompt and reply"
    raise DataError(f"{where}: {missing}; got {got}")


def _record(where: str, kind: tuple[str, str], values: dict[str, Any]) -> Record:
    first, second = (_text(where, name, values[name], number_allowed=name == "label") for name in kind)
    return Labelled(first, second) if kind == KINDS[0] else Conversation.exchange(first, second)


def _text(where: str, name: str, value: Any, number_allowed: bool) -> str:
    if number_allowed and isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # classes are often numbered
    if not isinstance(value, str):
        raise DataError(f"{where}, column {name!r}: wanted text, got {type(value).__name__} {str(value)[:40]!r}")
    if not value.strip():
        raise DataError(f"{where}, column {name!r}: the text is empty")
    return value


def _conversation(where: str, entry: dict[str, Any]) -> Conversation:
    try:
        conversation = Conversation.of(entry["messages"])
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    if conversation.messages[-1].role != "assistant":
        raise DataError(f"{where}: messages: the last one needs to be the assistant's, it is what a model learns")
    return conversation
