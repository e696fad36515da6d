"""VerbatimSearch against plain Python, and its borders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.data.verbatim import VerbatimSearch
from minigpt.errors import ArgumentError, ShapeError


def windows(row, length):
    return {tuple(row[i : i + length]) for i in range(len(row) - length + 1)}


few_ids = st.lists(st.integers(0, 2), max_size=40)  # few different ids: many repeats


@given(few_ids, st.lists(few_ids, max_size=4), st.integers(1, 12))
def test_against_plain_python(text, sequences, length):
    search = VerbatimSearch(np.array(text, int), [np.array(row, int) for row in sequences])
    known = windows(text, length)
    found = search.occurs(length)
    assert len(found) == len(sequences)
    for row, hits in zip(sequences, found, strict=True):
        assert hits.tolist() == [tuple(row[i : i + length]) in known for i in range(len(row) - length + 1)]
    longest = max(
        (n for row in sequences for n in range(1, len(row) + 1) if windows(row, n) & windows(text, n)), default=0
    )
    run = search.longest()
    assert run.length == longest
    if longest:
        row = sequences[run.sequence]
        assert row[run.start : run.start + longest] == text[run.in_text : run.in_text + longest] != []


def test_a_planted_passage_is_found(rng):
    text = rng.integers(0, 50, 20_000)
    row = np.concatenate([rng.integers(0, 50, 300), text[5000:5137], rng.integers(0, 50, 300)])
    row[300 + 137] = (text[5137] + 1) % 50  # so that the run ends there …
    row[299] = (text[4999] + 1) % 50  # … and begins where it was planted
    search = VerbatimSearch(text, [rng.integers(0, 50, 100), row])
    assert search.longest() == (137, 1, 300, 5000)
    hits = search.occurs(50)
    assert not hits[0].any()
    np.testing.assert_array_equal(np.flatnonzero(hits[1]), np.arange(300, 300 + 137 - 50 + 1))


def test_a_run_does_not_reach_over_a_border():
    """Neither from one sequence into the next, nor from the end of the text into the first sequence."""
    search = VerbatimSearch([1, 2, 3, 4], [[1, 2], [3, 4], [1, 2]])
    assert search.longest().length == 2
    assert [hits.tolist() for hits in search.occurs(3)] == [[], [], []]
    assert VerbatimSearch([7, 8], [[8, 7, 8, 7, 8]]).longest().length == 2


def test_one_token_all_the_way():
    """The worst case for methods that compare letter by letter."""
    run = VerbatimSearch(np.zeros(100_000, int), [np.zeros(30_000, int)]).longest()
    assert run == (30_000, 0, 0, 0)


def test_nothing_to_search():
    assert VerbatimSearch([1, 2], []).occurs(1) == []
    assert VerbatimSearch([1, 2], []).longest().length == 0
    assert VerbatimSearch([], [[1, 2]]).longest().length == 0
    assert VerbatimSearch([], [[1, 2]]).occurs(1)[0].tolist() == [False, False]
    assert VerbatimSearch([1], [[]]).occurs(1)[0].tolist() == []


@pytest.mark.parametrize("length", [0, -1, 1.5, True])
def test_bad_length(length):
    with pytest.raises(ArgumentError, match="at least 1"):
        VerbatimSearch([1], [[1]]).occurs(length)


def test_bad_ids():
    with pytest.raises(ShapeError, match=r"ids needs one row .*\(1, 2\)"):
        VerbatimSearch([[1, 2]], [])
    with pytest.raises(ShapeError, match=r"sequences\[1\] .*float64"):
        VerbatimSearch([1], [[1], [0.5]])
    with pytest.raises(ArgumentError, match="from 0 up"):
        VerbatimSearch([1], [[-1]])
