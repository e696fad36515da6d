"""Adam, AdamW and SGD: one pass over parameter, gradient and moments. Formulas: kernels/reference/optimizer.py.

For each parameter Adam reads 16 bytes, writes 12, and makes some 16 operations, of which a card does hundreds in the
time that the bytes take. So what counts is that each array is read once and written once, in accesses as wide as
possible. What is the same for all elements, such as 1 - beta1^t, is computed once on the host, in float64.

The last rungs move all parameters of a model in one launch (tables.py), and multiply the gradients by the scale of
clipping.py on the way. If that is 0, they leave everything as it is.
"""

import math

import numpy as np

from .array import DeviceArray
from .device import from_host, full
from .fours import FOUR
from .ladder import rung
from .machine import Count, Flag, Float, Floats, Ids, cuda, device_function, floats_at, kernel, load4, store4
from .tables import ADDRESS, LENGTH, InPlace, piece_of

THREADS = 256


# --- Adam -------------------------------------------------------------------------------------------------------


@device_function
def adam(p, g, m, v, keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps):
    """One parameter's step: new p, m, v.

    keep = 1 - lr * weight_decay of AdamW;  coupled: weight_decay of Adam;  rest = 1 - beta
    rate = lr / (1 - beta1^t);  root = 1 / sqrt(1 - beta2^t)
    """
    g += coupled * p
    m = beta1 * m + rest1 * g
    v = beta2 * v + rest2 * g * g
    return keep * p - rate * m / (math.sqrt(v) * root + eps), m, v


@rung("adam_step", 1, "one thread a parameter")
@kernel(threads=THREADS)
def adam_v1(
    p: Floats, g: Floats, m: Floats, v: Floats, keep: Float, coupled: Float, beta1: Float, rest1: Float,
    beta2: Float, rest2: Float, rate: Float, root: Float, eps: Float, n: Count,
):  # fmt: skip
    i = np.uint32(cuda.grid(1))
    if i < n:
        p[i], m[i], v[i] = adam(
            p[i], g[i], m[i], v[i], keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps
        )  # fmt: skip


@rung("adam_step", 2, "four parameters a thread, 128 bits an access")
@kernel(threads=THREADS)
def adam_v2(
    p: Floats, g: Floats, m: Floats, v: Floats, keep: Float, coupled: Float, beta1: Float, rest1: Float,
    beta2: Float, rest2: Float, rate: Float, root: Float, eps: Float, n: Count,
):  # fmt: skip
    i = FOUR * np.uint32(cuda.grid(1))
    if i < n:
        p4, g4, m4, v4 = load4(p, i), load4(g, i), load4(m, i), load4(v, i)
        a = adam(p4[0], g4[0], m4[0], v4[0], keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps)
        b = adam(p4[1], g4[1], m4[1], v4[1], keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps)
        c = adam(p4[2], g4[2], m4[2], v4[2], keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps)
        d = adam(p4[3], g4[3], m4[3], v4[3], keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps)
        store4(p, i, a[0], b[0], c[0], d[0])
        store4(m, i, a[1], b[1], c[1], d[1])
        store4(v, i, a[2], b[2], c[2], d[2])


ADAM_WIDTH, ADAM_NUMBERS = ADDRESS + 4, 9


