"""One product shared by several threads, for decoding.

Training shares the batch out and keeps every kernel on one thread. A single new token leaves nothing to share out but
the rows of the matrices themselves, and one core alone does not read as fast as the memory can deliver.

A product takes about 100 microseconds, and waking a sleeping thread takes half of that. So a helper that has just
worked stays awake for a while and looks for the next product, in compiled code and without the GIL; only then does it
sleep, until the caller rings. They meet in a few numbers, the `words`:

    words[LEFT]      pieces that nobody has taken; whoever takes one counts down. 0 or less: there is nothing to do
    words[AT_WORK]   helpers that may hold a piece
    words[TASK:]     what the product is: written before LEFT, and not again until AT_WORK is 0

The pieces lie ready and whoever is free takes the next one: where another program holds a core, the calling thread does
what is left, and waits for nobody who has not begun. Each output is computed whole by one thread, so that the number of
threads changes no bit.
"""

import atexit
import functools
import os
import threading

import numba
import numpy as np

from .atomic import add, load, store, yield_core
from .jit import kernel

PIECE = 384 * 1024  # bytes that a thread reads at a time, about 30 microseconds; shorter ones are slower
WORTH_IT = 128 * 1024  # bytes of a matrix; a smaller one is read before anybody could help
MOST = 8  # threads; more do not make memory faster
AWAKE = 4000  # looks at LEFT before a helper sleeps: about a millisecond, more than lies between two tokens

LEFT, AT_WORK, TASK = 0, 8, 16  # a cache line of 8 words each, so that a change of one disturbs no other
WORDS = 32


@kernel
def take(words):
    """The number of a piece that is now ours, counting down to 0; negative if none is left."""
    return add(words, LEFT, -1) - 1


@kernel
def offer(words, pieces):
    """Begin: words[TASK:] is written and may be read."""
    store(words, LEFT, pieces)


@kernel
def wait_for_others(words):
    """End, once `take` has found nothing: until then the helpers may still be writing."""
    while load(words, AT_WORK) > 0:
        yield_core()


@kernel
def wait_for_work(words, looks):
    """Whether there is something to take; looks for it so many times. If so, words[AT_WORK] counts us from now on."""
    for _ in range(looks):
        if load(words, LEFT) > 0:
            add(words, AT_WORK, 1)
            return True
        yield_core()
    return False


@kernel
def leave(words):
    add(words, AT_WORK, -1)


class Crew:
    """Helpers beside the calling thread. `work(words, looks)`, compiled, does what they can find, then returns."""

    def __init__(self, count, work):
        self.words = np.zeros(WORDS, np.int64)
        self.busy = threading.Lock()  # one product at a time; who finds it taken works alone
        self._work = work
        self._closed = False
        self._bells = [threading.Lock() for _ in range(count)]  # locked: silent
        self._asleep = [False] * count
        self._threads = [
            threading.Thread(target=self._serve, args=(i,), name=f"minigpt-rows-{i}", daemon=True) for i in range(count)
        ]
        for bell, thread in zip(self._bells, self._threads, strict=True):
            bell.acquire()
            thread.start()

    def pieces(self, matrix):
        """Into how many pieces to cut the rows of a matrix: as many for each thread, of about PIECE bytes."""
        threads = len(self._threads) + 1
        return threads * max(matrix.nbytes // (threads * PIECE), 1)

    def _serve(self, i):
        while not self._closed:
            self._work(self.words, AWAKE)
            self._asleep[i] = True
            self._bells[i].acquire()

    def wake(self):
        """Ring for those who sleep; whether they come in time does not matter."""
        for i, asleep in enumerate(self._asleep):
            if asleep:
                self._asleep[i] = False
                self._bells[i].release()

    def close(self):
        """Send the helpers home, and wait until they have gone: no thread may run kernels while Python shuts down."""
        self.busy.acquire(timeout=1)  # an interrupt may have come before a caller could give it back
        self._closed = True
        for thread in self._threads:
            while thread.is_alive():
                self.wake()
                thread.join(0.001)


@functools.cache
def crew(work) -> Crew | None:
    """The helpers that do `work`; None where there is one core (NUMBA_NUM_THREADS) or kernels run as plain Python."""
    count = min(numba.get_num_threads(), MOST) - 1
    if count < 1 or not hasattr(work, "py_func"):  # a plain function would hold the GIL all the time
        return None
    made = Crew(count, work)
    atexit.register(made.close)
    return made


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=crew.cache_clear)  # threads do not survive a fork
