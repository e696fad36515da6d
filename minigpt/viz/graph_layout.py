"""Where the boxes of a directed graph without cycles go: layers, order, places, edges.

The four steps of Sugiyama, Tagawa & Toda 1981, "Methods for visual understanding of hierarchical system structures",
each in its plainest form:

1. ranks      the longest path that leads to a node; then sources move down beside the first node that uses them
2. stations   an edge over several ranks passes an invisible node of width 0 in each rank between
3. order      sweeps down and up: nodes sort by the mean place (barycentre) of their neighbours in the rank before;
              the order with the fewest crossings is kept
4. places     a few sweeps pull every node towards the mean of its neighbours, as far as its own neighbours in the
              rank let it (isotonic regression by pooling, Barlow et al. 1972). Sources follow what uses them and do
              not pull: the chain of operations stays straight

Edges run from the bottom of a box over its stations to the top of the next.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from ..errors import ArgumentError

ORDER_SWEEPS, PLACE_SWEEPS = 12, 8
OF_OTHERS = 10.0  # how much more the place of a box or station counts than that of a source


class Layout(NamedTuple):
    """Places in the same unit as the sizes given, y downwards.

    boxes   node -> (x, y) of its middle
    routes  edge -> points [(x, y), …] from box to box; the ends lie on the boxes
    width, height   of the whole
    """

    boxes: dict
    routes: dict
    width: float
    height: float


def layout(sizes, edges, gap=18.0, rank_gap=34.0):
    """sizes: node -> (width, height); edges: (from, to) pairs, each once -> Layout. Raises ArgumentError for a cycle."""
    ranks = longest_paths(list(sizes), edges)
    chains = {}
    rows: list[list] = [[] for _ in range(1 + max(ranks.values(), default=0))]
    for node, rank in ranks.items():
        rows[rank].append(node)
    for a, b in edges:
        stations = [(a, b, rank) for rank in range(ranks[a] + 1, ranks[b])]
        for station in stations:
            rows[station[2]].append(station)
        chains[a, b] = [a, *stations, b]
    above: dict = {item: [] for row in rows for item in row}
    below: dict = {item: [] for row in rows for item in row}
    for chain in chains.values():
        for a, b in pairwise(chain):
            below[a].append(b)
            above[b].append(a)
    rows = ordered(rows, above, below)
    widths = {item: sizes[item][0] if item in sizes else 4.0 for row in rows for item in row}
    x = placed(rows, above, below, widths, gap)
    left = min((x[item] - widths[item] / 2 for item in x), default=0.0)
    width = max((x[item] + widths[item] / 2 for item in x), default=0.0) - left
    boxes, y, middle = {}, 0.0, {}
    for row in rows:
        tall = max((sizes[item][1] for item in row if item in sizes), default=0.0)
        for item in row:
            middle[item] = (x[item] - left, y + tall / 2)
        y += tall + rank_gap
    boxes = {node: middle[node] for node in sizes}
    routes = {}
    for (a, b), chain in chains.items():
        start = (boxes[a][0], boxes[a][1] + sizes[a][1] / 2)
        end = (boxes[b][0], boxes[b][1] - sizes[b][1] / 2)
        routes[a, b] = [start, *(middle[station] for station in chain[1:-1]), end]
    return Layout(boxes, routes, width, max(y - rank_gap, 0.0))


def longest_paths(nodes, edges):
    """node -> rank. Every edge leads to a higher rank; sources stand right above the first node that uses them."""
    users: dict = {node: [] for node in nodes}
    waiting = dict.fromkeys(nodes, 0)
    for a, b in edges:
        users[a].append(b)
        waiting[b] += 1
    sources = [node for node in nodes if not waiting[node]]
    ranks, ready = dict.fromkeys(nodes, 0), list(sources)
    for node in ready:  # grows while we walk: every node once, after all that lead to it
        for user in users[node]:
            ranks[user] = max(ranks[user], ranks[node] + 1)
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    if len(ready) < len(nodes):
        around = sorted(str(node) for node in set(nodes) - set(ready))
        raise ArgumentError(f"edges run in a cycle through {', '.join(around[:5])}; a computation has none")
    for node in sources:
        if users[node]:
            ranks[node] = min(ranks[user] for user in users[node]) - 1
    lowest = min(ranks.values(), default=0)
    return {node: rank - lowest for node, rank in ranks.items()}


def ordered(rows, above, below):
    """The rows, each in the order with the fewest crossings that the sweeps meet."""
    best, fewest = rows, crossings(rows, below)
    for sweep in range(ORDER_SWEEPS):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        rows = [list(row) for row in rows]
        steps = range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1)
        for k in steps:
            fixed = rows[k - 1] if downwards else rows[k + 1]
            place = {item: i for i, item in enumerate(fixed)}
            neighbours = above if downwards else below
            now = {item: i for i, item in enumerate(rows[k])}
            # without neighbours a node keeps its place
            rows[k].sort(key=lambda item: _mean([place[n] for n in neighbours[item]], now[item]))  # noqa: B023
        count = crossings(rows, below)
        if count < fewest:
            best, fewest = rows, count
    return best


def crossings(rows, below):
    """How many pairs of edges between neighbouring rows cross."""
    total = 0
    for upper, lower in pairwise(rows):
        place = {item: i for i, item in enumerate(lower)}
        ends: list[int] = []  # of the edges so far, sorted by where they start
        for item in upper:
            own = sorted(place[n] for n in below[item])
            total += sum(sum(other > end for other in ends) for end in own)
            ends += own
    return total


def placed(rows, above, below, widths, gap):
    """item -> x of its middle; neighbours in a row stand at least `gap` apart."""
    x: dict = {}
    for row in rows:
        at = 0.0
        for item in row:
            x[item] = at + widths[item] / 2
            at += widths[item] + gap
        for item in row:
            x[item] -= at / 2  # rows start centred on 0
    pulling = {item: [n for n in inputs if above[n]] or inputs for item, inputs in above.items()}
    weights = {item: OF_OTHERS if above[item] else 1.0 for item in above}
    for sweep in range(PLACE_SWEEPS):
        neighbours = (pulling, below)[sweep % 2]
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [_mean([x[n] for n in neighbours[item]], x[item]) for item in row]
            places = pushed_apart(wanted, [widths[item] for item in row], [weights[item] for item in row], gap)
            x.update(zip(row, places, strict=True))
    return x


def pushed_apart(wanted, widths, weights, gap):
    """Places in the given order, as near to `wanted` as boxes of these widths allow (weighted least squares).

    With the room taken up so far subtracted, "at least so far apart" becomes "not falling": neighbours that would
    fall form a group around their mean.
    """
    room, offsets = 0.0, []
    for k, width in enumerate(widths):
        room += (widths[k - 1] + width) / 2 + gap if k else 0.0
        offsets.append(room)
    groups: list[tuple] = []  # (mean, weight, members)
    for want, offset, weight in zip(wanted, offsets, weights, strict=True):
        mean, n = want - offset, 1
        while groups and groups[-1][0] > mean:
            before, its_weight, its_n = groups.pop()
            mean = (before * its_weight + mean * weight) / (its_weight + weight)
            weight, n = weight + its_weight, n + its_n
        groups.append((mean, weight, n))
    means = [mean for mean, _, n in groups for _ in range(n)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _mean(values, otherwise):
    return sum(values) / len(values) if values else otherwise
