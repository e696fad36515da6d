"""One product shared by several threads, for decoding.

Training shares the batch out and keeps every kernel on one thread. A single new token leaves nothing to share out but
the rows of the matrices themselves, and one core alone does not read as fast as the memory can deliver.

The pieces lie ready and whoever is free takes the next one: where another program holds a core, the calling thread does
what is left, and waits for nobody who has not begun. Each output is computed whole by one thread, so that the number of
threads changes no bit.
"""

import functools
import itertools
from concurrent.futures import ThreadPoolExecutor

import numba

PIECE = 400 * 1024  # bytes that a thread reads before it looks for more: about 30 microseconds
MOST = 8  # threads; more do not make memory faster


@functools.cache
def helpers():
    """The pool of threads beside the calling one, and how many they are: NUMBA_NUM_THREADS, as a rule the cores."""
    count = min(numba.get_num_threads(), MOST) - 1
    return (ThreadPoolExecutor(count, "minigpt-rows") if count > 0 else None), count


def over_rows(task, matrix):
    """task(start, stop) for pieces of the rows 0 … len(matrix) - 1, in any order; small matrices in one piece."""
    rows = len(matrix)
    pieces = min(rows, matrix.nbytes // PIECE)
    pool, count = helpers() if pieces > 1 else (None, 0)
    if pool is None:
        task(0, rows)
        return
    bounds = [rows * i // pieces for i in range(pieces + 1)]
    numbers = itertools.count()

    def take_pieces():
        while (i := next(numbers)) < pieces:  # counting on is one step of the interpreter: no two get one number
            task(bounds[i], bounds[i + 1])

    others = [pool.submit(take_pieces) for _ in range(min(count, pieces - 1))]
    try:
        take_pieces()
    finally:  # nobody may be at work on arrays that the caller goes on with
        outcomes = [other.exception() for other in others if not other.cancel()]
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
