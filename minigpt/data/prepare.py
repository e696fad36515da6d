"""From a text to token ids in two parts, ready for the trainer."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..tokenizers import BPETokenizer, CharTokenizer, Tokenizer, WordTokenizer
from .corpora import split_by_position
from .tokens import TokenData

DEFAULT_VOCAB_SIZE = 1024  # of bpe


def _char(text: str, vocab_size: int | None, val_fraction: float, progress: bool | None) -> Tokenizer:
    if vocab_size is not None:
        raise ArgumentError(
            "vocab_size is for the bpe and word tokenizers: a char vocabulary has as many ids as the text letters"
        )
    return CharTokenizer.train(text)


def _bpe(text: str, vocab_size: int | None, val_fraction: float, progress: bool | None) -> Tokenizer:
    """From the training part alone: merges that fit the validation part would make its loss look too good."""
    train_text, _ = split_by_position(text, val_fraction)
    return BPETokenizer.train(train_text, DEFAULT_VOCAB_SIZE if vocab_size is None else vocab_size, progress=progress)


def _word(text: str, vocab_size: int | None, val_fraction: float, progress: bool | None) -> Tokenizer:
    """From the training part alone, so words of the validation part may be unknown, as those of other texts are."""
    train_text, _ = split_by_position(text, val_fraction)
    return WordTokenizer.train(train_text, min_freq=2, max_size=vocab_size)


TOKENIZERS = {"char": _char, "word": _word, "bpe": _bpe}


def train_tokenizer(
    kind: str, text: str, vocab_size: int | None = None, val_fraction: float = 0.1, progress: bool | None = None
) -> Tokenizer:
    """A new tokenizer for a corpus: "char"; "bpe" or "word" with up to vocab_size ids, words that occur twice or more.

    Raises: ArgumentError for another kind, or a vocab_size for char; TokenizerError for one that is too small.
    """
    if not isinstance(kind, str) or kind not in TOKENIZERS:
        raise ArgumentError(f"no tokenizer {kind!r}: wanted {', '.join(TOKENIZERS)}")
    return TOKENIZERS[kind](text, vocab_size, val_fraction, progress)


def tokenize_and_split(text, tokenizer, block_size: int, val_fraction: float = 0.1) -> TokenData:
    """Encode the whole text, the first part for training, the last for validation.

    Raises TokenizerError for text outside the vocabulary, DataError if a part is shorter than block_size + 1 tokens.
    """
    ids = np.array(tokenizer.encode(text), dtype=np.min_scalar_type(max(tokenizer.vocab_size - 1, 0)))
    train_ids, val_ids = split_by_position(ids, val_fraction, min_tokens=block_size + 1)
    return TokenData(train_ids, val_ids, block_size)
