"""Merging one piece: both ways of doing it against the definition, on tables of merges drawn at random."""

import random
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minigpt.tokenizers.bpe_merge import LONG, merge, merge_long, steps


def by_definition(ids, ranks, products):
    """Again and again: look at all pairs, join the one of the lowest rank, the leftmost of equals."""
    ids = list(ids)
    while True:
        found = [(ranks[pair], i) for i, pair in enumerate(pairwise(ids)) if pair in ranks]
        if not found:
            return ids
        rank, i = min(found)
        ids = [*ids[:i], products[rank], *ids[i + 2 :]]


@st.composite
def tables(draw):
    """Merges of 4 letters; in half of the tables a product may be used by a merge of lower rank than its own."""
    pairs, products, n = [], [], 4
    for _ in range(draw(st.integers(0, 12))):
        pair = (draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1)))
        if pair not in pairs:
            pairs.append(pair)
            products.append(n)
            n += 1
    order = draw(st.permutations(range(len(pairs)))) if draw(st.booleans()) else range(len(pairs))
    ranks = {pairs[i]: rank for rank, i in enumerate(order)}
    return ranks, [products[i] for i in order]


PIECES = st.lists(st.integers(0, 3), max_size=40) | st.lists(st.integers(0, 1), max_size=60)


@given(PIECES, tables())
@example([0] * 7, ({(0, 0): 0, (4, 4): 1, (4, 0): 2}, [4, 5, 6]))
@example([0, 1, 0, 1], ({(4, 0): 0, (0, 1): 1}, [5, 4]))  # after one (0, 1) the pair (4, 0) comes before the other
@example([], ({}, []))
def test_merge_is_the_definition(ids, table):
    wanted = by_definition(ids, *table)
    assert merge(list(ids), *table) == wanted
    assert merge_long(list(ids), *table) == wanted


@given(st.integers(0, 2**32), tables())
def test_long_pieces_go_the_other_way_and_come_out_the_same(seed, table):
    letters = random.Random(seed)
    ids = letters.choices(range(4), k=LONG + letters.randrange(100))
    assert merge(list(ids), *table) == by_definition(ids, *table)


@given(PIECES, tables())
def test_steps_tell_each_merge(ids, table):
    ranks, products = table
    now, replayed = list(ids), list(ids)
    for rank, i in steps(now, ranks, products):
        assert ranks[replayed[i], replayed[i + 1]] == rank
        replayed[i : i + 2] = [products[rank]]
        assert now == replayed
    assert now == by_definition(ids, ranks, products)


@pytest.mark.parametrize("n", [1, 2, 3, 4096, 4097])
def test_runs_of_one_letter(n):
    ranks = {(i, i): i for i in range(12)}  # 0 0 -> 1, 1 1 -> 2, …: the binary digits of n
    ids = merge([0] * n, ranks, list(range(1, 13)))
    assert ids == [i for i in reversed(range(13)) if n >> i & 1]
