"""Softmax and log-softmax over the last axis. Formulas: kernels/reference/softmax.py.

A row is read twice and written once, and that is what takes the time; so maximum and sum come from one pass: whenever a
larger m turns up, the sum so far, reckoned from the old one, is multiplied by exp(old - new) (Milakov 2018).
A team works on a row: a thread, a warp or a block, of which each thread takes every so-manyth element.

m begins with the lowest finite number instead of -inf, for -inf minus itself is no number. In a row of nothing but -inf
each exp(x - m) is then 0, and so is their sum: that is how such a row is told. Kernels get the number as an argument,
`lowest`, since a compiler that sees it may conclude that no number is smaller, not even -inf.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from .array import contiguous, empty
from .ladder import rung
from .machine import Count, Float, Floats, cuda, device_function, kernel
from .warp import LANES, warp_max, warp_sum

WARPS = 8  # in a block
LONG = 1024  # elements from which on a row is a block's
LOWEST = float(np.finfo(np.float32).min)
NONE, ONE, WARP, BLOCK, EIGHT = (np.uint32(n) for n in (0, 1, LANES, WARPS * LANES, WARPS))
ZERO = np.float32(0)


# --- teams ------------------------------------------------------------------------------------------------------


class Team(NamedTuple):
    """Who works on a row.

    rows      of a block
    place     () -> number of the row, of the thread's first element, and the step to its next
    join      (m, total) of each thread -> that of the row, for all of its threads
    add       value of each thread -> their sum
    """

    rows: int
    place: Any
    join: Any
    add: Any


def _thread():
    @device_function
    def place():
        return np.uint32(cuda.grid(1)), NONE, ONE

    @device_function
    def join(m, total):
        return m, total

    @device_function
    def add(value):
        return value

    return Team(WARPS * LANES, place, join, add)


def _warp():
    @device_function
    def place():
        i = np.uint32(cuda.grid(1))
        return i // WARP, i % WARP, WARP

    @device_function
    def join(m, total):
        largest = warp_max(m)
        return largest, warp_sum(total * math.exp(m - largest))

    return Team(WARPS, place, join, warp_sum)


def _block():
    join_warp = WARP_TEAM.join

    @device_function
    def place():
        return np.uint32(cuda.blockIdx.x), np.uint32(cuda.threadIdx.x), BLOCK

    @device_function
    def join(m, total):
        maxima, totals = cuda.shared.array(WARPS, np.float32), cuda.shared.array(WARPS, np.float32)
        t = np.uint32(cuda.threadIdx.x)
        m, total = join_warp(m, total)
        if t % WARP == 0:
            maxima[t // WARP] = m
            totals[t // WARP] = total
        cuda.syncthreads()  # then each warp joins what the eight have found; more lanes than that count for nothing
        return join_warp(maxima[t % EIGHT], totals[t % EIGHT] if t % WARP < EIGHT else ZERO)

    @device_function
    def add(value):
        sums = cuda.shared.array(WARPS, np.float32)
        t = np.uint32(cuda.threadIdx.x)
        value = warp_sum(value)
        if t % WARP == 0:
            sums[t // WARP] = value
        cuda.syncthreads()
        return warp_sum(sums[t % EIGHT] if t % WARP < EIGHT else ZERO)

    return Team(1, place, join, add)


THREAD_TEAM, WARP_TEAM = _thread(), _warp()
BLOCK_TEAM = _block()


# --- kernels ----------------------------------------------------------------------------------------------------


def forward(team: Team, log: bool, name: str):
    place, join = team.place, team.join

    @kernel(threads=WARPS * LANES, registers=64)
    def softmax(x: Floats, lowest: Float, y: Floats, N: Count, C: Count):
        n, start, step = place()
        if n < N:  # so for all threads of the team
            first = n * C
            m, total = lowest, ZERO
            c = start
            while c < C:
                value = x[first + c]
                if value > m:
                    total *= math.exp(m - value)
                    m = value
                total += math.exp(value - m)
                c += step
            m, total = join(m, total)
            log_total = ZERO if total == ZERO else math.log(total)
            inverse = ZERO if total == ZERO else np.float32(1) / total
            c = start
            while c < C:
                shifted = x[first + c] - m
                y[first + c] = shifted - log_total if log else math.exp(shifted) * inverse
                c += step

    softmax.name = name
    return softmax


def backward(team: Team, log: bool, name: str):
    place, add = team.place, team.add

    @kernel(threads=WARPS * LANES, registers=64)
    def softmax_backward(dy: Floats, y: Floats, dx: Floats, N: Count, C: Count):
        n, start, step = place()
        if n < N:
            first = n * C
            total = ZERO
            c = start
            while c < C:
                total += dy[first + c] if log else dy[first + c] * y[first + c]
                c += step
            total = add(total)
            c = start
            while c < C:
                i = first + c
                dx[i] = dy[i] - math.exp(y[i]) * total if log else y[i] * (dy[i] - total)
                c += step

    softmax_backward.name = name
    return softmax_backward


THREADS_IDEA = "one thread a row: neighbouring threads read elements that lie a row apart"
WARPS_IDEA = "one warp a row: its lanes read neighbours, and join by exchanging registers"
BLOCKS_IDEA = "one block a row, for rows too long for a warp: its warps join in shared memory"

softmax_v1 = rung("softmax_forward", 1, THREADS_IDEA)(forward(THREAD_TEAM, False, "softmax_v1"))
softmax_v2 = rung("softmax_forward", 2, WARPS_IDEA)(forward(WARP_TEAM, False, "softmax_v2"))
softmax_v3 = rung("softmax_forward", 3, BLOCKS_IDEA)(forward(BLOCK_TEAM, False, "softmax_v3"))
softmax_backward_v1 = rung("softmax_backward", 1, THREADS_IDEA)(backward(THREAD_TEAM, False, "softmax_backward_v1"))
softmax_backward_v2 = rung("softmax_backward", 2, WARPS_IDEA)(backward(WARP_TEAM, False, "softmax_backward_v2"))
softmax_backward_v3 = rung("softmax_backward", 3, BLOCKS_IDEA)(backward(BLOCK_TEAM, False, "softmax_backward_v3"))
log_softmax_v2 = forward(WARP_TEAM, True, "log_softmax_v2")
log_softmax_v3 = forward(BLOCK_TEAM, True, "log_softmax_v3")
log_softmax_backward_v2 = backward(WARP_TEAM, True, "log_softmax_backward_v2")
log_softmax_backward_v3 = backward(BLOCK_TEAM, True, "log_softmax_backward_v3")


# --- functions of the row ---------------------------------------------------------------------------------------


def softmax_forward(x):  # x (..., C)
    return _forward(softmax_v2, softmax_v3, x)


def softmax_backward(dy, y):
    return _backward(softmax_backward_v2, softmax_backward_v3, dy, y)


def log_softmax_forward(x):  # x (..., C)
    return _forward(log_softmax_v2, log_softmax_v3, x)


def log_softmax_backward(dy, y):
    return _backward(log_softmax_backward_v2, log_softmax_backward_v3, dy, y)


def _forward(short, long, x):
    x, y = contiguous(x), empty(x.shape)
    version, grid, N, C = _choose(short, long, x)
    version(grid, version.threads, x.flat, LOWEST, y.whole, N, C)
    return y


def _backward(short, long, dy, y):
    dy, y, dx = contiguous(dy), contiguous(y), empty(y.shape)
    version, grid, N, C = _choose(short, long, y)
    version(grid, version.threads, dy.flat, y.flat, dx.whole, N, C)
    return dx


def _choose(short, long, x):
    """The kernel for rows of this length, its grid, how many rows and how long they are."""
    C = x.shape[-1]
    N = x.size // C if C else 0
    return (long, N, N, C) if C >= LONG else (short, -(-N // WARPS), N, C)
