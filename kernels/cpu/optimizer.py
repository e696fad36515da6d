"""AdamW and Adam, one pass over parameter, gradient and moments. Formulas: kernels/reference/optimizer.py."""

import math

import numpy as np

from .arena import contiguous
from .jit import kernel
from .ladder import rung


@rung("adam_step", 1, "the formula, element by element")
@kernel
def adam_v1(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    for i in range(p.size):
        gi = g[i]
        if decoupled:
            p[i] -= lr * weight_decay * p[i]
        else:
            gi += weight_decay * p[i]
        m[i] = beta1 * m[i] + (1 - beta1) * gi
        v[i] = beta2 * v[i] + (1 - beta2) * gi * gi
        p[i] -= lr * (m[i] / (1 - beta1**step)) / (math.sqrt(v[i] / (1 - beta2**step)) + eps)


@rung("adam_step", 2, "what is the same for all elements is computed once, and in the array's own type")
@kernel
def adam_v2(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    number = p.dtype.type
    keep = number(1 - lr * weight_decay if decoupled else 1.0)
    coupled = number(0.0 if decoupled else weight_decay)
    b1, c1, b2, c2 = number(beta1), number(1 - beta1), number(beta2), number(1 - beta2)
    rate, root, e = number(lr / (1 - beta1**step)), number(1 / math.sqrt(1 - beta2**step)), number(eps)
    for i in range(p.size):
        gi = g[i] + coupled * p[i]
        mi = b1 * m[i] + c1 * gi
        vi = b2 * v[i] + c2 * gi * gi
        m[i] = mi
        v[i] = vi
        p[i] = p[i] * keep - rate * mi / (np.sqrt(vi) * root + e)


def adam_step(p, grad, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    settings = (int(step), float(lr), float(beta1), float(beta2), float(eps), float(weight_decay), bool(decoupled))
    grad = contiguous(grad).reshape(-1)
    if p.flags.c_contiguous and m.flags.c_contiguous and v.flags.c_contiguous:
        adam_v2(p.reshape(-1), grad, m.reshape(-1), v.reshape(-1), *settings)
        return
    copies = [np.array(a, order="C") for a in (p, m, v)]  # those that do not lie in one piece
    adam_v2(copies[0].reshape(-1), grad, copies[1].reshape(-1), copies[2].reshape(-1), *settings)
    for array, moved in zip((p, m, v), copies, strict=True):
        array[...] = moved


def adam_steps(moves, scale=1.0):
    """adam_step(*move) for each of `moves`, its gradient multiplied by scale first. Nothing happens if scale is 0."""
    for p, grad, *rest in moves:
        if scale not in (0, 1):
            np.multiply(grad, scale, out=grad)
        if scale != 0:
            adam_step(p, grad, *rest)
