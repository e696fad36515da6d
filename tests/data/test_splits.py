"""Splits by hash: stable, independent of order, about as large as asked for."""

import itertools
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.data import Conversation, Labelled, in_split, split_of
from minigpt.errors import ArgumentError

RECORDS = [Labelled(f"text {i}", "x") for i in range(2000)]


def test_known_places():
    """A change of the hash would silently move test inputs into the training part of who updates."""
    parts = [split_of(f"text {i}") for i in range(12)]
    assert parts == ["train", "train", "val", *["train"] * 4, "test", *["train"] * 4]


def test_another_process_agrees():
    """Python's own hash of a str differs between processes."""
    code = "from minigpt.data import split_of; print(*[split_of(f'text {i}') for i in range(200)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [split_of(f"text {i}") for i in range(200)]


def test_parts_are_disjoint_complete_and_of_the_sizes_asked_for():
    parts = {name: list(in_split(RECORDS, name)) for name in ("train", "val", "test")}
    assert sorted(itertools.chain(*parts.values()), key=RECORDS.index) == RECORDS
    for (name, part), share in zip(parts.items(), (0.8, 0.1, 0.1), strict=True):
        assert abs(len(part) - 2000 * share) < 4 * (2000 * share * (1 - share)) ** 0.5, name


def test_order_makes_no_difference():
    forth = set(in_split(RECORDS, "test"))
    assert set(in_split(reversed(RECORDS), "test")) == forth
    assert set(in_split(RECORDS[::2], "test")) == forth & set(RECORDS[::2])


def test_other_fractions_and_salts():
    train = set(in_split(RECORDS, "train", (0.5, 0.25, 0.25)))
    assert train < set(in_split(RECORDS, "train"))  # a larger share keeps what a smaller one had
    assert train != set(in_split(RECORDS, "train", (0.5, 0.25, 0.25), salt="other"))
    assert set(in_split(RECORDS, "val", (0, 1, 0))) == set(RECORDS)


@given(st.text())
def test_copies_that_differ_in_space_or_case_stay_together(key):
    assert split_of(f"  {key}\n") == split_of(key)
    assert split_of(f"A {key}") == split_of(f"a\t\n{key}")


def test_answers_do_not_count():
    """The same question with two answers in two parts would be trained on and tested."""
    for i in range(50):
        prompt = f"question {i}"
        assert split_of(Conversation.exchange(prompt, "yes").key) == split_of(Conversation.exchange(prompt, "no").key)


@pytest.mark.parametrize("fractions", [(0.8, 0.2), (0.8, 0.1, 0.2), (1.1, 0, -0.1), (0, 0, 0)])
def test_bad_fractions(fractions):
    with pytest.raises(ArgumentError, match="three numbers from 0 up with sum 1"):
        split_of("a", fractions)
    with pytest.raises(ArgumentError, match="three numbers"):
        in_split([], "train", fractions)


def test_bad_split():
    with pytest.raises(ArgumentError, match="one of train, val, test, got 'dev'"):
        in_split([], "dev")
