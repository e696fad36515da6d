"""How fast each rung of each CPU kernel is, on one thread, and how much of this machine's roofline that is.

The roofline of a kernel (Williams, Waterman & Patterson 2009) is the time that its problem takes at least:

    max(FLOPs / peak, bytes / bandwidth)

peak is a large single-precision matrix product on one thread; bandwidth is a copy whose two arrays together take as
much memory as those of the problem, so a problem that fits into the cache is held to the rate of a cached copy. A copy
also has to fetch the lines that it is about to overwrite; kernels that write where they have read are spared that, and
are held to a rewrite in place. These are usual rates, no bounds: a kernel that mostly reads can be above 100 %.

Machines drift, so the rungs, the matrix product and the copy take turns; figures are medians over the rounds, the share
of the roofline the median of the rounds' own shares. Every rung's result is compared with the first one's before it is
timed.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import ladders
from ..errors import ArgumentError, BackendError
from ..training.workers import ThreadSettings
from .kernels_cases import Case, cases

ROUNDS = 7
SECONDS = 0.02  # a run lasts at least this long
LONGEST = 0.1  # a slow rung goes through fewer parts of its problem, if it has parts
PEAK_SIZE = 1024
TOLERANCE = 1e-4  # of the largest number in the first rung's result


@dataclass(frozen=True)
class Figure:
    """One rung: median seconds for one part of the case, and the share of the roofline."""

    number: int
    idea: str
    seconds: float
    share: float


@dataclass(frozen=True)
class Measured:
    """One case: FLOP/s of the matrix product, bytes/s of the copy or rewrite (medians), and the rungs."""

    case: Case
    rounds: int
    peak: float
    bandwidth: float
    figures: tuple[Figure, ...]


def chosen(names, known) -> set[str]:
    """The ladders that are meant: `gelu` is gelu_forward and gelu_backward; no names: all of them."""
    found: set[str] = set()
    for name in names or ():
        fitting = {kernel for kernel in known if kernel == name or kernel.startswith(f"{name}_")}
        if not fitting:
            raise ArgumentError(f"there is no kernel {name!r}; there are {', '.join(sorted(known))}")
        found |= fitting
    return found or set(known)


def installed_torch():
    """The peer. Raises BackendError where it is missing."""
    if importlib.util.find_spec("torch") is None:
        raise BackendError("PyTorch is not installed here, so there is nothing to compare with: pip install torch")
    import torch

    return torch


def measure_ladders(names=None, quick: bool = False) -> list[Measured]:
    """Measure the ladders of these names (see `chosen`), or all, with BLAS held to one thread.

    Raises ArgumentError for an unknown name; BackendError without Numba, with NUMBA_DISABLE_JIT, for a ladder without
    a case, and for a rung whose result differs from the first one's.
    """
    steps = ladders()
    import numba
    from tqdm import tqdm

    wanted = chosen(names, steps)
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # made when Numba is imported
        raise BackendError("NUMBA_DISABLE_JIT is set, so kernels are plain Python here: unset it to measure them")
    lacking = wanted - {case.kernel for case in cases(quick)}
    if lacking:
        raise BackendError(f"no case for {', '.join(sorted(lacking))}: add one to minigpt/bench/kernels_cases.py")
    selected = [case for case in cases(quick) if case.kernel in wanted]
    effort = (2, 1e-4, 64) if quick else (ROUNDS, SECONDS, PEAK_SIZE)
    with ThreadSettings(), tqdm(selected, unit="case", disable=None) as bar:
        return [measure(case, steps[case.kernel], *effort) for case in bar]


def measure(case: Case, ladder, rounds: int = ROUNDS, seconds: float = SECONDS, peak_size: int = PEAK_SIZE) -> Measured:
    """All rungs of a ladder on one case, in turn with the matrix product and the copy."""
    rng = np.random.default_rng(0)
    sets = [case.arguments(rng) for _ in range(case.parts)]
    check(case, ladder, sets[0])
    memory = sum(case.memory(ladder[-1], given) for given in sets)
    moving = Rewrite if case.in_place else Copy
    turns: list[tuple[Any, int]] = [(MatrixProduct(peak_size), 1), (moving(memory), 1)]
    for rung in ladder:
        parts = min(case.parts, max(1, int(LONGEST / timed(case.make(rung, sets[:1])))))
        turns.append((case.make(rung, sets[:parts]), parts))
    repeats = [max(1, round(seconds / timed(run))) for run, _ in turns]
    rates, times, shares = [], [], []  # one row a round
    for _ in range(rounds):
        product, copy, *rungs = (
            timed(run, repeat) / parts for (run, parts), repeat in zip(turns, repeats, strict=True)
        )
        rates.append((turns[0][0].work / product, turns[1][0].work / copy))
        bound = max(case.flops / rates[-1][0], case.bytes / rates[-1][1])
        times.append(rungs)
        shares.append([bound / seconds for seconds in rungs])
    figures = [
        Figure(rung.number, rung.idea, statistics.median(ts), statistics.median(ss))
        for rung, ts, ss in zip(ladder, zip(*times, strict=True), zip(*shares, strict=True), strict=True)
    ]
    peak, bandwidth = (statistics.median(rate) for rate in zip(*rates, strict=True))
    return Measured(case, rounds, peak, bandwidth, tuple(figures))


def timed(run, repeat=1) -> float:
    """Seconds of one call, the mean of `repeat`."""
    start = time.perf_counter()
    for _ in range(repeat):
        run()
    return (time.perf_counter() - start) / repeat


class MatrixProduct:
    """A matrix product large enough to show what one core can do; `work` in FLOPs."""

    def __init__(self, size):
        self.work = 2.0 * size**3
        self.a, self.b, self.y = np.random.default_rng(0).standard_normal((3, size, size), dtype=np.float32)

    def __call__(self):
        np.matmul(self.a, self.b, out=self.y)


class Copy:
    """Copy one array to another; `work` in bytes, half of them read and half written."""

    def __init__(self, nbytes):
        self.source = np.ones(max(1, int(nbytes / 8)), np.float32)
        self.target = np.zeros_like(self.source)
        self.work = 2.0 * self.source.nbytes

    def __call__(self):
        np.copyto(self.target, self.source)


class Rewrite:
    """Turn all signs of one array, in place; `work` in bytes as for a copy."""

    def __init__(self, nbytes):
        self.array = np.ones(max(1, int(nbytes / 4)), np.float32)
        self.work = 2.0 * self.array.nbytes

    def __call__(self):
        np.negative(self.array, out=self.array)


def check(case: Case, ladder, arguments) -> None:
    """Compile every rung and compare its outputs with the first rung's.

    Raises BackendError where they do not agree; a NaN never does.
    """
    expected: list[np.ndarray] = []
    for rung in ladder:
        copies = {name: a.copy() if isinstance(a, np.ndarray) else a for name, a in arguments.items()}
        returned = case.make(rung, [copies])()
        got = [copies[name] for name in case.outputs] or [np.asarray(returned)]
        expected = expected or got
        for a, b in zip(got, expected, strict=True):
            worst, largest = np.abs(a - b).max(), np.abs(b).max()
            if not worst <= TOLERANCE * largest:
                raise BackendError(
                    f"rung {rung.number} of {case.kernel} is wrong on {case.shape}: it is off by {worst:.2g} where "
                    f"the largest number is {largest:.2g}; nothing was timed"
                )
