"""The kernels in use beside PyTorch's, both on one thread, in turn: A B A B, the ratio of neighbours and its spread.

Ours are the functions of the `cpu` row, inside an arena as in training. PyTorch's forward runs without gradients;
forward + backward goes through torch.autograd.grad, which is how PyTorch offers a backward. Both sides' results are
compared before anything is timed.
"""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import Row, ladders, load
from ..errors import ArgumentError, BackendError
from ..training.workers import ThreadSettings
from .kernels import TOLERANCE, chosen, timed
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


def both_ways(torch, name, stem, forward, backward, call, inputs, dy=None) -> Iterator[Pair]:
    """forward() and backward(what forward returned) of ours beside call(*inputs) and its autograd."""
    with_gradients = [x.requires_grad_() for x in inputs]

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


def attention(torch, row, rng, shape) -> Iterator[Pair]:
    q, k, v, dy = (floats(rng, *shape) for _ in range(4))
    scale = shape[-1] ** -0.5
    return both_ways(
        torch, f"attention {shape} causal", "attention",
        lambda: row.attention_forward(q, k, v, None, True, scale),
        lambda y, lse: row.attention_backward(dy, q, k, v, y, lse, None, True, scale),
        lambda *qkv: torch.nn.functional.scaled_dot_product_attention(*qkv, is_causal=True),
        [torch.from_numpy(x) for x in (q, k, v)], torch.from_numpy(dy),
    )  # fmt: skip


def gelu(torch, row, rng, shape) -> Iterator[Pair]:
    x, dy = floats(rng, *shape), floats(rng, *shape)
    return both_ways(
        torch, f"GELU (tanh) {shape}", "gelu",
        lambda: (row.gelu_forward(x),), lambda y: (row.gelu_backward(dy, x),),
        lambda x: torch.nn.functional.gelu(x, approximate="tanh"), [torch.from_numpy(x)], torch.from_numpy(dy),
    )  # fmt: skip


def layernorm(torch, row, rng, shape) -> Iterator[Pair]:
    x, dy, weight, bias = floats(rng, *shape), floats(rng, *shape), floats(rng, shape[1]), floats(rng, shape[1])
    return both_ways(
        torch, f"layer norm {shape}", "layernorm",
        lambda: row.layernorm_forward(x, weight, bias),
        lambda y, mean, rstd: row.layernorm_backward(dy, x, weight, mean, rstd),
        lambda x, weight, bias: torch.nn.functional.layer_norm(x, shape[1:], weight, bias),
        [torch.from_numpy(a) for a in (x, weight, bias)], torch.from_numpy(dy),
    )  # fmt: skip


def cross_entropy(torch, row, rng, shape) -> Iterator[Pair]:
    N, V = shape
    logits, targets = floats(rng, N, V), rng.integers(0, V, N)
    dlosses, their_targets = np.full(N, 1 / N, np.float32), torch.from_numpy(targets)

    def forward():
        losses, m, log_sums = row.cross_entropy_forward(logits, targets)
        return losses.mean(), m, log_sums

    return both_ways(
        torch, f"cross entropy {shape}", "cross_entropy",
        forward, lambda loss, m, log_sums: (row.cross_entropy_backward(dlosses, logits, targets, m, log_sums),),
        lambda logits: torch.nn.functional.cross_entropy(logits, their_targets), [torch.from_numpy(logits)],
    )  # fmt: skip


def adam(torch, row, rng, size) -> Iterator[Pair]:
    for fused in (None, True):
        yield one_adam(torch, row, floats(rng, size), floats(rng, size), fused)


def one_adam(torch, row, p, g, fused) -> Pair:
    """In place on both sides, and both count their steps."""
    theirs = torch.from_numpy(p.copy()).requires_grad_()
    theirs.grad = torch.from_numpy(g.copy())
    settings = {"lr": 1e-4, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1}
    optimizer = torch.optim.AdamW([theirs], fused=fused, **settings)
    m, v, steps = np.zeros_like(p), np.zeros_like(p), [0]

    def step():
        steps[0] += 1
        row.adam_step(p, g, m, v, steps[0], 1e-4, 0.9, 0.99, 1e-8, 0.1, True)
        return (p,)

    def their_step():
        optimizer.step()
        return (theirs,)

    name = f"AdamW {p.size / 1e6:.3g}M parameters, {'fused' if fused else 'default'}"
    return Pair(name, ("adam_step",), step, their_step)


def pairs(torch, row: Row, quick: bool) -> list[Pair]:
    rng = np.random.default_rng(0)
    if quick:
        shapes: tuple[Any, ...] = ((1, 2, 5, 4), (6, 8), (6, 8), [(6, 5), (4, 30)], 1000)
    else:
        shapes = ((8, 6, 256, 64), (2048, 1536), (2048, 384), [(2048, 65), (256, 50257)], 768 * 3072)
    heads, wide, rows, logits, size = shapes
    return [
        *attention(torch, row, rng, heads), *gelu(torch, row, rng, wide), *layernorm(torch, row, rng, rows),
        *(pair for shape in logits for pair in cross_entropy(torch, row, rng, shape)), *adam(torch, row, rng, size),
    ]  # fmt: skip


def compare(names=None, quick: bool = False) -> list[Compared]:
    """Time all pairs in which a kernel of these names takes part, both sides held to one thread.

    Raises BackendError without PyTorch or Numba, and if the two sides' results differ; ArgumentError for an unknown
    name and for one that nothing is compared with.
    """
    if importlib.util.find_spec("torch") is None:
        raise BackendError("PyTorch is not installed here, so there is nothing to compare with: pip install torch")
    import torch
    from tqdm import tqdm

    row, wanted = load("cpu"), chosen(names, ladders())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadSettings(), row.arena():
            selected = [pair for pair in pairs(torch, row, quick) if wanted & set(pair.kernels)]
            if not selected:
                raise ArgumentError(f"nothing in PyTorch is compared with {', '.join(sorted(wanted))}")
            few = (2, 1e-4) if quick else (ROUNDS, SECONDS)
            return [take_turns(pair, *few) for pair in tqdm(selected, unit="pair", disable=None)]
    finally:
        torch.set_num_threads(threads)


def take_turns(pair: Pair, rounds: int, seconds: float) -> Compared:
    check(pair)
    repeat = max(1, round(seconds / timed(pair.theirs)))
    result = Compared(pair.name, [], [])
    for _ in range(rounds):
        result.ours.append(timed(pair.ours, repeat))
        result.theirs.append(timed(pair.theirs, repeat))
    return result


def check(pair: Pair) -> None:
    for a, b in zip(pair.ours(), pair.theirs(), strict=True):
        expected = b.detach().numpy()
        worst, largest = np.abs(a - expected).max(), np.abs(expected).max()
        if not worst <= TOLERANCE * largest:
            raise BackendError(
                f"{pair.name}: the two sides differ by {worst:.2g} where the largest number is {largest:.2g}; "
                "nothing was timed"
            )


def peer_report(results: list[Compared]) -> str:
    """A line per pair: milliseconds of both sides, the median ratio and its spread; above 1, ours is faster."""
    width = max(len(result.name) for result in results)
    lines = [f"One thread each, {len(results[0].ours)} rounds in turn; medians, and the spread of the ratios."]
    lines.append(f"{'':{width}}   ours ms  torch ms  torch/ours")
    for result in results:
        times = "".join(f"{statistics.median(side) * 1e3:10.3f}" for side in (result.ours, result.theirs))
        ratios = result.ratios
        spread = f"{statistics.median(ratios):8.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        lines.append(f"{result.name:{width}}{times}{spread}")
    return "\n".join(lines)
