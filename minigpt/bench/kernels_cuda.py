"""How fast each rung of each CUDA kernel is on the card, and how much of that card's ceilings this is.

The ceilings are measured on the same card in the same run: a copy from the card's memory to itself, which counts the
bytes that it reads and those that it writes, and a large float32 matrix product, PyTorch's where that is installed
(with TF32 off), else that of our own best rung. The roofline of a kernel is then, as in kernels.py,

    max(FLOPs / peak, bytes / bandwidth)

How it is timed: by events of the card itself, with the card held busy until the host has told it all that is to be
timed (kernels/cuda/timing.py). Calls take turns between several sets of arrays, which together are larger than the
cache, so that no call finds there what it needs. Rungs and ceilings take turns in rounds, after a warm-up; figures are
medians over the rounds. Every rung is checked against float64 before it is timed, with outputs that hold NaN before.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import math
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import card_timing, ladders, load
from ..errors import ArgumentError, BackendError
from .kernels import TOLERANCE, Figure, Measured, chosen, installed_torch
from .kernels_cases import floats
from .kernels_cuda_cases import LOOSE, RETURNED, CardCase, cuda_cases

CACHES = 4  # the sets of arrays together are at least so many times the L2 cache


@dataclass(frozen=True)
class Effort:
    """How long everything is timed; the defaults are for figures that one may keep."""

    rounds: int = 7
    warm_up: float = 0.05  # seconds that a rung runs before it is timed, so that the card's clock has risen
    seconds: float = 2e-3  # a turn lasts at least this long
    most: int = 100  # calls in a turn: launches that the card can hold in its queue
    slow: float = 0.3  # a rung that takes longer than this takes part in the first three rounds only
    product: int = 4096  # rows of the matrices whose product is the ceiling
    copied: int = 1 << 30  # bytes that the copy reads and writes


QUICK = Effort(rounds=1, warm_up=0.0, seconds=0.0, product=8, copied=4096)


class Rotating:
    """Several calls of the same work on different memory, of which each call makes the next one; `work` of each."""

    def __init__(self, calls, work: float = 0.0):
        self._next, self.work = itertools.cycle(calls), work

    def __call__(self):
        return next(self._next)()


class CardClock:
    """Times calls by the card's own events."""

    def __init__(self):
        self.card = card_timing()
        self.hold = self.card.Hold()

    def __call__(self, run, repeat: int = 1, ahead: float = 0.0) -> float:
        """Seconds that the card takes for one call, the mean of `repeat`; held for `ahead` seconds before."""
        return self.both(run, repeat, ahead)[0]

    def both(self, run, repeat: int = 1, ahead: float = 0.0) -> tuple[float, float]:
        """(seconds of the card, seconds of the host) for one call; the host only tells the card what to do."""
        watch = self.card.Stopwatch()
        self.hold(ahead)
        watch.start()
        start = time.perf_counter()
        for _ in range(repeat):
            run()
        host = time.perf_counter() - start
        watch.stop()
        return watch.seconds() / repeat, host / repeat

    def plan(self, run, effort: Effort) -> Turn:
        """Warm up, and find out how often a turn calls `run`, and how long the host is busy with that."""
        if not effort.warm_up:
            return Turn(run, 1, 0.0, effort.rounds)
        self.card.synchronize()
        host = math.inf
        end = time.perf_counter() + effort.warm_up
        while True:
            seconds, busy = self.both(run)
            host = min(host, busy)
            if time.perf_counter() >= end:
                break
        repeat = max(1, min(effort.most, math.ceil(effort.seconds / max(seconds, 1e-9))))
        rounds = effort.rounds if seconds < effort.slow else min(3, effort.rounds)
        return Turn(run, repeat, 2 * repeat * host, rounds)


@dataclass(frozen=True)
class Turn:
    """What is timed together: `repeat` calls, which the host needs up to `ahead` seconds to launch."""

    run: Any
    repeat: int
    ahead: float
    rounds: int

    def time(self, clock: CardClock) -> float:
        return clock(self.run, self.repeat, self.ahead)


def measure_cuda_ladders(names=None, quick: bool = False) -> list[Measured]:
    """Measure the ladders of these names, or all.

    Raises BackendError without a card, for a ladder without a case, for a rung whose result is wrong, and where the
    card has not enough memory; ArgumentError for an unknown name and for real sizes on the simulated card.
    """
    from tqdm import tqdm

    steps, clock = ladders("cuda"), CardClock()
    if clock.card.SIMULATED and not quick:
        raise ArgumentError("the simulated card is thousands of times too slow for real sizes: add --quick")
    wanted, every = chosen(names, steps), cuda_cases(quick)
    lacking = wanted - {case.kernel for case in every}
    if lacking:
        raise BackendError(f"no case for {', '.join(sorted(lacking))}: add one to minigpt/bench/kernels_cuda_cases.py")
    selected = [case for case in every if case.kernel in wanted]
    effort = QUICK if quick else Effort()
    ceilings = (
        clock.plan(matrix_product(effort.product), effort),
        clock.plan(clock.card.CopyOnCard(effort.copied), effort),
    )
    with tqdm(selected, unit="case", disable=None) as bar:
        return [measure(case, steps[case.kernel], clock, ceilings, effort) for case in bar]


