"""Tasks of pairs: right answers, no input in two parts, the same from the same seed."""

from datetime import datetime

import pytest

import minigpt as mg
from minigpt.data import split_of
from minigpt.data.pair_tasks import LONGEST, PAIR_TASKS, pair_task


@pytest.mark.parametrize("name", PAIR_TASKS)
def test_parts_share_no_source(name):
    make = pair_task(name)
    train, test = ({pair.source for pair in make(split, 300, 0)} for split in ("train", "test"))
    assert not train & test
    assert len(test) == 300
    assert list(make("train", 5, 1)) == list(make("train", 5, 1)) != list(make("train", 5, 2))


def test_copy_and_reverse():
    copied, reversed_ = (list(PAIR_TASKS[name]("train", 400, 0)) for name in ("copy", "reverse"))
    assert all(pair.target == pair.source for pair in copied)
    assert all(pair.target == pair.source[::-1] for pair in reversed_)
    assert {len(pair.source) for pair in copied} == set(range(1, LONGEST + 1))
    assert set("".join(pair.source for pair in copied)) == set("abcdefghijklmnopqrstuvwxyz")


def test_dates_of_both_forms():
    forms = set()
    for pair in PAIR_TASKS["dates"]("test", 200, 0):
        form = "%B %d, %Y" if "," in pair.source else "%d %B %Y"
        forms.add(form)
        assert datetime.strptime(pair.source, form).date().isoformat() == pair.target
        assert split_of(pair.target) == "test"  # both forms of a day are in one part
    assert len(forms) == 2


def test_unknown_task():
    with pytest.raises(mg.ArgumentError, match="there is no task 'sort' of pairs; there are copy, reverse"):
        pair_task("sort")
