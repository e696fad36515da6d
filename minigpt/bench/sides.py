"""The two sides of a training benchmark, each alive in a process of its own, which take turns.

    python -m minigpt.bench.sides ours baby        one side, driven by lines on stdin
    python -m minigpt.bench.sides torch baby       another

A line with a number n makes a side run n steps and answer with one line of JSON: seconds of each step and peak memory.
One step is forward, loss, backward, clipping to norm 1 and AdamW, on the same batch for all sides.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from ..backend import load
from ..errors import ArgumentError
from ..training.memory import peak_bytes
from .shapes import BATCH, bench_config


def random_batch(shape: str):
    """ids and targets (B, T) int64, the same for every side."""
    config = bench_config(shape)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, config.vocab_size, (BATCH[shape], config.block_size + 1))
    return tokens[:, :-1].copy(), tokens[:, 1:].copy()


class Ours:
    """minigpt on one row of the kernel table."""

    def __init__(self, shape, threads, backend="cpu"):
        from ..models import GPT
        from ..training import TrainConfig, Trainer

        ids, targets = random_batch(shape)

        class SameBatch:
            block_size = ids.shape[1]

            def batch(self, rng, n):
                return {"ids": ids, "targets": targets}

        config = TrainConfig(
            steps=10**6, batch_size=len(ids), lr=1e-4, min_lr=1e-4, warmup=0, backend=backend, workers=threads
        )
        self.trainer = Trainer(GPT(bench_config(shape), seed=0), SameBatch(), config)

    def step(self):
        self.trainer.step()


class Torch:
    """The same model in PyTorch, as one would write it: fused attention, gradients set to None."""

    def __init__(self, shape, threads, fused=False, compiled=False):
        import torch

        from .torch_gpt import TorchGPT

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.torch = torch
        self.model = TorchGPT(bench_config(shape))
        decayed = [p for p in self.model.parameters() if p.ndim >= 2]
        others = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.99), fused=fused or None)
        self.forward = torch.compile(self.model) if compiled else self.model
        self.ids, self.targets = (torch.from_numpy(a) for a in random_batch(shape))

    def step(self):
        loss = self.forward(self.ids, self.targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()


class Roofline:
    """Only the matrix products of one step, on as many threads, each into memory that it already has."""

    def __init__(self, shape, threads):
        from concurrent.futures import ThreadPoolExecutor

        from ..training.workers import ThreadSettings
        from .shapes import matrix_products

        self.pool, self.blas = ThreadPoolExecutor(threads), ThreadSettings()
        rng = np.random.default_rng(0)
        self.work = []
        for _ in range(threads):
            products = []
            for stack, n, k, m, times in matrix_products(bench_config(shape), BATCH[shape] / threads):
                a = rng.standard_normal((stack, n, k), dtype=np.float32)
                b = rng.standard_normal((stack, k, m), dtype=np.float32)
                products.append((a, b, np.empty((stack, n, m), np.float32), times))
            self.work.append(products)

    def step(self):
        with self.blas:
            list(self.pool.map(self._products, self.work))

    @staticmethod
    def _products(products):
        for a, b, out, times in products:
            for _ in range(times):
                np.matmul(a, b, out=out)


class BenchSide(Protocol):
    """What a side can do."""

    def step(self): ...


SIDES: dict[str, Callable[[str, int], BenchSide]] = {
    "ours": lambda shape, threads: Ours(shape, threads),
    "ours-numpy": lambda shape, threads: Ours(shape, threads, "numpy"),
    "torch": lambda shape, threads: Torch(shape, threads),
    "torch-fused": lambda shape, threads: Torch(shape, threads, fused=True),
    "torch-compile": lambda shape, threads: Torch(shape, threads, compiled=True),
    "roofline": lambda shape, threads: Roofline(shape, threads),
}


def main(argv: list[str]) -> None:
    name, shape, threads = argv[0], argv[1], int(argv[2])
    if name not in SIDES:
        raise ArgumentError(f"there is no side {name!r}; there are {', '.join(SIDES)}")
    if name.startswith("torch"):  # what the libraries themselves take, before there is a model, is the base
        import torch  # noqa: F401
    else:
        import minigpt.training  # noqa: F401

        load("cpu")
    serve(lambda: SIDES[name](shape, threads))


def serve(make: Callable[[], BenchSide]) -> None:
    """Make the side, take a first step, then take as many as each line on stdin says. Answers are lines of JSON."""
    base = peak_bytes()
    start = time.perf_counter()
    side = make()
    side.step()
    print(json.dumps({"first": time.perf_counter() - start, "base": base, "peak": peak_bytes()}), flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            side.step()
            times.append(time.perf_counter() - start)
        print(json.dumps({"times": times, "peak": peak_bytes()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
