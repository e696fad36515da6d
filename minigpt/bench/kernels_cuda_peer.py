"""The CUDA kernels in use beside PyTorch's on the same card, in turn: A B A B, the ratio of neighbours and its spread.

As kernels_peer.py, whose pairs these are on larger problems, with matrix products and softmax added; timed as in
kernels_cuda.py. PyTorch computes in float32 without TF32. Its attention is the fastest of the backends that take
float32, found by trying; its optimizer the fused one, and the default.
"""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np

from ..backend import ladders, load
from ..errors import ArgumentError, BackendError
from . import kernels_peer
from .kernels import chosen
from .kernels_cuda import CACHES, QUICK, CardClock, Effort, Rotating, torch_beside_card
from .kernels_peer import Both, Compared, Pair, both_ways, concerned

ROUNDS = 9
BACKENDS = ("EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "FLASH_ATTENTION", "MATH")  # of torch.nn.attention.SDPBackend

Maker = Callable[[Both, np.random.Generator], Iterator[Pair]]


def matmul(both: Both, rng, shape) -> Iterator[Pair]:
    n, k, m = shape
    (a, b), (their_a, their_b) = both.arrays(rng, (n, k), (k, m))
    yield Pair(f"matmul ({n}, {k}) @ ({k}, {m})", ("matmul",), lambda: (both.row.matmul(a, b),),
               lambda: (both.torch.mm(their_a, their_b),))  # fmt: skip


def softmax(both: Both, rng, shape) -> Iterator[Pair]:
    row, ((x, dy), (their_x, their_dy)) = both.row, both.arrays(rng, shape, shape)
    return both_ways(
        both, f"softmax {shape}", "softmax", lambda: (row.softmax_forward(x),),
        lambda y: (row.softmax_backward(dy, y),), lambda x: both.torch.softmax(x, -1), [their_x], their_dy,
    )  # fmt: skip


def attention_by(both: Both, backend: str):
    """PyTorch's attention, causal, by one of its backends; its reasons for not having one are not warned of."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def call(q, k, v):
        with sdpa_kernel(getattr(SDPBackend, backend)), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return both.torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    return call


def fastest_attention(both: Both, clock: CardClock, effort: Effort, shape) -> str:
    """The backend that takes the least time forward."""
    _, (q, k, v) = both.arrays(np.random.default_rng(0), *[shape] * 3)
    seconds = {}
    for backend in BACKENDS:
        call = attention_by(both, backend)
        with contextlib.suppress(RuntimeError, AttributeError):  # not for float32, or not in this version
            call(q, k, v)
            seconds[backend] = clock.plan(lambda call=call: call(q, k, v), effort).time(clock)
    if not seconds:
        raise BackendError(f"PyTorch has no attention for float32 here; tried {', '.join(BACKENDS)}")
    return min(seconds, key=lambda backend: seconds[backend])


def problems(both: Both, clock: CardClock, effort: Effort, quick: bool) -> list[tuple[tuple[str, ...], int, Maker]]:
    """(kernels, bytes that the arrays of one set take at least, maker of pairs) of each problem."""
    if quick:
        product, heads, wide, rows, long, logits, size = (6, 8, 10), (1, 2, 5, 4), (6, 8), (6, 8), (6, 9), (4, 30), 100
    else:
        product, heads, wide, rows = (4096, 4096, 4096), (8, 16, 2048, 64), (16384, 3072), (16384, 768)
        long, logits, size = (16384, 2048), (4096, 50257), 768 * 50257

    fastest = functools.cache(lambda: fastest_attention(both, clock, effort, heads))

    def attention(both, rng):
        backend = fastest()
        name = f", PyTorch's {backend.lower()}"
        return kernels_peer.attention(both, rng, heads, attention_by(both, backend), name)

    def both_directions(stem):
        return f"{stem}_forward", f"{stem}_backward"

    return [
        (("matmul",), 12 * product[0] ** 2, lambda both, rng: matmul(both, rng, product)),
        (both_directions("attention"), 16 * math.prod(heads), attention),
        (both_directions("gelu"), 8 * math.prod(wide), lambda both, rng: kernels_peer.gelu(both, rng, wide)),
        (both_directions("layernorm"), 8 * math.prod(rows), lambda both, rng: kernels_peer.layernorm(both, rng, rows)),
        (both_directions("softmax"), 8 * math.prod(long), lambda both, rng: softmax(both, rng, long)),
        (both_directions("cross_entropy"), 4 * math.prod(logits),
         lambda both, rng: kernels_peer.cross_entropy(both, rng, logits)),
        (("adam_step",), 16 * size, lambda both, rng: kernels_peer.adam(both, rng, size)),
    ]  # fmt: skip


def compare_on_card(names=None, quick: bool = False) -> list[Compared]:
    """Time all pairs in which a kernel of these names takes part.

    Raises BackendError without a card or without PyTorch for it, and if the two sides' results differ; ArgumentError
    for an unknown name, for one that nothing is compared with, and for real sizes on the simulated card.
    """
    from tqdm import tqdm

    wanted, clock = chosen(names, ladders("cuda")), CardClock()
    both = Both(load("cuda"), *torch_beside_card())
    if clock.card.SIMULATED and not quick:
        raise ArgumentError("the simulated card is thousands of times too slow for real sizes: add --quick")
    effort, rounds = (QUICK, 1) if quick else (Effort(), ROUNDS)
    every = problems(both, clock, effort, quick)
    if not wanted & {kernel for kernels, *_ in every for kernel in kernels}:
        concerned([], wanted)
    results = []
    for kernels, nbytes, make in tqdm(every, unit="problem", disable=None):
        if wanted & set(kernels):
            clock.card.give_back()
            count = max(1, math.ceil(CACHES * clock.card.l2_bytes() / nbytes))
            for pair in concerned(rotating(both, make, count), wanted):
                results.append(take_turns(both, pair, clock, effort, rounds))
    return results


def rotating(both: Both, make: Maker, count: int) -> list[Pair]:
    """The pairs of one problem, each with `count` sets of arrays that take turns."""
    rng = np.random.default_rng(0)
    sets = [list(make(both, rng)) for _ in range(count)]
    return [
        Pair(same[0].name, same[0].kernels, Rotating([p.ours for p in same]), Rotating([p.theirs for p in same]))
        for same in zip(*sets, strict=True)
    ]


def take_turns(both: Both, pair: Pair, clock: CardClock, effort: Effort, rounds: int) -> Compared:
    """Check, warm up, and time in turn."""
    kernels_peer.check(both, pair)
    ours, theirs = clock.plan(pair.ours, effort), clock.plan(pair.theirs, effort)
    result = Compared(pair.name, [], [])
    for _ in range(rounds):
        result.ours.append(ours.time(clock))
        result.theirs.append(theirs.time(clock))
    return result
