"""A file of records as a task: its parts are chosen by what a record says, its answers compared letter by letter."""

from __future__ import annotations

import os
from collections.abc import Iterator

from .conversation import Conversation
from .records import Labelled, read_records
from .splits import SPLITS, check_split, split_of
from .tasks.base import exact_match


class FileTask:
    """The records of a .tsv or .jsonl file. A text with a label becomes a question with a one-word answer.

    n_in: how many records each part has
    Raises: DataError (see records.py)
    """

    def __init__(self, path: str | os.PathLike):
        self._parts: dict[str, list[Conversation | Labelled]] = {split: [] for split in SPLITS}
        for record in read_records(path):
            self._parts[split_of(record.key)].append(record)
        self.n_in = {split: len(records) for split, records in self._parts.items()}

    def examples(self, split, n, rng) -> Iterator[Conversation]:
        """The first n records of a part, in the order of the file; rng makes no difference."""
        for record in self._part(split, n):
            yield Conversation.exchange(record.text, record.label) if isinstance(record, Labelled) else record

    def labelled(self, split, n, rng) -> Iterator[Labelled]:
        """The first n texts with labels of a part."""
        return (record for record in self._part(split, n) if isinstance(record, Labelled))

    def _part(self, split, n):
        check_split(split)
        return self._parts[split][:n]

    def score(self, example, answer):
        return exact_match(example, answer)
