"""Every rung as a function of whole arrays on the card, for benchmarks and tests.

A rung of the ladders is a kernel, or a function that launches a few; each wants a grid of its own, and takes numbers
that the arrays know. Here all rungs of one ladder take the same arrays by the same names as those of `cpu`. Arrays lie
in one piece; what a rung writes, it is given, unless it returns it.
"""

import functools
from collections.abc import Callable

from kernels.ladder import Ladders, Rung

from . import attention, bias, optimizer
from .array import DeviceArray, empty, view_of
from .attention_backward import attention_delta, attention_dkdv_v1, attention_dq_v1
from .attention_forward import attention_by_threads
from .ladder import LADDERS
from .machine import blocks
from .norm import sums_of_squares
from .softmax import LOWEST

THREADS = 256
ROWS = {1: 256, 2: 8, 3: 1}  # rung -> rows of a block: a thread's, a warp's, a block's
WARP_ROWS = {1: 256, 2: 8, 3: 8}

LAUNCHES: dict[str, Callable] = {}


def launches(*kernels):
    """Note how the rungs of these ladders are launched: function(rung, arrays and settings by name)."""

    def register(function):
        LAUNCHES.update(dict.fromkeys(kernels, function))
        return function

    return register


def ladders_on_arrays() -> Ladders:
    """The ladders, with functions of arrays in place of kernels."""
    found = Ladders()
    for kernel, steps in LADDERS.items():
        found[kernel] = [rung._replace(function=functools.partial(LAUNCHES[kernel], rung)) for rung in steps]
    return found


@launches("matmul")
def matmul(rung: Rung, a, b, y):  # (M, K), (K, N), (M, N)
    rung.function(a, b, y)


