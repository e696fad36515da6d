"""One step of each optimizer, written into the parameter and its moments in place.

Adam (Kingma & Ba 2015, algorithm 1), with t counted from 1:
    m = beta1 m + (1 - beta1) g            m' = m / (1 - beta1^t)
    v = beta2 v + (1 - beta2) g^2          v' = v / (1 - beta2^t)
    p = p - lr * m' / (sqrt(v') + eps)
Weight decay is added to g (Adam), or shrinks p directly (AdamW, Loshchilov & Hutter 2019, algorithm 2).
"""

import math

import numpy as np


def adam_step(p, grad, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    if weight_decay and decoupled:
        p *= 1 - lr * weight_decay
    elif weight_decay:
        grad = grad + weight_decay * p
    m *= beta1
    m += (1 - beta1) * grad
    v *= beta2
    v += (1 - beta2) * (grad * grad)
    denominator = np.sqrt(v) / math.sqrt(1 - beta2**step) + eps
    p -= (lr / (1 - beta1**step)) * (m / denominator)


def adam_steps(moves, scale=1.0):
    """adam_step(*move) for each of `moves`, its gradient multiplied by scale first. Nothing happens if scale is 0.

    On a card this is one launch for all, and scale may lie there; see clip_scale.
    """
    for p, grad, *rest in moves:
        if scaled(grad, scale):
            adam_step(p, grad, *rest)


def sgd_step(p, grad, velocity, lr, momentum, weight_decay):
    """velocity = momentum * velocity + g;  p = p - lr * velocity.  Without momentum, velocity is None."""
    if weight_decay:
        grad = grad + weight_decay * p
    if velocity is not None:
        velocity *= momentum
        velocity += grad
        grad = velocity
    p -= lr * grad


def sgd_steps(moves, scale=1.0):
    """sgd_step(*move) for each of `moves`; scale as in adam_steps."""
    for p, grad, *rest in moves:
        if scaled(grad, scale):
            sgd_step(p, grad, *rest)


def scaled(grad, scale):
    """grad *= scale, in place; False if scale is 0: then it is left as it was, for it is not to be used."""
    if scale not in (0, 1):
        np.multiply(grad, scale, out=grad)
    return scale != 0
