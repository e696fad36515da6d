"""Shapes that every benchmark uses, and how much arithmetic one step of each is."""

from __future__ import annotations

from ..models import GPTConfig

BATCH = {"baby": 12, "char": 8, "gpt2": 4}
VOCABULARY = {"baby": 65, "char": 65, "gpt2": 50257}
CONTEXT = {"baby": 64, "char": 256, "gpt2": 64}  # gpt2: the short context of llm.c's CPU recipe


def bench_config(shape: str) -> GPTConfig:
    return GPTConfig.named(shape, VOCABULARY[shape], block_size=CONTEXT[shape])


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
