"""Shapes that every benchmark uses, and how much arithmetic one step of each is."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import ArgumentError
from ..models import GPTConfig


class Problem(NamedTuple):
    """What belongs to a shape of models/config.py: V, T and B of a training step."""

    vocabulary: int
    context: int
    batch: int


PROBLEMS = {
    "baby": Problem(65, 64, 12),
    "char": Problem(65, 256, 8),
    "gpt2": Problem(50257, 64, 4),  # the short context of llm.c's CPU recipe
}
ON_A_CARD = {
    "baby": Problem(65, 64, 12),
    "char": Problem(65, 256, 64),  # nanoGPT's recipe for a card
    "gpt2": Problem(50257, 1024, 8),
    "tiny": Problem(11, 4, 2),  # for the simulated card: to see everything run
}


def problem(shape: str, backend: str = "cpu") -> Problem:
    """Raises ArgumentError for a shape that this row has no problem for."""
    known = ON_A_CARD if backend == "cuda" else PROBLEMS
    if shape not in known:
        raise ArgumentError(f"the {backend!r} row has no benchmark of the shape {shape!r}; it has {', '.join(known)}")
    return known[shape]


def bench_config(shape: str, backend: str = "cpu") -> GPTConfig:
    vocabulary, context, _ = problem(shape, backend)
    if shape == "tiny":
        return GPTConfig(vocab_size=vocabulary, block_size=context, n_layer=1, n_head=2, n_embd=8)
    return GPTConfig.named(shape, vocabulary, block_size=context)


def matrix_products(config: GPTConfig, batch: float) -> list[tuple[int, int, int, int, int]]:
    """(stack, n, k, m, times) for all products (n, k) @ (k, m) of one training step on `batch` sequences.

    A linear layer costs three: y = x W, dx = dy W^T, dW = x^T dy. Attention costs two forward (scores, weighted sum)
    and five backward (the scores again, and four gradients), less the causal half that need not be computed.
    """
    C, V, T, H = config.n_embd, config.vocab_size, config.block_size, config.n_head
    N, D = round(batch * T), config.n_embd // config.n_head
    products = []
    for inner, outer, times in [(C, 3 * C, config.n_layer), (C, C, config.n_layer), (C, 4 * C, config.n_layer),
                                (4 * C, C, config.n_layer), (C, V, 1)]:  # fmt: skip
        products += [(1, N, inner, outer, times), (1, N, outer, inner, times), (1, inner, N, outer, times)]
    heads = round(batch * H)
    products += [(heads, T, D, T // 2, 3 * config.n_layer), (heads, T, T // 2, D, 4 * config.n_layer)]
    return products


def step_flops(config: GPTConfig, batch: float) -> float:
    """Floating-point operations of those products: 2 n k m each."""
    return sum(2.0 * stack * n * k * m * times for stack, n, k, m, times in matrix_products(config, batch))
