"""Cross entropy fused with softmax. Formulas: kernels/reference/cross_entropy.py."""

import math

import numpy as np

from .arena import contiguous, empty
from .jit import exp, kernel, largest
from .ladder import rung


@rung("cross_entropy_forward", 1, "one loop per term, with math.exp")
@kernel
def cross_entropy_v1(logits, targets, ignore_index, smoothing, losses, maxima, log_sums):  # logits (N, V)
    N, V = logits.shape
    for n in range(N):
        m = -np.inf
        for v in range(V):
            m = max(m, logits[n, v])
        total, shifted_sum = 0.0, 0.0
        for v in range(V):
            total += math.exp(logits[n, v] - m)
            shifted_sum += logits[n, v] - m
        maxima[n], log_sums[n] = m, math.log(total)
        if targets[n] == ignore_index:
            losses[n] = 0
        else:
            losses[n] = math.log(total) - (1 - smoothing) * (logits[n, targets[n]] - m)
            if smoothing > 0:
                losses[n] -= smoothing * shifted_sum / V


@rung("cross_entropy_forward", 2, "our exp, sums in the array's own type: every loop is vectorised")
@kernel
def cross_entropy_v2(logits, targets, ignore_index, smoothing, losses, maxima, log_sums):  # logits (N, V)
    N, V = logits.shape
    number = logits.dtype.type
    for n in range(N):
        m = largest(logits[n])
        total = number(0)
        for v in range(V):
            total += exp(logits[n, v] - m)
        log_sum = np.log(total)
        maxima[n], log_sums[n] = m, log_sum
        losses[n] = number(0)
        if targets[n] != ignore_index:
            loss = log_sum - number(1 - smoothing) * (logits[n, targets[n]] - m)
            if smoothing > 0:
                shifted_sum = number(0)
                for v in range(V):
                    shifted_sum += logits[n, v] - m
                loss -= number(smoothing / V) * shifted_sum
            losses[n] = loss


@rung("cross_entropy_backward", 1, "softmax minus target, with math.exp")
@kernel
def cross_entropy_backward_v1(dloss, logits, targets, maxima, log_sums, ignore_index, smoothing, dlogits):
    N, V = logits.shape
    for n in range(N):
        for v in range(V):
            target = smoothing / V + (1 - smoothing if v == targets[n] else 0.0)
            p = math.exp(logits[n, v] - maxima[n] - log_sums[n])
            dlogits[n, v] = dloss[n] * (p - target) if targets[n] != ignore_index else 0.0


@rung("cross_entropy_backward", 2, "our exp; the target's own term outside the loop")
@kernel
def cross_entropy_backward_v2(dloss, logits, targets, maxima, log_sums, ignore_index, smoothing, dlogits):
    N, V = logits.shape
    number = logits.dtype.type
    for n in range(N):
        if targets[n] == ignore_index:
            for v in range(V):
                dlogits[n, v] = number(0)
            continue
        d, m, log_sum = dloss[n], maxima[n], log_sums[n]
        spread = d * number(smoothing / V)
        for v in range(V):
            dlogits[n, v] = d * exp(logits[n, v] - m - log_sum) - spread
        dlogits[n, targets[n]] -= d * number(1 - smoothing)


def cross_entropy_forward(logits, targets, ignore_index=-100, label_smoothing=0.0):  # (N, V), (N,)
    logits = contiguous(logits)
    N = len(targets)
    losses, maxima, log_sums = (empty((N,), logits.dtype) for _ in range(3))
    cross_entropy_v2(logits, targets, ignore_index, label_smoothing, losses, maxima, log_sums)
    return losses, maxima, log_sums


def cross_entropy_backward(dloss, logits, targets, m, log_sum, ignore_index=-100, label_smoothing=0.0):
    logits, dloss = contiguous(logits), contiguous(dloss)
    dlogits = empty(logits.shape, logits.dtype)
    cross_entropy_backward_v2(dloss, logits, targets, m, log_sum, ignore_index, label_smoothing, dlogits)
    return dlogits
