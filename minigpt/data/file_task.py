"""A file of records as a task: its parts are chosen by what a record says, its answers compared letter by letter."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..errors import DataError
from .conversation import Conversation
from .records import Labelled, read_records
from .splits import SPLITS, check_split, split_of
from .tasks.base import exact_match


class FileTask:
    """The records of a .tsv or .jsonl file. A text with a label becomes a question with a one-word answer.

    n_in: how many records each part has
    Raises: DataError (see records.py; a part without records, except "val")
    """

    def __init__(self, path: str | os.PathLike):
        self.path = path
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
        if split != "val" and not self._parts[split]:  # without validation a model can be trained, so that may be empty
            raise DataError(
                f"{self.path}: none of its {sum(self.n_in.values())} records is in the part {split!r}; what a record "
                "says chooses its part, about one in ten is for testing and eight to learn from: add records"
            )
        return self._parts[split][:n]

    def score(self, example, answer):
        return exact_match(example, answer)
