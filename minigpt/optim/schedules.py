"""Learning rate as a function of the step, which is counted from 0."""

from __future__ import annotations

import math

from ..errors import ArgumentError


def cosine_warmup(step, warmup, total, lr, min_lr) -> float:
    """Rise in a line over `warmup` steps to lr, fall along half a cosine to min_lr at `total`, stay there.

        step < warmup:   lr * (step + 1) / (warmup + 1)
        then:            min_lr + (lr - min_lr) * (1 + cos(pi * (step - warmup) / (total - warmup))) / 2

    Source:  Loshchilov & Hutter 2017, equation 5, with linear warm-up (Goyal et al. 2017)
    """
    if step < 0 or warmup < 0 or total < warmup:
        raise ArgumentError(f"cosine_warmup needs step >= 0 and 0 <= warmup <= total, got {step}, {warmup}, {total}")
    if step < warmup:
        return lr * (step + 1) / (warmup + 1)
    if step >= total:
        return float(min_lr)
    progress = (step - warmup) / (total - warmup)
    return min_lr + (lr - min_lr) * 0.5 * (1 + math.cos(math.pi * progress))


def noam(step, warmup, d_model) -> float:
    """d_model^-0.5 * min(t^-0.5, t * warmup^-1.5) with t = max(step, 1): up in a line, down as 1 / sqrt(t)

    Source:  Vaswani et al. 2017, equation 3
    """
    if step < 0 or warmup < 1 or d_model < 1:
        raise ArgumentError(f"noam needs step >= 0, warmup >= 1, d_model >= 1, got {step}, {warmup}, {d_model}")
    t = max(step, 1)
    return d_model**-0.5 * min(t**-0.5, t * warmup**-1.5)
