"""Tokenizers: text to ids and back. `load_tokenizer(folder)` finds out which kind a folder holds."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import TokenizerError
from .base import Tokenizer
from .bpe import BPETokenizer
from .char import CharTokenizer
from .word import WordTokenizer

# Every kind; each knows a folder of its own by the names of its files.
KINDS: tuple[type[Tokenizer], ...] = (CharTokenizer, WordTokenizer, BPETokenizer)

__all__ = ["BPETokenizer", "CharTokenizer", "Tokenizer", "WordTokenizer", "find_tokenizer", "load_tokenizer"]


def load_tokenizer(folder: str | os.PathLike) -> Tokenizer:
    """The tokenizer that `tok.save(folder)` wrote, whatever its kind.

    Raises: TokenizerError if there is no such folder, no tokenizer in it, or more than one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise TokenizerError(f"no folder {folder}: wanted the folder that tok.save(folder) wrote")
    found = [kind for kind in KINDS if kind.found_in(folder)]
    wanted = ", ".join(kind.FILE for kind in KINDS)
    if not found:
        raise TokenizerError(
            f"no tokenizer in {folder}: wanted one of the files {wanted}; write one with tok.save(folder)"
        )
    if len(found) > 1:
        names = [name for kind in found for name in kind.file_names() if (folder / name).is_file()]
        raise TokenizerError(f"{folder} holds more than one tokenizer, {' and '.join(names)}: delete the stale file")
    return found[0].load(folder)


def find_tokenizer(folder: str | os.PathLike) -> Tokenizer | None:
    """load_tokenizer, or None where the folder holds no tokenizer file at all."""
    return load_tokenizer(folder) if any(kind.found_in(folder) for kind in KINDS) else None
