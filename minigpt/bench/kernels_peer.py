"""The kernels in use beside PyTorch's, both on one thread, in turn: A B A B, the ratio of neighbours and its spread.

Ours are the functions of the `cpu` row, inside an arena as in training. PyTorch's forward runs without gradients;
forward + backward goes through torch.autograd.grad, which is how PyTorch offers a backward. Both sides' results are
compared before anything is timed.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import Row, ladders, load
from ..errors import ArgumentError, BackendError
from ..training.workers import ThreadSettings
from .kernels import TOLERANCE, chosen, installed_torch, timed
from .kernels_cases import floats

ROUNDS = 9
SECONDS = 0.03  # of PyTorch's side in each turn


@dataclass(frozen=True)
class Pair:
    """The same work on both sides; each returns its results, arrays here and tensors there."""

    name: str
    kernels: tuple[str, ...]  # the ladders whose last rung takes part
    ours: Callable[[], tuple]
    theirs: Callable[[], tuple]


@dataclass(frozen=True)
class Compared:
    name: str
    ours: list[float]  # seconds, round by round
    theirs: list[float]

    @property
    def ratios(self) -> list[float]:
        return sorted(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True))


@dataclass(frozen=True)
class Both:
    """The two sides: a row of the kernel table, and PyTorch on the same device."""

    row: Row
    torch: Any
    device: str = "cpu"

    def arrays(self, rng, *shapes) -> tuple[list, list]:
        """Random arrays of these shapes for our side, and the same as tensors."""
        hosts = [floats(rng, *shape) for shape in shapes]
        return [self.row.from_host(x) for x in hosts], [self.tensor(x) for x in hosts]

    def tensor(self, host):
        return self.torch.from_numpy(host).to(self.device)

    def host(self, x) -> np.ndarray:
        """A result of either side as a NumPy array."""
        return x.detach().cpu().numpy() if isinstance(x, self.torch.Tensor) else self.row.to_host(x)


def both_ways(both, name, stem, forward, backward, call, inputs, dy=None) -> Iterator[Pair]:
    """forward() and backward(what forward returned) of ours beside call(*inputs) and its autograd."""
    torch, with_gradients = both.torch, [x.requires_grad_() for x in inputs]

    def theirs():
        with torch.no_grad():
            return (call(*with_gradients),)

    def ours():
        return forward()[:1]

    yield Pair(f"{name} forward", (f"{stem}_forward",), ours, theirs)
    kernels = (f"{stem}_forward", f"{stem}_backward")
    yield Pair(
        f"{name} forward + backward", kernels, lambda: backward(*forward()),
        lambda: torch.autograd.grad(call(*with_gradients), with_gradients, dy),
    )  # fmt: skip


def attention(both, rng, shape, call=None, name="") -> Iterator[Pair]:
    """call: PyTorch's side, its default if none is given"""
    row, ((q, k, v, dy), (*inputs, their_dy)) = both.row, both.arrays(rng, *[shape] * 4)
    scale, default = shape[-1] ** -0.5, both.torch.nn.functional.scaled_dot_product_attention
    return both_ways(
        both, f"attention {shape} causal{name}", "attention",
        lambda: row.attention_forward(q, k, v, None, True, scale),
        lambda y, lse: row.attention_backward(dy, q, k, v, y, lse, None, True, scale),
        call or functools.partial(default, is_causal=True), inputs, their_dy,
    )  # fmt: skip


def gelu(both, rng, shape) -> Iterator[Pair]:
    row, ((x, dy), (their_x, their_dy)) = both.row, both.arrays(rng, shape, shape)
    return both_ways(
        both, f"GELU (tanh) {shape}", "gelu",
        lambda: (row.gelu_forward(x),), lambda y: (row.gelu_backward(dy, x),),
        functools.partial(both.torch.nn.functional.gelu, approximate="tanh"), [their_x], their_dy,
    )  # fmt: skip


def layernorm(both, rng, shape) -> Iterator[Pair]:
    C = shape[1:]
    row, ((x, weight, bias, dy), (*inputs, their_dy)) = both.row, both.arrays(rng, shape, C, C, shape)
    return both_ways(
        both, f"layer norm {shape}", "layernorm",
        lambda: row.layernorm_forward(x, weight, bias),
        lambda y, mean, rstd: row.layernorm_backward(dy, x, weight, mean, rstd),
        lambda x, weight, bias: both.torch.nn.functional.layer_norm(x, C, weight, bias), inputs, their_dy,
    )  # fmt: skip


def cross_entropy(both, rng, shape) -> Iterator[Pair]:
    """The mean over the rows."""
    row, ((logits,), inputs), N = both.row, both.arrays(rng, shape), shape[0]
    ids = rng.integers(0, shape[1], N)
    targets, their_targets = row.from_host(ids), both.tensor(ids)
    dlosses = row.full((N,), 1 / N, np.float32)

    def forward():
        losses, m, log_sums = row.cross_entropy_forward(logits, targets)
        return row.multiply(row.sum(losses, (0,)), np.float32(1 / N)), m, log_sums

    return both_ways(
        both, f"cross entropy {shape}", "cross_entropy",
        forward, lambda loss, m, log_sums: (row.cross_entropy_backward(dlosses, logits, targets, m, log_sums),),
        lambda logits: both.torch.nn.functional.cross_entropy(logits, their_targets), inputs,
    )  # fmt: skip


