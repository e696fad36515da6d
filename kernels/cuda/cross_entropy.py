"""Cross entropy fused with softmax. Formulas: kernels/reference/cross_entropy.py.

The logits are by far the largest array of a step (8,192 tokens and 50,257 classes: 1.6 GB), so what counts is how
often they are read. m and sum_v exp(logit - m) in one pass: whenever a larger m turns up, the sum so far, reckoned from
the old one, is multiplied by exp(old - new) (Milakov & Gimelshein 2018, "Online normalizer calculation for softmax").

The mean of the logits, for label smoothing, is summed up as logit_v - logit_target, and the loss is

    log_sum - (logit_target - m) - s * mean_v (logit_v - logit_target)

A target that is no class gives NaN, as loss and as gradient of its row, and nothing is read outside of the row.
"""

import math

import numpy as np

from .device import astype, contiguous, empty
from .fours import FOUR, in_fours
from .ladder import rung
from .machine import Count, Float, Floats, Ids, Int, cuda, device_function, kernel, load4, store4
from .warp import LANES, warp_max, warp_sum

WARPS = 8  # rows that a block works on at once, if each is a warp's
THREADS = 256  # of a block, if each row is a block's
LONG = 1024  # from this number of classes on, a row is a block's
WARP = np.uint32(LANES)
NOTHING = np.float32(-3e38)  # a maximum of nothing yet: below all logits but -inf, and unlike -inf minus itself 0
NAN = np.float32(np.nan)


@device_function
def pivot_of(logits, first, target, V):
    """The logit of the target, or 0 if that is no class."""
    if target < 0 or target >= V:
        return np.float32(0)
    return logits[first + np.uint32(target)]


@device_function
def loss_of(target, ignore_index, V, log_sum, picked, spread, smoothing):
    """picked: logit_target - m; spread: sum_v (logit_v - logit_target)"""
    if target == ignore_index:
        return np.float32(0)
    if target < 0 or target >= V:
        return NAN
    loss = log_sum - picked
    if smoothing > 0:  # else a logit of -inf would make it 0 * inf
        loss -= smoothing * (spread / np.float32(V))
    return loss


@device_function
def take(m, total, logit):
    """One more logit: the new maximum, and the sum of exp(logit - m) reckoned from it."""
    if logit > m:
        return logit, total * math.exp(m - logit) + np.float32(1)
    return m, total + math.exp(logit - m)


@device_function
def merge(m, total):
    """The maximum and the sum of a whole warp from those of its lanes."""
    largest = warp_max(m)
    return largest, warp_sum(total * math.exp(m - largest))


# --- forward ----------------------------------------------------------------------------------------------------


@rung("cross_entropy_forward", 1, "one thread a row: three passes, and neighbouring threads read far apart")
@kernel(threads=256)
def cross_entropy_v1(
    logits: Floats, targets: Ids, ignore_index: Int, smoothing: Float,
    losses: Floats, maxima: Floats, log_sums: Floats, N: Count, V: Count,
):  # fmt: skip
    n = np.uint32(cuda.grid(1))
    if n < N:
        first, target = n * V, targets[n]
        pivot = pivot_of(logits, first, target, V)
        m = NOTHING
        for v in range(V):
            m = max(m, logits[first + np.uint32(v)])
        total = np.float32(0)
        for v in range(V):
            total += math.exp(logits[first + np.uint32(v)] - m)
        spread = np.float32(0)
        for v in range(V):
            spread += logits[first + np.uint32(v)] - pivot
        maxima[n] = m
        log_sums[n] = math.log(total)
        losses[n] = loss_of(target, ignore_index, V, math.log(total), pivot - m, spread, smoothing)


@rung("cross_entropy_forward", 2, "one warp a row: maximum and sum in one pass over the row")
@kernel(threads=32 * WARPS)
def cross_entropy_v2(
    logits: Floats, targets: Ids, ignore_index: Int, smoothing: Float,
    losses: Floats, maxima: Floats, log_sums: Floats, N: Count, V: Count,
):  # fmt: skip
    lane = np.uint32(cuda.threadIdx.x) % WARP
    n = np.uint32(cuda.grid(1)) // WARP
    if n < N:
        first, target = n * V, targets[n]
        pivot = pivot_of(logits, first, target, V)
        m, total, spread = NOTHING, np.float32(0), np.float32(0)
        v = lane
        while v < V:
            logit = logits[first + v]
            m, total = take(m, total, logit)
            spread += logit - pivot
            v += WARP
        m, total = merge(m, total)
        spread = warp_sum(spread)
        if lane == 0:
            maxima[n] = m
            log_sums[n] = math.log(total)
            losses[n] = loss_of(target, ignore_index, V, math.log(total), pivot - m, spread, smoothing)


