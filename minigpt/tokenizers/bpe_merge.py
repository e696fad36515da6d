"""Byte-pair encoding of one piece: merge the adjacent pair of the lowest rank, the leftmost of equals, and again,
until no pair has a rank (Sennrich et al. 2016, section 3.2).

A table of merges is `ranks`, (left id, right id) -> rank, and `products`, rank -> id of the joined token.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import pairwise

NEVER = 1 << 62  # the rank of a pair that is not in the table
# Above this many bytes the heap is faster than looking through the whole piece for each merge (measured).
LONG = 50

Ranks = dict[tuple[int, int], int]


def steps(ids: list[int], ranks: Ranks, products: list[int]) -> Iterator[tuple[int, int]]:
    """Do it to `ids`, in place; yields (rank, index of the joined token) after each merge."""
    rank_of = ranks.get
    pair_ranks = [rank_of(pair, NEVER) for pair in pairwise(ids)]  # one shorter than ids
    while pair_ranks:
        rank = min(pair_ranks)
        if rank == NEVER:
            return
        i = pair_ranks.index(rank)
        ids[i : i + 2] = [products[rank]]
        del pair_ranks[i]
        if i > 0:
            pair_ranks[i - 1] = rank_of((ids[i - 1], ids[i]), NEVER)
        if i < len(pair_ranks):
            pair_ranks[i] = rank_of((ids[i], ids[i + 1]), NEVER)
        yield rank, i


def merge(ids: list[int], ranks: Ranks, products: list[int]) -> list[int]:
    """The ids that are left when all merges are done."""
    if len(ids) > LONG:
        return merge_long(ids, ranks, products)
    for _ in steps(ids, ranks, products):
        pass
    return ids


def merge_long(ids: list[int], ranks: Ranks, products: list[int]) -> list[int]:
    """The same in O(n log n): a linked list of tokens and a heap of (rank, position of the left token).

    A token stands at the position of its first byte; entries of the heap whose pair has gone are passed over.
    """
    n = len(ids)
    after = list(range(1, n + 1))  # position of the next token; n is the end
    before = list(range(-1, n - 1))
    heap: list[tuple[int, int]] = []

    def offer(left: int) -> None:
        rank = ranks.get((ids[left], ids[after[left]]))
        if rank is not None:
            heapq.heappush(heap, (rank, left))

    for position in range(n - 1):
        offer(position)
    while heap:
        rank, left = heapq.heappop(heap)
        right = after[left]
        if right == n or ids[left] < 0 or ranks.get((ids[left], ids[right])) != rank:
            continue
        ids[left], ids[right] = products[rank], -1  # -1: swallowed
        after[left] = after[right]
        if after[left] < n:
            before[after[left]] = left
            offer(left)
        if before[left] >= 0:
            offer(before[left])
    return [token_id for token_id in ids if token_id >= 0]