@rung("adam_step", 3, "all parameters in one launch, found in a table; the gradients are scaled on the way")
@kernel(threads=THREADS, registers=64)
def adam_v3(table: Ids, numbers: Floats, scale: Floats, arrays: Count):
    """table: p, g, m, v of each array; numbers: keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps."""
    factor = scale[0]
    if factor != 0:
        row, start, end = piece_of(np.uint32(cuda.blockIdx.x), table, np.uint32(ADAM_WIDTH), arrays)
        at, n = row + np.uint32(ADDRESS), table[row + np.uint32(LENGTH)]
        p, g = floats_at(table[at], n), floats_at(table[at + np.uint32(1)], n)
        m, v = floats_at(table[at + np.uint32(2)], n), floats_at(table[at + np.uint32(3)], n)
        k = row // np.uint32(ADAM_WIDTH) * np.uint32(ADAM_NUMBERS)
        keep, coupled, eps = numbers[k], numbers[k + np.uint32(1)], numbers[k + np.uint32(8)]
        beta1, rest1 = numbers[k + np.uint32(2)], numbers[k + np.uint32(3)]
        beta2, rest2 = numbers[k + np.uint32(4)], numbers[k + np.uint32(5)]
        rate, root = numbers[k + np.uint32(6)], numbers[k + np.uint32(7)]
        i = start + FOUR * np.uint32(cuda.threadIdx.x)
        while i + np.uint32(3) < end:
            p4, g4, m4, v4 = load4(p, i), load4(g, i), load4(m, i), load4(v, i)
            g0, g1, g2, g3 = factor * g4[0], factor * g4[1], factor * g4[2], factor * g4[3]
            a = adam(p4[0], g0, m4[0], v4[0], keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps)
            b = adam(p4[1], g1, m4[1], v4[1], keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps)
            c = adam(p4[2], g2, m4[2], v4[2], keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps)
            d = adam(p4[3], g3, m4[3], v4[3], keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps)
            store4(p, i, a[0], b[0], c[0], d[0])
            store4(m, i, a[1], b[1], c[1], d[1])
            store4(v, i, a[2], b[2], c[2], d[2])
            if factor != 1:
                store4(g, i, g0, g1, g2, g3)
            i += np.uint32(4 * THREADS)
        i = end - end % FOUR + np.uint32(cuda.threadIdx.x)  # the last one to three
        if i < end:
            g[i] *= factor
            p[i], m[i], v[i] = adam(
                p[i], g[i], m[i], v[i], keep, coupled, beta1, rest1, beta2, rest2, rate, root, eps
            )  # fmt: skip


def adam_step(p, grad, m, v, *settings):
    """In place: p, m, v."""
    adam_steps([(p, grad, m, v, *settings)])


def adam_steps(moves, scale=1.0):
    """In place: p, m, v of each move, and its gradient if there is a scale."""
    numbers, scale = from_host(np.array([_adam_numbers(*move[4:]) for move in moves], np.float32)), _on_card(scale)
    with InPlace([move[:4] for move in moves], changed=4) as table:
        adam_v3(table.blocks, THREADS, table.rows.flat, numbers.flat, scale.flat, table.arrays)


def _adam_numbers(step, lr, beta1, beta2, eps, weight_decay, decoupled):
    keep = 1 - lr * weight_decay if decoupled else 1.0
    coupled = 0.0 if decoupled else weight_decay
    rate, root = lr / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step)
    return keep, coupled, beta1, 1 - beta1, beta2, 1 - beta2, rate, root, eps


def _on_card(scale):
    return scale if isinstance(scale, DeviceArray) else full((), scale, np.float32)


# --- SGD --------------------------------------------------------------------------------------------------------


@device_function
def sgd(p, g, velocity, momentum, lr, weight_decay):
    """New p and velocity."""
    velocity = momentum * velocity + (g + weight_decay * p)
    return p - lr * velocity, velocity


@rung("sgd_step", 1, "one thread a parameter")
@kernel(threads=THREADS)
def sgd_v1(
    p: Floats, g: Floats, velocity: Floats, remembers: Flag, momentum: Float, lr: Float, weight_decay: Float, n: Count
):
    i = np.uint32(cuda.grid(1))
    if i < n:
        p[i], now = sgd(p[i], g[i], velocity[i] if remembers else np.float32(0), momentum, lr, weight_decay)
        if remembers:
            velocity[i] = now


