"""Texts with a class, and words with tags, as ids and targets for a classifier: `Rendered.from_targets` takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import DataError
from ..tokenizers import Tokenizer
from .records import Labelled
from .rendered import NO_LOSS, Rendered
from .tasks.tagging import Tagged

Target = tuple[np.ndarray, np.ndarray]


def label_target(record: Labelled, tok: Tokenizer, classes: Sequence[str]) -> Target:
    """(ids (T,), targets (T,)): the number of the label at the last token. Raises DataError for an unknown label."""
    ids = np.array(tok.encode(record.text, allow_special=False), np.int64)
    targets = np.full(len(ids), NO_LOSS, np.int64)
    targets[-1] = _number(record.label, classes)
    return ids, targets


def tag_target(record: Tagged, tok: Tokenizer, tags: Sequence[str]) -> Target:
    """(ids (T,), targets (T,)): the number of each word's tag at the last token of the word."""
    pieces = [tok.encode(" " * (i > 0) + word, allow_special=False) for i, word in enumerate(record.words)]
    ids = np.array([token for piece in pieces for token in piece], np.int64)
    targets = np.full(len(ids), NO_LOSS, np.int64)
    ends = np.cumsum([len(piece) for piece in pieces]) - 1
    targets[ends] = [_number(tag, tags) for tag in record.tags]
    return ids, targets


def class_data(records: Iterable[Labelled | Tagged], tok: Tokenizer, classes: Sequence[str]) -> Rendered:
    """Records of either kind, ready for BucketedData."""
    return Rendered.from_targets(
        tag_target(record, tok, classes) if isinstance(record, Tagged) else label_target(record, tok, classes)
        for record in records
    )


def _number(name: str, classes: Sequence[str]) -> int:
    if name not in classes:
        raise DataError(f"{name!r} is none of the classes {', '.join(classes)}, which are those of the training part")
    return classes.index(name)
