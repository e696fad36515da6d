"""A file of records as a task."""

import pytest

from minigpt.data import Conversation, Labelled, split_of
from minigpt.data.file_task import FileTask
from minigpt.errors import ArgumentError, DataError


def write(path, header, rows):
    path.write_text("\n".join(["\t".join(header), *("\t".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


def test_dialogues(tmp_path):
    rows = [(f"What is {i}?", str(i)) for i in range(200)]
    task = FileTask(write(tmp_path / "a.tsv", ("prompt", "reply"), rows))
    parts = {split: list(task.examples(split, 1000, None)) for split in ("train", "val", "test")}
    for split, examples in parts.items():
        assert all(split_of(e.key) == split for e in examples)
        assert len(examples) == task.n_in[split]
    assert sum(map(len, parts.values())) == 200
    assert all(len(examples) > 5 for examples in parts.values())
    assert list(task.examples("train", 3, 7)) == parts["train"][:3]  # in the order of the file
    assert list(task.labelled("train", 3, 7)) == []
    example = parts["test"][0]
    assert task.score(example, f" {example.reply} ") == 1.0
    assert task.score(example, example.reply + "0") == 0.0


def test_texts_with_labels(tmp_path):
    rows = [(f"text {i}", "even" if i % 2 == 0 else "odd") for i in range(60)]
    task = FileTask(write(tmp_path / "a.tsv", ("text", "label"), rows))
    labelled = list(task.labelled("train", 100, None))
    assert all(isinstance(record, Labelled) for record in labelled)
    asked = list(task.examples("train", 100, None))
    assert asked == [Conversation.exchange(r.text, r.label) for r in labelled]


def test_refused(tmp_path):
    task = FileTask(write(tmp_path / "a.tsv", ("prompt", "reply"), [("a", "b")]))
    with pytest.raises(ArgumentError, match="split is one of"):
        list(task.examples("dev", 3, None))
    with pytest.raises(DataError, match=r"tsv and \.jsonl"):
        FileTask(tmp_path / "a.csv")


def test_a_part_without_records_is_named(tmp_path):
    """Two records, both in one part: the others say so, but for validation, which training can do without."""
    rows = [("b", "1"), ("b", "2")]
    task = FileTask(write(tmp_path / "a.tsv", ("text", "label"), rows))
    (full,) = (split for split, n in task.n_in.items() if n)
    assert len(list(task.labelled(full, None, None))) == 2
    for split in {"train", "test"} - {full}:
        for ask in (task.examples, task.labelled):
            with pytest.raises(DataError, match=f"none of its 2 records is in the part '{split}'.*add records"):
                list(ask(split, 5, None))
    if full != "val":
        assert list(task.examples("val", 5, None)) == []
