"""The sides of the decoding benchmark, each alive in a process of its own (see sides.py); one step is one text.

    python -m minigpt.bench.decode_sides ours gpt2 16 64 2        shape, prompt and new tokens, threads

A text is a prompt of random ids continued greedily, one sequence, with a key–value cache, by a model with random
weights: its speed does not depend on what it says.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..backend import load, use
from ..errors import ArgumentError
from ..models import GPT, GPTConfig
from .shapes import problem
from .sides import BenchSide, serve


def decode_config(shape: str) -> GPTConfig:
    return GPTConfig.named(shape, problem(shape).vocabulary)


def prompt_ids(config: GPTConfig, prompt: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, config.vocab_size, (1, prompt))


def token_bytes(config: GPTConfig) -> tuple[int, int]:
    """Bytes of weights that one token reads at least: in float32, and with matrices of int8 and their scales.

    Everything but the tables of tokens and positions, of which it reads a row; the head is the table of tokens, whole.
    """
    C, V, L, bias = config.n_embd, config.vocab_size, config.n_layer, config.bias
    matrices = L * 12 * C * C + V * C
    outputs = L * 9 * C + V  # one scale each
    small = L * (2 * C + bias * 11 * C) + C + bias * C  # layer norms and biases
    return 4 * (matrices + small), matrices + 4 * (outputs + small)


class Ours(BenchSide):
    """minigpt on its cpu row, with float32 weights or int8."""

    def __init__(self, shape, prompt, new, threads, int8=False):
        import numba
        from threadpoolctl import threadpool_limits

        use("cpu")
        numba.set_num_threads(min(threads, numba.get_num_threads()))
        self.limits = threadpool_limits(threads, user_api="blas")
        config = decode_config(shape)
        model = GPT(config, seed=0).eval()
        self.model = model.quantize() if int8 else model
        self.ids, self.new = prompt_ids(config, prompt), new

    def step(self):
        self.model.generate(self.ids, self.new, temperature=0)


class Transformers(BenchSide):
    """Hugging Face's GPT2LMHeadModel.generate, as its documentation shows it."""

    def __init__(self, shape, prompt, new, threads):
        import torch
        from transformers import GPT2Config, GPT2LMHeadModel

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        config = decode_config(shape)
        self.torch, self.new = torch, new
        theirs = GPT2Config(
            vocab_size=config.vocab_size, n_positions=config.block_size, n_embd=config.n_embd, n_layer=config.n_layer,
            n_head=config.n_head, bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
        self.model = GPT2LMHeadModel(theirs).eval()
        self.ids = torch.from_numpy(prompt_ids(config, prompt))

    def step(self):
        with self.torch.inference_mode():
            self.model.generate(
                self.ids, attention_mask=self.torch.ones_like(self.ids), do_sample=False, use_cache=True,
                min_new_tokens=self.new, max_new_tokens=self.new, pad_token_id=0,
            )  # fmt: skip


class Memory(BenchSide):
    """Only the reading: for every token as many bytes as its float32 weights, added up by as many threads."""

    def __init__(self, shape, prompt, new, threads):
        self.row, self.new, self.pool = load("cpu"), new, ThreadPoolExecutor(threads)
        weights = np.ones(token_bytes(decode_config(shape))[0] // 4, np.float32)
        self.parts = np.array_split(weights, threads)

    def step(self):
        for _ in range(self.new):
            list(self.pool.map(self.row.squared_norm, self.parts))


SIDES: dict[str, Callable[..., BenchSide]] = {
    "ours": Ours,
    "ours-int8": lambda shape, prompt, new, threads: Ours(shape, prompt, new, threads, int8=True),
    "transformers": Transformers,
    "memory": Memory,
}


def main(argv: list[str]) -> None:
    name, shape, *numbers = argv
    if name not in SIDES:
        raise ArgumentError(f"there is no side {name!r}; there are {', '.join(SIDES)}")
    serve(lambda: SIDES[name](shape, *map(int, numbers)))


if __name__ == "__main__":
    main(sys.argv[1:])
