"""What the gradients of a step are multiplied by: the mean over the batch, and clipping by their common norm.

    norm = mean * sqrt(sum of all squares);  scale = mean * min(1, max_norm / (norm + 1e-6))

Source: Pascanu, Mikolov & Bengio 2013, section 3.2; the 1e-6 is PyTorch's, kept so that both agree
"""

import itertools
import math

import numpy as np


def clip_scale(squares, losses, mean, max_norm, before=1.0):
    """(scale, norm); on a card both stay there, so that nobody has to wait for them.

    squares:  what squared_norms returned, once or several times
    losses:   the sums of losses that the gradients belong to, each an array of one number
    mean:     1 / number of losses in those sums

    The scale is 0, and then nothing is to move, if the norm or a loss is NaN or Inf, or if `before`, the scale of the
    step before, was 0: what comes after a step that failed does not happen either.
    """
    norm = mean * math.sqrt(math.fsum(itertools.chain.from_iterable(squares)))
    fine = before != 0 and math.isfinite(norm) and all(np.isfinite(loss) for loss in losses)
    return (mean * min(1.0, max_norm / (norm + 1e-6)) if fine else 0.0), norm


def scale_all(arrays, factor):
    """x *= factor for each x of `arrays`, in place."""
    for x in arrays:
        np.multiply(x, factor, out=x)