def adam(both, rng, size) -> Iterator[Pair]:
    for fused in (None, True):
        yield one_adam(both, floats(rng, size), floats(rng, size), fused)


def one_adam(both, parameters, gradient, fused) -> Pair:
    """In place on both sides, and both count their steps."""
    row = both.row
    theirs = both.tensor(parameters.copy()).requires_grad_()
    theirs.grad = both.tensor(gradient.copy())
    settings = {"lr": 1e-4, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1}
    optimizer = both.torch.optim.AdamW([theirs], fused=fused, **settings)
    p, g = row.from_host(parameters), row.from_host(gradient)
    m, v, steps = row.zeros(p.shape, np.float32), row.zeros(p.shape, np.float32), [0]

    def step():
        steps[0] += 1
        row.adam_step(p, g, m, v, steps[0], 1e-4, 0.9, 0.99, 1e-8, 0.1, True)
        return (p,)

    def their_step():
        optimizer.step()
        return (theirs,)

    name = f"AdamW {p.size / 1e6:.3g}M parameters, {'fused' if fused else 'default'}"
    return Pair(name, ("adam_step",), step, their_step)


def pairs(both: Both, quick: bool) -> list[Pair]:
    rng = np.random.default_rng(0)
    if quick:
        shapes: tuple[Any, ...] = ((1, 2, 5, 4), (6, 8), (6, 8), [(6, 5), (4, 30)], 1000)
    else:
        shapes = ((8, 6, 256, 64), (2048, 1536), (2048, 384), [(2048, 65), (256, 50257)], 768 * 3072)
    heads, wide, rows, logits, size = shapes
    return [
        *attention(both, rng, heads), *gelu(both, rng, wide), *layernorm(both, rng, rows),
        *(pair for shape in logits for pair in cross_entropy(both, rng, shape)), *adam(both, rng, size),
    ]  # fmt: skip


def compare(names=None, quick: bool = False) -> list[Compared]:
    """Time all pairs in which a kernel of these names takes part, both sides held to one thread.

    Raises BackendError without PyTorch or Numba, and if the two sides' results differ; ArgumentError for an unknown
    name and for one that nothing is compared with.
    """
    torch = installed_torch()
    from tqdm import tqdm

    both, wanted = Both(load("cpu"), torch), chosen(names, ladders())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadSettings(), both.row.arena():
            selected = concerned(pairs(both, quick), wanted)
            few = (2, 1e-4) if quick else (ROUNDS, SECONDS)
            return [take_turns(both, pair, *few) for pair in tqdm(selected, unit="pair", disable=None)]
    finally:
        torch.set_num_threads(threads)


def concerned(every: list[Pair], wanted: set[str]) -> list[Pair]:
    """The pairs in which one of these kernels takes part. Raises ArgumentError if there is none."""
    selected = [pair for pair in every if wanted & set(pair.kernels)]
    if not selected:
        raise ArgumentError(f"nothing in PyTorch is compared with {', '.join(sorted(wanted))}")
    return selected


def take_turns(both: Both, pair: Pair, rounds: int, seconds: float) -> Compared:
    check(both, pair)
    repeat = max(1, round(seconds / timed(pair.theirs)))
    result = Compared(pair.name, [], [])
    for _ in range(rounds):
        result.ours.append(timed(pair.ours, repeat))
        result.theirs.append(timed(pair.theirs, repeat))
    return result


def check(both: Both, pair: Pair) -> None:
    for a, b in zip(pair.ours(), pair.theirs(), strict=True):
        got, expected = both.host(a), both.host(b)
        worst, largest = np.abs(got - expected).max(), np.abs(expected).max()
        if not worst <= TOLERANCE * largest:
            raise BackendError(
                f"{pair.name}: the two sides differ by {worst:.2g} where the largest number is {largest:.2g}; "
                "nothing was timed"
            )


def peer_report(results: list[Compared]) -> str:
    """A line per pair: milliseconds of both sides, the median ratio and its spread; above 1, ours is faster."""
    head = f"One thread each, {len(results[0].ours)} rounds in turn; medians, and the spread of the ratios."
    return peer_table(head, results)


def peer_table(head: str, results: list[Compared]) -> str:
    width = max(len(result.name) for result in results)
    lines = [head, f"{'':{width}}   ours ms  torch ms  torch/ours"]
    for result in results:
        times = "".join(f"{statistics.median(side) * 1e3:10.3f}" for side in (result.ours, result.theirs))
        ratios = result.ratios
        spread = f"{statistics.median(ratios):8.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        lines.append(f"{result.name:{width}}{times}{spread}")
    return "\n".join(lines)