def measure(case: CardCase, ladder, clock: CardClock, ceilings: tuple[Turn, Turn], effort: Effort) -> Measured:
    """All rungs of a ladder on one case, in turn with the two ceilings."""
    clock.card.give_back()  # what the case before has used
    rng = np.random.default_rng(0)
    given = case.arguments(rng)
    sets = card_sets(case, ladder[-1], given, clock.card.l2_bytes())
    check(case, ladder, given, sets[0], rng)
    turns = [clock.plan(Rotating([case.make(rung, [each]) for each in sets]), effort) for rung in ladder]
    rates: list[tuple[float, float]] = []
    times: list[list[float]] = [[] for _ in turns]
    shares: list[list[float]] = [[] for _ in turns]
    for round_ in range(effort.rounds):
        peak, bandwidth = (turn.run.work / turn.time(clock) for turn in ceilings)
        rates.append((peak, bandwidth))
        bound = max(case.flops / peak, case.bytes / bandwidth)
        for turn, seconds, share in zip(turns, times, shares, strict=True):
            if round_ < turn.rounds:
                seconds.append(turn.time(clock))
                share.append(bound / seconds[-1])
    figures = [
        Figure(rung.number, rung.idea, statistics.median(seconds), statistics.median(share))
        for rung, seconds, share in zip(ladder, times, shares, strict=True)
    ]
    peak, bandwidth = (statistics.median(rate) for rate in zip(*rates, strict=True))
    return Measured(case, effort.rounds, peak, bandwidth, tuple(figures))


# --- memory of the card -------------------------------------------------------------------------------------------


def card_sets(case: CardCase, rung, given: dict[str, Any], cache: int) -> list[dict[str, Any]]:
    """The arguments on the card, so often that what the rung reads and writes is CACHES times as large as the cache."""
    row = load("cuda")
    first = {name: row.from_host(a) if isinstance(a, np.ndarray) else a for name, a in given.items()}
    count = max(1, math.ceil(CACHES * cache / max(1, case.memory(rung, first))))
    return [first, *({name: fresh(row, a) for name, a in first.items()} for _ in range(count - 1))]


def fresh(row, a):
    return row.copy(a) if row.is_array(a) else a


def check(case: CardCase, ladder, given: dict[str, Any], on_card: dict[str, Any], rng) -> None:
    """Run every rung once, on outputs as they were given (NaN, mostly), and compare with float64.

    Raises BackendError where a number is missing or off by more than TOLERANCE (or LOOSE) of the largest.
    """
    row = load("cuda")
    first = given[case.outputs[0]] if case.outputs else next(a for a in given.values() if isinstance(a, np.ndarray))
    part = np.unique([0, len(first) - 1, *rng.integers(0, len(first), case.checked)])
    expected = case.expected(given, part)
    for rung in ladder:
        copies = {name: fresh(row, a) if name in case.outputs else a for name, a in on_card.items()}
        returned = case.make(rung, [copies])()
        for name, wanted in expected.items():
            got = row.to_host(returned if name == RETURNED else copies[name])
            if not np.isfinite(got).all():
                raise wrong(case, rung, name, f"{np.sum(~np.isfinite(got))} of its {got.size} numbers are not finite")
            if np.ndim(wanted) == 0:
                got = got.sum(dtype=np.float64)
            elif name not in case.whole:
                got = got[part]
            worst, largest = np.abs(got - wanted).max(), np.abs(wanted).max()
            if not worst <= LOOSE.get((case.kernel, rung.number), TOLERANCE) * largest:
                raise wrong(case, rung, name, f"it is off by {worst:.2g} where the largest number is {largest:.2g}")


def wrong(case, rung, name, how) -> BackendError:
    what = name or "what it returns"
    return BackendError(f"rung {rung.number} of {case.kernel} is wrong on {case.shape}, in {what}: {how}")


# --- ceilings -----------------------------------------------------------------------------------------------------


def matrix_product(size: int):
    """A product of two float32 matrices on the card, with `work` in FLOPs: PyTorch's if it can be used, else ours."""
    rng = np.random.default_rng(0)
    a, b, y = floats(rng, size, size), floats(rng, size, size), np.zeros((size, size), np.float32)
    torch = torch_on_card()
    if torch is not None:
        a, b, y = (torch.from_numpy(x).to("cuda") for x in (a, b, y))
        call = functools.partial(torch.mm, a, b, out=y)
    else:
        on_card = [load("cuda").from_host(x) for x in (a, b, y)]
        exact = [rung for rung in ladders("cuda")["matmul"] if ("matmul", rung.number) not in LOOSE]
        ours = exact[0 if card_timing().SIMULATED else -1]  # the simulation is slow
        call = functools.partial(ours.function, *on_card)
    return Rotating([call], work=2.0 * size**3)


def product_of() -> str:
    """Whose matrix product the ceiling is."""
    return "torch.mm (float32, TF32 off)" if torch_on_card() else "our own matrix product (PyTorch is not used here)"


def torch_on_card():
    """PyTorch with products in full float32, if it is installed and sees the card that we compute on; else None."""
    if card_timing().SIMULATED or importlib.util.find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    torch.set_float32_matmul_precision("highest")  # no TF32
    return torch


def torch_beside_card() -> tuple[Any, str]:
    """PyTorch and its device for a comparison: the card, or beside the simulated card the processor.

    Raises BackendError where PyTorch is missing, or has no card.
    """
    torch = torch_on_card()
    if torch is not None:
        return torch, "cuda"
    torch = installed_torch()
    if card_timing().SIMULATED:
        return torch, "cpu"
    raise BackendError(
        "PyTorch is installed, but sees no CUDA card (torch.cuda.is_available() is False): install its CUDA build, "
        "see https://pytorch.org/get-started/locally"
    )
