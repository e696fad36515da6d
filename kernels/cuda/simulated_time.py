"""Stopwatch and copies for the simulated card, as numba_cuda.py has them; its seconds are those of the simulation."""

import time


class Stopwatch:
    """Seconds between start and stop."""

    def start(self) -> None:
        self._start = time.perf_counter()

    def stop(self) -> None:
        self._stop = time.perf_counter()

    def seconds(self) -> float:
        return self._stop - self._start


def copy_within(target, source) -> None:
    """From memory of the card to memory of the card, both flat, of one type and length."""
    target[:] = source


def l2_bytes() -> int:
    """The cache that all multiprocessors share: so small that even tiny problems do not fit."""
    return 1024