@launches("column_sums")
def column_sums(rung: Rung, x):  # (N, C) -> (C,)
    if rung.number > 1:
        return bias.column_sums(x)  # launches the second rung twice
    N, C = x.shape
    y = empty((C,))
    rung.function(-(-C // THREADS), THREADS, x.flat, y.flat, N, C)
    return y


def _over_elements(rung: Rung, n: int) -> tuple[int, int]:
    return blocks(n if rung.number < 3 else -(-n // 4), THREADS), THREADS


@launches("gelu_forward")
def gelu_forward(rung: Rung, x, y):
    rung.function(*_over_elements(rung, x.size), x.flat, y.flat, x.size)


@launches("gelu_backward")
def gelu_backward(rung: Rung, dy, x, dx):
    rung.function(*_over_elements(rung, x.size), dy.flat, x.flat, dx.flat, x.size)


@launches("softmax_forward")
def softmax_forward(rung: Rung, x, y):  # (N, C)
    N, C = x.shape
    rung.function(-(-N // ROWS[rung.number]), THREADS, x.flat, LOWEST, y.flat, N, C)


@launches("softmax_backward")
def softmax_backward(rung: Rung, dy, y, dx):  # (N, C)
    N, C = y.shape
    rung.function(-(-N // ROWS[rung.number]), THREADS, dy.flat, y.flat, dx.flat, N, C)


# --- attention: q, k, v, y (heads, T, D), lse (heads, T) --------------------------------------------------------


def _stack(x):  # (heads, T, D) -> (1, heads, T, D), a view
    return DeviceArray(x.lease, x.dtype, (1, *x.shape), (0, *x.strides), x.offset)


@launches("attention_forward")
def attention_forward(rung: Rung, q, k, v, causal, scale, y, lse):
    heads, T, D = q.shape
    given = (q.flat, k.flat, v.flat, causal, scale, y.flat, lse.flat)
    if rung.number == 1:
        rung.function(-(-heads * T // 64), 64, *given, heads, T, T, D)
    elif rung.number == 2:
        version = rung.function if D == 64 else attention_by_threads(D, 128, 32)
        version((-(-T // 128), heads), 128, *given, T, T)
    else:
        attention._forward(*(_stack(x) for x in (q, k, v, y)), _stack(lse), None, causal, scale, (0.0, 0, 0))


@launches("attention_backward")
def attention_backward(rung: Rung, dy, q, k, v, y, lse, causal, scale, dq, dk, dv):
    heads, T, D = q.shape
    if rung.number > 1:
        outputs = (_stack(x) for x in (dq, dk, dv))
        inputs = (_stack(x) for x in (dy, q, k, v, y, lse))
        attention._backward(*inputs, *outputs, None, causal, scale, (0.0, 0, 0))
        return
    delta = empty((heads, T))
    attention_delta(-(-heads * T // 8), THREADS, dy.flat, 0, 0, T * D, D, y.flat, 0, 0, T * D, D, delta.flat,
                    heads, T, D, heads * T)  # fmt: skip
    given = (dy.flat, q.flat, k.flat, v.flat, lse.flat, delta.flat, causal, scale)
    attention_dkdv_v1(-(-heads * T // 64), 64, *given, dk.flat, dv.flat, heads, T, T, D)
    attention_dq_v1(-(-heads * T // 64), 64, *given, dq.flat, heads, T, T, D)


# --- rows: layer norm, cross entropy, embedding -----------------------------------------------------------------


@launches("layernorm_forward")
def layernorm_forward(rung: Rung, x, weight, bias, eps, y, mean, rstd):  # x, y (N, C)
    N, C = x.shape
    rung.function(-(-N // WARP_ROWS[rung.number]), THREADS,
                  x.flat, weight.flat, bias.flat, eps, y.flat, mean.flat, rstd.flat, N, C)  # fmt: skip


@launches("layernorm_backward")
def layernorm_backward(rung: Rung, dy, x, weight, mean, rstd, dx, dweight, dbias):
    arrays = (dy, x, weight, mean, rstd, dx, dweight, dbias)
    rung.function(*(array.flat for array in arrays), *x.shape)


@launches("cross_entropy_forward")
def cross_entropy_forward(rung: Rung, logits, targets, ignore_index, smoothing, losses, maxima, log_sums):
    N, V = logits.shape
    rung.function(-(-N // ROWS[rung.number]), THREADS, logits.flat, targets.flat, ignore_index, smoothing,
                  losses.flat, maxima.flat, log_sums.flat, N, V)  # fmt: skip


@launches("cross_entropy_backward")
def cross_entropy_backward(rung: Rung, dloss, logits, targets, maxima, log_sums, ignore_index, smoothing, dlogits):
    N, V = logits.shape
    rung.function(-(-N // ROWS[rung.number]), THREADS, dloss.flat, logits.flat, targets.flat, maxima.flat,
                  log_sums.flat, ignore_index, smoothing, dlogits.flat, N, V)  # fmt: skip


@launches("embedding_forward")
def embedding_forward(rung: Rung, ids, weight, y):  # ids (N,), weight (V, C), y (N, C)
    (N,), (V, C) = ids.shape, weight.shape
    grid = -(-N * C // THREADS) if rung.number == 1 else -(-N // WARP_ROWS[rung.number])
    rung.function(grid, THREADS, ids.flat, weight.flat, y.flat, N, C, V)


@launches("embedding_backward")
def embedding_backward(rung: Rung, dy, ids, dweight):
    V, C = dweight.shape
    rung.function(dy, ids, dweight, ids.size, C, V)


# --- elements: dropout, optimizers, norm ------------------------------------------------------------------------


def _per_thread(rung: Rung, n: int) -> tuple[int, int]:
    """A thread for each element, from rung 2 on for four."""
    return -(-n // (THREADS if rung.number == 1 else 4 * THREADS)), THREADS


@launches("dropout")
def dropout(rung: Rung, x, start, key, threshold, scale, y):
    rung.function(*_per_thread(rung, x.size), x.flat, start, key, threshold, scale, y.flat, x.size)


@launches("adam_step")
def adam_step(rung: Rung, p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled):
    settings = (step, lr, beta1, beta2, eps, weight_decay, decoupled)
    if rung.number > 2:
        optimizer.adam_step(p, g, m, v, *settings)
        return
    numbers = optimizer._adam_numbers(*settings)
    rung.function(*_per_thread(rung, p.size), p.flat, g.flat, m.flat, v.flat, *numbers, p.size)


@launches("sgd_step")
def sgd_step(rung: Rung, p, g, velocity, lr, momentum, weight_decay):
    if rung.number > 2:
        optimizer.sgd_step(p, g, velocity, lr, momentum, weight_decay)
        return
    settings = (True, momentum, lr, weight_decay)
    rung.function(*_per_thread(rung, p.size), p.flat, g.flat, velocity.flat, *settings, p.size)


@launches("squared_norm")
def squared_norm(rung: Rung, x):
    """The sums that threads or blocks leave, of which all together are the result; 16 elements for each thread."""
    if rung.number > 3:
        return view_of(sums_of_squares([x]), 0)
    grid = blocks(x.size, 16 * THREADS)
    sums = empty((grid * (THREADS if rung.number == 1 else 1),))
    rung.function(grid, THREADS, x.flat, 1.0, sums.flat, 0, x.size)
    return sums