@rung("sgd_step", 2, "four parameters a thread, 128 bits an access")
@kernel(threads=THREADS)
def sgd_v2(
    p: Floats, g: Floats, velocity: Floats, remembers: Flag, momentum: Float, lr: Float, weight_decay: Float, n: Count
):
    i = FOUR * np.uint32(cuda.grid(1))
    if i < n:
        nothing = np.float32(0)
        p4, g4, v4 = load4(p, i), load4(g, i), (nothing, nothing, nothing, nothing)
        if remembers:
            v4 = load4(velocity, i)
        a = sgd(p4[0], g4[0], v4[0], momentum, lr, weight_decay)
        b = sgd(p4[1], g4[1], v4[1], momentum, lr, weight_decay)
        c = sgd(p4[2], g4[2], v4[2], momentum, lr, weight_decay)
        d = sgd(p4[3], g4[3], v4[3], momentum, lr, weight_decay)
        store4(p, i, a[0], b[0], c[0], d[0])
        if remembers:
            store4(velocity, i, a[1], b[1], c[1], d[1])


SGD_WIDTH, SGD_NUMBERS = ADDRESS + 3, 3


@rung("sgd_step", 3, "all parameters in one launch, found in a table; the gradients are scaled on the way")
@kernel(threads=THREADS, registers=64)
def sgd_v3(table: Ids, numbers: Floats, scale: Floats, arrays: Count):
    """table: p, g, velocity of each array; numbers: momentum, lr, weight_decay.

    Without momentum, p stands in for the velocity: it is read, multiplied by 0, and not written.
    """
    factor = scale[0]
    if factor != 0:
        row, start, end = piece_of(np.uint32(cuda.blockIdx.x), table, np.uint32(SGD_WIDTH), arrays)
        at, n = row + np.uint32(ADDRESS), table[row + np.uint32(LENGTH)]
        p, g = floats_at(table[at], n), floats_at(table[at + np.uint32(1)], n)
        velocity = floats_at(table[at + np.uint32(2)], n)
        k = row // np.uint32(SGD_WIDTH) * np.uint32(SGD_NUMBERS)
        momentum, lr, weight_decay = numbers[k], numbers[k + np.uint32(1)], numbers[k + np.uint32(2)]
        remembers = table[at] != table[at + np.uint32(2)]
        i = start + FOUR * np.uint32(cuda.threadIdx.x)
        while i + np.uint32(3) < end:
            p4, g4, v4 = load4(p, i), load4(g, i), load4(velocity, i)
            g0, g1, g2, g3 = factor * g4[0], factor * g4[1], factor * g4[2], factor * g4[3]
            a = sgd(p4[0], g0, v4[0], momentum, lr, weight_decay)
            b = sgd(p4[1], g1, v4[1], momentum, lr, weight_decay)
            c = sgd(p4[2], g2, v4[2], momentum, lr, weight_decay)
            d = sgd(p4[3], g3, v4[3], momentum, lr, weight_decay)
            store4(p, i, a[0], b[0], c[0], d[0])
            if remembers:
                store4(velocity, i, a[1], b[1], c[1], d[1])
            if factor != 1:
                store4(g, i, g0, g1, g2, g3)
            i += np.uint32(4 * THREADS)
        i = end - end % FOUR + np.uint32(cuda.threadIdx.x)  # the last one to three
        if i < end:
            g[i] *= factor
            p[i], now = sgd(p[i], g[i], velocity[i], momentum, lr, weight_decay)
            if remembers:
                velocity[i] = now


def sgd_step(p, grad, velocity, *settings):
    """In place: p, and velocity, which is None without momentum."""
    sgd_steps([(p, grad, velocity, *settings)])


def sgd_steps(moves, scale=1.0):
    """In place: p and velocity of each move, and its gradient if there is a scale."""
    rows, numbers = [], []
    for p, grad, velocity, lr, momentum, weight_decay in moves:
        rows.append((p, grad, p if velocity is None else velocity))
        numbers.append((0.0 if velocity is None else momentum, lr, weight_decay))
    numbers, scale = from_host(np.array(numbers, np.float32)), _on_card(scale)
    with InPlace(rows, changed=3) as table:
        sgd_v3(table.blocks, THREADS, table.rows.flat, numbers.flat, scale.flat, table.arrays)
