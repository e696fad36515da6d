"""Time on the card, for benchmarks: see Stopwatch in numba_cuda.py.

A launch takes the host some 10 to 100 microseconds, many kernels take the card less. So the card is first given
something to do that lasts (Hold); meanwhile the host tells it all that is to be timed, and the stopwatch then sees one
kernel after the other, without the gaps in which the card would wait for the host.
"""

import numpy as np

from .array import empty
from .device import full
from .machine import (
    POOL,
    SIMULATED,
    Count,
    Floats,
    Stopwatch,
    card_name,
    copy_within,
    free_bytes,
    kernel,
    l2_bytes,
    synchronize,
)

__all__ = ["SIMULATED", "Stopwatch", "card_name", "free_bytes", "l2_bytes", "synchronize"]

STEPS = 1_000_000  # by which Hold finds out how long one takes: some 5 ms


@kernel(threads=32)
def multiply_and_add(x: Floats, n: Count):
    """n steps, each of which needs the result of the one before."""
    v = x[0]
    for _ in range(n):
        v = v * np.float32(0.5) + np.float32(1)
    x[0] = v


class Hold:
    """Keeps the card busy for about as many seconds as it is called with; the host does not wait."""

    def __init__(self):
        self.place = full((1,), 0.0, np.float32)
        self.step = 0.0  # seconds
        if not SIMULATED:  # there, the host has nothing to be ahead of
            multiply_and_add(1, 1, self.place.whole, 1)  # compiles it
            watch = Stopwatch()
            watch.start()
            multiply_and_add(1, 1, self.place.whole, STEPS)
            watch.stop()
            self.step = watch.seconds() / STEPS

    def __call__(self, seconds: float) -> None:
        if self.step:
            multiply_and_add(1, 1, self.place.whole, min(int(seconds / self.step), 2**32 - 1))


class CopyOnCard:
    """Copy half of so many bytes to the other half; `work` in bytes, half of them read and half written."""

    def __init__(self, nbytes: int):
        half = max(1, nbytes // 8)
        self._source, self._target = full((half,), 1.0, np.float32), empty((half,))
        self.work = 8.0 * half

    def __call__(self):
        n = self._source.size
        copy_within(self._target.whole[:n], self._source.whole[:n])


def give_back() -> None:
    """Return the memory that no array uses to the card, for others to have."""
    POOL.give_back()


def held_bytes() -> int:
    """Memory of the card that arrays use or have used: the most at any time since the last give_back."""
    return POOL.held
