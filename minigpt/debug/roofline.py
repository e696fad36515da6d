"""How fast this machine can be: the two rates that every op is held to.

    an op takes at least   max(FLOPs / peak, bytes / bandwidth)        (Williams, Waterman & Patterson 2009)

Both are measured here, in about a quarter of a second, by what the row itself does: a product of two float32 matrices
of 1024 x 1024, and a copy of 64 MB, too much for a cache. They are usual rates, no bounds: an op whose arrays lie in
the cache can be above 100 %, float64 has half the peak. `python -m minigpt bench kernels` measures kernel by kernel.
"""

from __future__ import annotations

import functools
import time
from typing import NamedTuple

import numpy as np

from ..backend import load
from ..cuda_state import simulated

SIZE = 1024  # of the matrices
COPIED = 64 * 2**20  # bytes
RUNS = 5  # the fastest counts


class Peaks(NamedTuple):
    """FLOP/s of a matrix product and bytes/s of a copy (read and written), measured on a row."""

    row: str
    flops: float
    bandwidth: float

    def bound(self, flops: int | None, moved: int) -> float:
        """The least seconds that an op takes."""
        return max((flops or 0) / self.flops, moved / self.bandwidth)

    def __str__(self):
        return (
            f"{self.flops / 1e9:,.0f} GFLOP/s ({SIZE} x {SIZE} float32 matrix product) and "
            f"{self.bandwidth / 1e9:.1f} GB/s (copy of {COPIED // 2**20} MB), measured here on the {self.row!r} row"
        )


@functools.cache
def machine_peaks(row_name: str) -> Peaks | None:
    """Measured once per process and row; None for the simulated card, whose speed means nothing."""
    if row_name == "cuda" and simulated():
        return None
    row = load(row_name)
    a = row.from_host(np.random.default_rng(0).standard_normal((SIZE, SIZE), dtype=np.float32))
    x = row.from_host(np.ones(COPIED // 4, np.float32))
    out = row.copy(x)
    product = _fastest(row_name, lambda: row.matmul(a, a))
    copy = _fastest(row_name, lambda: row.assign(out, ..., x))
    return Peaks(row_name, 2 * SIZE**3 / product, 2 * COPIED / copy)


def _fastest(row_name, run) -> float:
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        wait_for(row_name)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def wait_for(row_name: str) -> None:
    """Return when the row has done what it was told. A card works on after its kernels were started."""
    if row_name == "cuda":
        row = load(row_name)
        row.to_host(row.zeros((1,), np.float32))  # a copy to the host comes after everything before it