@rung("cross_entropy_forward", 3, "one block a row, 128 bits an access: for rows too long for a warp")
@kernel(threads=THREADS)
def cross_entropy_v3(
    logits: Floats, targets: Ids, ignore_index: Int, smoothing: Float,
    losses: Floats, maxima: Floats, log_sums: Floats, N: Count, V: Count,
):  # fmt: skip
    maxima_of = cuda.shared.array(8, np.float32)  # one of each warp
    totals_of = cuda.shared.array(8, np.float32)
    spreads_of = cuda.shared.array(8, np.float32)
    thread = np.uint32(cuda.threadIdx.x)
    n = np.uint32(cuda.blockIdx.x)
    first, target = n * V, targets[n]
    pivot = pivot_of(logits, first, target, V)
    m, total, spread = NOTHING, np.float32(0), np.float32(0)
    head = (FOUR - first % FOUR) % FOUR  # elements before the first place where four may be read at once
    fours = (V - head) // FOUR
    i = thread
    while i < fours:
        a, b, c, d = load4(logits, first + head + FOUR * i)
        largest = max(max(a, b), max(c, d))
        if largest > m:
            total *= math.exp(m - largest)
            m = largest
        total += (math.exp(a - m) + math.exp(b - m)) + (math.exp(c - m) + math.exp(d - m))
        spread += ((a - pivot) + (b - pivot)) + ((c - pivot) + (d - pivot))
        i += np.uint32(THREADS)
    if thread < V - FOUR * fours:  # the few before and after the fours
        logit = logits[first + (thread if thread < head else thread + FOUR * fours)]
        m, total = take(m, total, logit)
        spread += logit - pivot
    m, total = merge(m, total)
    spread = warp_sum(spread)
    if thread % WARP == 0:
        maxima_of[thread // WARP], totals_of[thread // WARP], spreads_of[thread // WARP] = m, total, spread
    cuda.syncthreads()
    if thread < WARP:  # the first warp takes what the eight have found
        m, total, spread = NOTHING, np.float32(0), np.float32(0)
        if thread < np.uint32(8):
            m, total, spread = maxima_of[thread], totals_of[thread], spreads_of[thread]
        m, total = merge(m, total)
        spread = warp_sum(spread)
        if thread == 0:
            maxima[n] = m
            log_sums[n] = math.log(total)
            losses[n] = loss_of(target, ignore_index, V, math.log(total), pivot - m, spread, smoothing)


# --- backward ---------------------------------------------------------------------------------------------------


@device_function
def gradient_of(target, ignore_index, V, dloss):
    """Of the loss of a row, for which 0 stands where the row is ignored, and NaN where the target is no class."""
    if target == ignore_index:
        return np.float32(0)
    if target < 0 or target >= V:
        return NAN
    return dloss


@device_function
def dlogit(logit, m, scale, even, picked):
    """scale: dloss / sum;  even: dloss * s / V, of every class;  picked: dloss * (1 - s) of the target, 0 of others"""
    return math.exp(logit - m) * scale - even - picked


@rung("cross_entropy_backward", 1, "one thread a row")
@kernel(threads=256)
def cross_entropy_backward_v1(
    dloss: Floats, logits: Floats, targets: Ids, maxima: Floats, log_sums: Floats, ignore_index: Int, smoothing: Float,
    dlogits: Floats, N: Count, V: Count,
):  # fmt: skip
    n = np.uint32(cuda.grid(1))
    if n < N:
        first, target = n * V, targets[n]
        d = gradient_of(target, ignore_index, V, dloss[n])
        scale, even, picked = d * math.exp(-log_sums[n]), d * smoothing / np.float32(V), d * (np.float32(1) - smoothing)
        right = first + np.uint32(target)
        for v in range(V):
            i = first + np.uint32(v)
            dlogits[i] = dlogit(logits[i], maxima[n], scale, even, picked if i == right else np.float32(0))


@rung("cross_entropy_backward", 2, "one warp a row: its lanes read and write neighbours")
@kernel(threads=32 * WARPS)
def cross_entropy_backward_v2(
    dloss: Floats, logits: Floats, targets: Ids, maxima: Floats, log_sums: Floats, ignore_index: Int, smoothing: Float,
    dlogits: Floats, N: Count, V: Count,
):  # fmt: skip
    lane = np.uint32(cuda.threadIdx.x) % WARP
    n = np.uint32(cuda.grid(1)) // WARP
    if n < N:
        first, target, m = n * V, targets[n], maxima[n]
        d = gradient_of(target, ignore_index, V, dloss[n])
        scale, even, picked = d * math.exp(-log_sums[n]), d * smoothing / np.float32(V), d * (np.float32(1) - smoothing)
        right = first + np.uint32(target)
        i = first + lane
        while i < first + V:
            dlogits[i] = dlogit(logits[i], m, scale, even, picked if i == right else np.float32(0))
            i += WARP


@rung("cross_entropy_backward", 3, "one block a row, 128 bits an access: for rows too long for a warp")
@kernel(threads=THREADS)
def cross_entropy_backward_v3(
    dloss: Floats, logits: Floats, targets: Ids, maxima: Floats, log_sums: Floats, ignore_index: Int, smoothing: Float,
    dlogits: Floats, N: Count, V: Count,
):  # fmt: skip
    zero, one, two, three = np.float32(0), np.uint32(1), np.uint32(2), np.uint32(3)
    thread = np.uint32(cuda.threadIdx.x)
    n = np.uint32(cuda.blockIdx.x)
    first, target, m = n * V, targets[n], maxima[n]
    d = gradient_of(target, ignore_index, V, dloss[n])
    scale, even, picked = d * math.exp(-log_sums[n]), d * smoothing / np.float32(V), d * (np.float32(1) - smoothing)
    right = first + np.uint32(target)
    head = (FOUR - first % FOUR) % FOUR
    fours = (V - head) // FOUR
    i = thread
    while i < fours:
        at = first + head + FOUR * i
        x = load4(logits, at)
        store4(
            dlogits, at,
            dlogit(x[0], m, scale, even, picked if at == right else zero),
            dlogit(x[1], m, scale, even, picked if at + one == right else zero),
            dlogit(x[2], m, scale, even, picked if at + two == right else zero),
            dlogit(x[3], m, scale, even, picked if at + three == right else zero),
        )  # fmt: skip
        i += np.uint32(THREADS)
    if thread < V - FOUR * fours:
        at = first + (thread if thread < head else thread + FOUR * fours)
        dlogits[at] = dlogit(logits[at], m, scale, even, picked if at == right else zero)


# --- functions of the row ---------------------------------------------------------------------------------------


def cross_entropy_forward(logits, targets, ignore_index=-100, label_smoothing=0.0):  # (N, V), (N,)
    """Losses (N,), and m and log sum_v exp(logit - m), (N,) each, for backward."""
    logits, targets = contiguous(logits), astype(contiguous(targets), np.int64)
    N, V = logits.shape
    losses, maxima, log_sums = (empty((N,)) for _ in range(3))
    version, launch = _choose(cross_entropy_v2, cross_entropy_v3, N, V, logits)
    version(*launch, logits.flat, targets.flat, ignore_index, label_smoothing,
            losses.flat, maxima.flat, log_sums.flat, N, V)  # fmt: skip
    return losses, maxima, log_sums


def cross_entropy_backward(dloss, logits, targets, m, log_sum, ignore_index=-100, label_smoothing=0.0):
    dloss, logits, targets = contiguous(dloss), contiguous(logits), astype(contiguous(targets), np.int64)
    N, V = logits.shape
    dlogits = empty((N, V))
    version, launch = _choose(cross_entropy_backward_v2, cross_entropy_backward_v3, N, V, logits)
    version(*launch, dloss.flat, logits.flat, targets.flat, contiguous(m).flat, contiguous(log_sum).flat,
            ignore_index, label_smoothing, dlogits.flat, N, V)  # fmt: skip
    return dlogits


def _choose(short, long, N, V, logits):
    """The version for rows of this length, with its grid and block."""
    if V >= LONG and in_fours(0, logits):
        return long, (N, THREADS)
    return short, (-(-N // WARPS), 32 * WARPS)
