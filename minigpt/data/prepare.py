"""From a text to token ids in two parts, ready for the trainer."""

from __future__ import annotations

import numpy as np

from .corpora import split_by_position
from .tokens import TokenData


def tokenize_and_split(text, tokenizer, block_size: int, val_fraction: float = 0.1) -> TokenData:
    """Encode the whole text, the first part for training, the last for validation.

    Raises TokenizerError for text outside the vocabulary, DataError if a part is shorter than block_size + 1 tokens.
    """
    ids = np.array(tokenizer.encode(text), dtype=np.min_scalar_type(max(tokenizer.vocab_size - 1, 0)))
    train_ids, val_ids = split_by_position(ids, val_fraction, min_tokens=block_size + 1)
    return TokenData(train_ids, val_ids, block_size)
