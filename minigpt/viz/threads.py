"""Which thread touches which element: one block of a CUDA kernel, from barrier to barrier.

A trace (minigpt.backend.trace_kernel) says for every load and store which thread made it. Drawn are the arrays, one
below the other, and the phases between barriers side by side; an element has the colour of the thread that touches it.
Two things can be seen, and are counted below each panel:

    A warp's 32 threads make their accesses together: a request. Memory hands out sectors of 32 bytes, so a request for
    neighbours costs few of them and one for elements that lie far apart costs one each.
    Shared memory lies in 32 banks, neighbours in different ones, and each hands out one word at a time: a request takes
    as many passes as words are wanted of the busiest bank. The same word for several threads counts once.

The threads of a warp are taken to be in step: the n-th load of each from an array between two barriers is one request.
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError
from . import html
from .base import View

WARP = 32
SECTOR, WORD, BANKS = 32, 4, 32  # bytes, bytes, number
LARGEST_ARRAY = 4096  # elements of an array that can still be told apart
LARGEST_TRACE = 100_000  # accesses of one block
MOST_PHASES = 8
WIDEST = 64  # elements in a row that still can be drawn


class Grid(NamedTuple):
    """An array as it is drawn."""

    label: str
    rows: int
    columns: int
    bytes: int  # of an element
    shared: bool


class Panel(NamedTuple):
    """What a block does with one array in one phase: arrays of one length, an entry for each access."""

    element: np.ndarray  # number in the flat array
    thread: np.ndarray
    request: np.ndarray  # number among the loads, or stores, of its thread in this panel
    store: np.ndarray  # bool


class Traffic(NamedTuple):
    """What loads, or stores, cost. pieces: sectors, or passes, of all requests; least: if the elements lay best."""

    accesses: int
    fewest: int  # of one element
    most: int
    requests: int
    pieces: int
    least: int


class KernelThreads(View):
    """The accesses of one block of a kernel.

    trace    what minigpt.backend.trace_kernel returns: "kernel", "block", "arrays" and "accesses"
    block    (x, y, z), the block to show
    shapes   dict name -> (rows, columns), how to fold arrays that are flat: {"shared 0": (4, 5)}
    names    dict name -> what to call it: {"shared 0": "tile of a"}
    steps    what the kernel does from barrier to barrier: ["fetch", "multiply", "fetch", "multiply", "store"]
    title    str, or None for a default

    Attributes: `kernel` str; `block` (x, y, z); `threads` int, how many it has; `grids` name -> Grid, in the order of
    first touch; `panels` (name, phase) -> Panel; `phases` list of str, between which barriers; `title` str.

    Raises ArgumentError for a trace that is none, or too large to be seen.
    """

    script = "threads.js"

    def __init__(self, trace, block=(0, 0, 0), shapes=None, names=None, steps=None, title=None):
        missing = {"kernel", "block", "arrays", "accesses"} - set(trace if isinstance(trace, dict) else ())
        if missing:
            raise ArgumentError(
                f"KernelThreads needs a trace, the dict that minigpt.backend.trace_kernel returns; got "
                f"{type(trace).__name__} without {', '.join(sorted(missing))}"
            )
        self.kernel, self.block = trace["kernel"], tuple(block)
        self.threads = int(np.prod(trace["block"]))
        accesses = [a for a in trace["accesses"] if a[3] == self.block]
        self._check(trace, accesses)
        self.panels = _panels(accesses)
        self.phases = _phases(1 + max(phase for _, phase in self.panels), steps)
        since = {name: phase for name, phase in sorted(self.panels, key=lambda key: -key[1])}
        self.grids = {
            name: _grid(name, trace["arrays"][name], trace["block"][0], shapes or {}, names or {})
            for name in sorted(since, key=lambda name: (since[name], list(trace["arrays"]).index(name)))
        }
        self.title = html.one_line(title) if title is not None else f"{self.kernel}: who touches what"

    def __repr__(self):
        phases = len(self.phases)
        return f"KernelThreads({self.kernel}, {self.threads} threads, {phases} phases, {', '.join(self.grids)})"

    def _check(self, trace, accesses):
        blocks = sorted({a[3] for a in trace["accesses"]})
        if not blocks:
            raise ArgumentError(f"{self.kernel} has touched no array: was its grid empty?")
        if not accesses:
            raise ArgumentError(f"block {self.block} has touched nothing; there are blocks {blocks[0]} to {blocks[-1]}")
        if len(accesses) > LARGEST_TRACE:
            raise ArgumentError(
                f"{len(accesses):,} accesses of one block are too many to look at, more than {LARGEST_TRACE:,}: take "
                "smaller arrays and a smaller block"
            )

    def traffic(self, name, phase, store):
        """The cost of all loads, or stores, of a panel; None if there are none."""
        panel, grid = self.panels.get((name, phase)), self.grids[name]
        return _traffic(panel, grid, store) if panel is not None and (panel.store == store).any() else None

    def caption(self, name, phase):
        """`64 loads, each element 4 times` and `2 requests × 8 sectors = 16 (at best 8)`; the same for stores."""
        lines, kind = [], "pass" if self.grids[name].shared else "sector"
        for verb in ("load", "store"):
            cost = self.traffic(name, phase, verb == "store")
            if cost is not None:
                lines += [f"{_many(cost.accesses, verb)}, {_often(cost)}", _price(cost, kind)]
        return lines

    def alt(self):
        order = sorted(self.panels, key=lambda key: (key[1], list(self.grids).index(key[0])))
        lines = [f"{self.phases[k]}, {self.grids[name].label}: {', '.join(self.caption(name, k))}" for name, k in order]
        return (
            f"{self.title}. Block {self.block} of {self.threads} threads; arrays as rows, phases as columns, "
            f"elements in the colours of the threads that touch them. {'; '.join(lines)}."
        )

    def notes(self):
        """How to read the picture, in lines."""
        several = any(len(np.unique(panel.element)) < len(panel.element) for panel in self.panels.values())
        return [
            f"Block {self.block} of {self.threads} threads. Colour and number of an element: the thread that touches it"
            + (" (4×, and stripes: four threads)." if several else "."),
            "A request is one load or store of a warp, its threads together. Memory answers in sectors of 32 bytes,",
            "shared memory in passes, each of one word from each of 32 banks: the fewer, the faster.",
        ]

    def data(self):
        """What the page carries: accesses as 32-bit numbers, four each: element, thread, request, 1 for a store."""
        from .threads_figure import thread_colours

        colours = (thread_colours(self.threads) * 255).round().astype(np.uint8)
        panels = [
            {
                "array": list(self.grids).index(name),
                "phase": phase,
                "caption": self.caption(name, phase),
                "accesses": html.base64_text(np.stack(panel, axis=1).astype("<i4")),
            }
            for (name, phase), panel in self.panels.items()
        ]
        return {
            "title": self.title,
            "threads": self.threads,
            "phases": self.phases,
            "grids": [[grid.label, grid.rows, grid.columns] for grid in self.grids.values()],
            "notes": self.notes(),
            "colours": html.base64_text(colours),
            "panels": panels,
        }

    def fig(self):
        """All phases as a new matplotlib Figure, at most 8 of them."""
        from . import threads_figure

        return threads_figure.draw(self)


def _panels(accesses):
    """Name and phase -> Panel."""
    entries: dict[tuple, list] = defaultdict(list)
    counts: dict[tuple, int] = defaultdict(int)
    for name, element, store, _, thread, phase, part in accesses:
        mine = (name, phase, thread, store)
        counts[mine] += part == 0  # the four parts of an access of 128 bits are one request
        entries[name, phase].append((element, thread, counts[mine] - 1, store))
    panels = {}
    for place, rows in entries.items():
        element, thread, request, store = np.array(rows, dtype=np.int64).T
        panels[place] = Panel(element, thread, request, store.astype(bool))
    return panels


def _traffic(panel, grid, store):
    chosen = panel.store == store
    element = panel.element[chosen]
    asked = np.stack([panel.thread[chosen] // WARP, panel.request[chosen]])  # warp and number
    which = np.unique(asked, axis=1, return_inverse=True)[1].reshape(-1)  # which request an access belongs to
    n = which.max() + 1
    if grid.shared:
        parts = np.arange(max(grid.bytes // WORD, 1))
        word = (element[:, None] * grid.bytes // WORD + parts).reshape(-1)
        words = np.unique(np.stack([np.repeat(which, len(parts)), word]), axis=1)  # the same word counts once
        per_bank = np.zeros((n, BANKS), int)
        np.add.at(per_bank, (words[0], words[1] % BANKS), 1)
        pieces, least = per_bank.max(axis=1), -(-np.bincount(words[0]) // BANKS)
    else:
        sectors = np.unique(np.stack([which, element * grid.bytes // SECTOR]), axis=1)
        distinct = np.bincount(np.unique(np.stack([which, element]), axis=1)[0])
        pieces, least = np.bincount(sectors[0]), -(-distinct * grid.bytes // SECTOR)
    often = np.unique(element, return_counts=True)[1]
    counts = (len(element), often.min(), often.max(), n, pieces.sum(), least.sum())
    return Traffic(*(int(count) for count in counts))


def _phases(n, steps):
    """What stands above the columns."""
    if steps is not None and len(steps) != n:
        raise ArgumentError(f"steps need one name for each of {n} phases ({n - 1} barriers); got {len(steps)}: {steps}")
    if n == 1:
        return [html.one_line(steps[0]) if steps else "no barrier"]
    between = ["until barrier 1", *(f"barrier {k} to {k + 1}" for k in range(1, n - 1)), f"after barrier {n - 1}"]
    return (
        [f"{html.one_line(step)} ({place})" for step, place in zip(steps, between, strict=True)] if steps else between
    )


def _grid(name, array, across, shapes, names):
    shape = tuple(shapes.get(name, array["shape"]))
    size, shared = int(np.prod(array["shape"])), name.startswith("shared")
    if len(shape) == 1 and size > (WARP if shared else WIDEST):  # shared memory as wide as the block, if that fits
        width = across if shared and across <= WIDEST and size % across == 0 else WARP
        shape = (-(-size // width), width)
    label = f"{html.one_line(names.get(name, name))} ({' × '.join(map(str, shape))})"
    columns = shape[-1] if shape else 1
    rows = -(-size // max(columns, 1))
    if columns == 1:  # a column is drawn as a row
        rows, columns = 1, rows
    if size > LARGEST_ARRAY or columns > WIDEST or rows > WIDEST:
        raise ArgumentError(
            f"{label} is too large to tell its elements apart: at most {WIDEST} × {WIDEST}. Trace the kernel on "
            f"smaller arrays, or fold a flat one with shapes={{{name!r}: (rows, columns)}}"
        )
    return Grid(label, rows, columns, array["bytes"], shared)


def _many(n, noun):
    plural = "" if n == 1 else "es" if noun == "pass" else "s"
    return f"{n} {noun}{plural}"


def _often(cost):
    """How often an element that is touched at all is touched."""
    if cost.most == 1:
        return "each element once"
    return f"each element {cost.most} times" if cost.fewest == cost.most else f"up to {cost.most} times each"


def _price(cost, kind):
    """`4 requests × 8 sectors = 32 (at best 16)`"""
    if cost.requests == 1:
        text = f"1 request, {_many(cost.pieces, kind)}"
    else:
        each = cost.pieces / cost.requests
        text = f"{cost.requests} requests × {_many(round(each, 1) if each % 1 else int(each), kind)} = {cost.pieces}"
    return text if cost.pieces <= cost.least else f"{text} (at best {cost.least})"
