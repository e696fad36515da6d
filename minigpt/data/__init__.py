"""Data: corpora by name or path, downloads, and token ids in windows for training."""

from __future__ import annotations

from .corpora import Corpus, load_corpus, python_prose, split_by_position
from .prepare import tokenize_and_split, train_tokenizer
from .tokens import TokenData

__all__ = [
    "Corpus", "TokenData", "load_corpus", "python_prose", "split_by_position", "tokenize_and_split", "train_tokenizer",
]  # fmt: skip
