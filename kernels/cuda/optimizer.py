"""Adam, AdamW and SGD: one pass over parameter, gradient and moments. Formulas: kernels/reference/optimizer.py.

For each parameter Adam reads 16 bytes, writes 12, and makes some 16 operations, of which a card does hundreds in the
time that the bytes take. So what counts is that each array is read once and written once, in accesses as wide as
possible. What is the same for all parameters, such as 1 - beta1^t, is computed once on the host, in float64.
"""

import math

import numpy as np

from .device import contiguous, copy_into
from .fours import FOUR, in_fours
from .ladder import rung
from .machine import Count, Flag, Float, Floats, cuda, device_function, kernel, load4, store4

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


def adam_step(p, grad, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    """In place: p, m, v."""
    keep = 1 - lr * weight_decay if decoupled else 1.0
    coupled = 0.0 if decoupled else weight_decay
    rate, root = lr / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step)
    grad, (p_, m_, v_) = contiguous(grad), map(contiguous, (p, m, v))
    version, blocks = _choose(adam_v1, adam_v2, p_, grad, m_, v_)
    version(blocks, THREADS, p_.flat, grad.flat, m_.flat, v_.flat,
            keep, coupled, beta1, 1 - beta1, beta2, 1 - beta2, rate, root, eps, p.size)  # fmt: skip
    _write_back((p, p_), (m, m_), (v, v_))


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


def sgd_step(p, grad, velocity, lr, momentum, weight_decay):
    """In place: p, and velocity, which is None without momentum."""
    remembers = velocity is not None
    grad, p_ = contiguous(grad), contiguous(p)
    velocity_ = contiguous(velocity) if remembers else p_  # a kernel wants an array; without momentum it is left alone
    version, blocks = _choose(sgd_v1, sgd_v2, p_, grad, velocity_)
    version(blocks, THREADS, p_.flat, grad.flat, velocity_.flat, remembers, momentum, lr, weight_decay, p.size)
    _write_back((p, p_))
    if remembers:
        _write_back((velocity, velocity_))


def _choose(single, fours, *arrays):
    """The version for these arrays, and its number of blocks."""
    n = arrays[0].size
    return (fours, -(-n // (4 * THREADS))) if in_fours(n, *arrays) else (single, -(-n // THREADS))


def _write_back(*pairs):
    """Into arrays that do not lie in one piece, what was computed in a copy that does."""
    for array, work in pairs:
        if work is not array:
            copy_into(array, work)
