"""Corpora by name or path, and the split into a training and a validation part.

`load_corpus("python")` and `load_corpus("chinese")` need no network: the prose that CPython carries for
`help("topics")`, and small scenes that a grammar writes.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, DataError, ShapeError
from .chinese import chinese_scenes
from .text import read_folder, read_text

PROSE, SCENES = "python", "chinese"
# Shorter paragraphs ("For example:", a heading) only introduce the one that follows.
SHORT_PARAGRAPH = 50  # characters


@dataclass(frozen=True)
class Corpus:
    """A text with its name and a line on where it comes from and under which terms."""

    name: str
    text: str
    source: str


def load_corpus(name_or_path: str | os.PathLike) -> Corpus:
    """The corpus of that name, or the text of that file or folder.

    Names: "python" (`python_prose`), "chinese" (`chinese_scenes`) and those in `minigpt.data.fetch.DOWNLOADS`,
    once fetched. Anything else is a path to a UTF-8 text file, or to a folder whose *.txt, *.md and *.rst files
    are joined. A file that has the name of a corpus is reached as "./python".
    Raises: DataError (not fetched yet, missing, empty, binary, not UTF-8, folder without text files).
    """
    name = os.fspath(name_or_path)
    if name == PROSE:
        return Corpus(PROSE, python_prose(), "documentation of Python, pydoc_data.topics (PSF-2.0 licence)")
    if name == SCENES:
        return Corpus(SCENES, chinese_scenes(), "written by a grammar, minigpt/data/chinese.py (licence of minigpt)")
    from . import fetch  # here: what can reach the network takes as long to import as the rest of this package

    if name in fetch.DOWNLOADS:
        download = fetch.DOWNLOADS[name]
        return Corpus(name, read_text(fetch.fetched_file(name)), f"{download.url} ({download.licence})")
    path = Path(name)
    if path.is_dir():
        return Corpus(path.resolve().name, read_folder(path), f"folder {path}")
    if not path.exists():
        names = [PROSE, SCENES, *fetch.DOWNLOADS]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(
            f"no corpus and no file {name!r} (looked from {Path.cwd()}): wanted one of the names "
            f"{', '.join(names)}, or the path of a UTF-8 text file or folder{hint}"
        )
    return Corpus(path.stem, read_text(path), f"file {path}")


def python_prose() -> str:
    """The reference prose of the running Python: about 340,000 characters, 103 distinct (Python 3.11).

    All topics of `pydoc_data.topics` in sorted order, less what would make a validation loss look too good:
    topics overlap, and a paragraph that stands in both parts is remembered, not predicted. Left out are
    1. tables, whose rules and padding repeat by the thousand and teach nothing;
    2. paragraphs seen before; compared without case, white space and heading underlines;
    3. a repeated short paragraph only where the paragraph that it introduces goes too.
    Measured on Python 3.11.7, 90/10 split by position: of the 50-character windows of the validation part,
    11.3 % occur in the training part before, 0.14 % after (0.13 to 0.14 % on 3.10, 3.12 and 3.13).

    The text differs between Python versions, so do losses on it. Raises: DataError if this Python lacks
    `pydoc_data` (some distributions strip it).
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError(
            "this Python has no pydoc_data (some distributions leave it out), so no corpus 'python': use a "
            "Python from python.org or conda, or other text: a file, or `minigpt data fetch tinyshakespeare`"
        ) from None
    return prose_from_topics(topics)


def prose_from_topics(topics: dict[str, str]) -> str:
    """The paragraphs of all topics in sorted order, without tables and repeats; see `python_prose`."""
    whole = "\n\n".join(topics[name] for name in sorted(topics))
    lines = [line.rstrip() for line in whole.split("\n") if not _is_table_line(line)]
    paragraphs = [part.strip("\n") for part in re.split(r"\n{2,}", "\n".join(lines)) if part.strip()]

    keys = [_comparison_key(paragraph) for paragraph in paragraphs]
    seen: set[str] = set()
    leave_out = []
    for key in keys:
        leave_out.append(key in seen)
        seen.add(key)
    # Backwards, so that a heading above a lead-in above a paragraph follows it too.
    for i in range(len(keys) - 2, -1, -1):
        if leave_out[i] and len(keys[i]) < SHORT_PARAGRAPH:
            leave_out[i] = leave_out[i + 1]
    kept = [paragraph for paragraph, out in zip(paragraphs, leave_out, strict=True) if not out]
    return "\n\n".join(kept) + "\n"


def _is_table_line(line: str) -> bool:
    """A row "| a | b |" or a rule "+---+---+"; grammar lines such as `| expression` have no right border."""
    line = line.strip()
    return len(line) > 1 and line[0] in "|+" and line[-1] in "|+"


def _comparison_key(paragraph: str) -> str:
    """What two copies of a paragraph share: its words in lower case, without the underline of a heading."""
    lines = [line for line in paragraph.split("\n") if line.strip(' *=-~^"+#')]
    return " ".join(" ".join(lines).split()).casefold()


def split_by_position(ids: Any, val_fraction: float = 0.1, min_tokens: int = 2) -> tuple[Any, Any]:
    """Cut a text into (train, val): contiguous, in order, no overlap; the last part validates.

    `ids` is 1-D (N,): an array or memory map (the parts are views), a list, or the text itself. Cutting by
    position, not at random, keeps overlapping windows out of different parts. `min_tokens` is the least
    either part may hold: block_size + 1, for one window and its targets.
    Raises: ArgumentError for a fraction outside (0, 1); ShapeError; DataError if a part would be too short.
    """
    if not isinstance(val_fraction, (int, float)) or not 0 < val_fraction < 1:
        raise ArgumentError(
            f"val_fraction needs a number between 0 and 1, got {val_fraction!r}; to train without a "
            "validation part pass the whole text to TokenData(ids)"
        )
    if getattr(ids, "ndim", 1) != 1:
        raise ShapeError(f"split_by_position needs one row of ids, shape (N,), got shape {ids.shape}")
    n = len(ids)
    n_train = int(n * (1 - val_fraction))
    shorter = min(n_train, n - n_train)
    if shorter < min_tokens:
        wanted = math.ceil(min_tokens / min(val_fraction, 1 - val_fraction))
        fits = f"block_size of at most {shorter - 1}" if shorter > 1 else "no block_size at all"
        raise DataError(
            f"the text is too short: {n} tokens split into {n_train} for training and {n - n_train} for "
            f"validation (val_fraction {val_fraction}), but each part needs at least {min_tokens} "
            f"(block_size + 1). This text fits a {fits}; for the wanted one it needs about {wanted} tokens"
        )
    return ids[:n_train], ids[n_train:]
