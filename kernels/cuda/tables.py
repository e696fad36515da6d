"""Many arrays in one launch.

A launch keeps the host busy for some 50 to 100 microseconds, and a model has hundreds of parameters, most of them too
small to fill a card. So a kernel takes a table in the card's memory instead: a row for each array, with its first
block, its length and its addresses. Each block works on PIECE elements of one array, and finds in the table of which.

    first block    elements    address of p    of g    …
         0          100,000         …           …           blocks 0 to 12
        13              768         …           …           block 13
        14               …

The multi-tensor kernels of NVIDIA's Apex are made in this way.
"""

import numpy as np

from .array import DeviceArray, copied, copy_into, is_contiguous
from .device import from_host
from .errors import DeviceError
from .fours import in_fours
from .machine import device_function

PIECE = 8192  # elements for a block
FIRST, LENGTH, ADDRESS = 0, 1, 2  # columns; the addresses of an array follow each other


@device_function
def piece_of(block, table, width, arrays):
    """(place of the array's row in the table, first element, the one after the last) that a block works on."""
    low, high = np.uint32(0), np.uint32(arrays)  # the array is the last whose first block is not beyond this one
    while high - low > np.uint32(1):
        middle = (low + high) // np.uint32(2)
        if table[middle * width] <= block:
            low = middle
        else:
            high = middle
    row = low * width
    start = (block - np.uint32(table[row])) * np.uint32(PIECE)
    return row, start, min(np.uint32(table[row + np.uint32(LENGTH)]), start + np.uint32(PIECE))


class Table:
    """arrays: for each row of the table the DeviceArrays that belong to it, equally long, float32, in one piece from a
    multiple of four elements on; InPlace sees to that. It must live until the launch, as all that a kernel gets."""

    def __init__(self, arrays):
        table, self.blocks = [], 0
        for row in arrays:
            n = row[0].size
            table.append([self.blocks, n, *(x.address for x in row)])
            self.blocks += -(-n // PIECE)
        self.arrays = len(arrays)
        self.rows = from_host(np.array(table, np.int64))  # (arrays, 2 + addresses)


class InPlace:
    """Arrays that a kernel of tables changes in place, or reads: copies stand in for those that it cannot take.

    `table` is what it gets; leaving the `with` block writes the copies back into the first `changed` of each row.
    """

    def __init__(self, rows, changed: int):
        self.works: dict[int, DeviceArray] = {}  # id of an array -> the copy that stands in for it
        self.pairs: list[tuple] = []  # (array, copy) of those that change
        self.rows = [[self._ready(x, n < changed) for n, x in enumerate(row)] for row in rows]

    def _ready(self, x, changes):
        if id(x) in self.works:
            return self.works[id(x)]
        if not isinstance(x, DeviceArray) or x.dtype != np.float32:
            raise DeviceError(f"kernels for many arrays take float32 arrays on the card, not {x!r}")
        if is_contiguous(x) and in_fours(0, x):
            return x
        work = self.works[id(x)] = copied(x)
        if changes:
            self.pairs.append((x, work))
        return work

    def __enter__(self):
        return Table(self.rows)

    def __exit__(self, kind, *exc):
        for x, work in self.pairs if kind is None else ():
            copy_into(x, work)
