"""The two sides of a training benchmark, each alive in a process of its own, which take turns.

    python -m minigpt.bench.sides ours baby 2 cpu        one side, driven by lines on stdin
    python -m minigpt.bench.sides torch baby 2 cpu       another

A line with a number n makes a side run n steps and answer with one line of JSON: seconds of each step and peak memory.
One step is forward, loss, backward, clipping to norm 1 and AdamW, on the same batch for all sides. A card works on
while the host goes ahead, so there the n steps are timed together, from a moment at which the card has nothing to do to
the next such moment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from ..backend import card_timing, load
from ..errors import ArgumentError
from ..training.memory import peak_bytes
from .shapes import bench_config, matrix_products, problem


def random_batch(shape: str, backend: str):
    """ids and targets (B, T) int64, the same for every side."""
    config, batch = bench_config(shape, backend), problem(shape, backend).batch
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, config.vocab_size, (batch, config.block_size + 1))
    return tokens[:, :-1].copy(), tokens[:, 1:].copy()


class BenchSide:
    """What a side can do. On a card it also waits, and says how many bytes of the card's memory it has taken."""

    def step(self):
        raise NotImplementedError

    def wait(self) -> None:
        """Until the card has nothing to do."""

    def device_bytes(self) -> int:
        return 0


class Ours(BenchSide):
    """minigpt on one row of the kernel table."""

    def __init__(self, shape, threads, backend, row=None):
        from ..models import GPT
        from ..training import TrainConfig, Trainer

        ids, targets = random_batch(shape, backend)

        class SameBatch:
            block_size = ids.shape[1]

            def batch(self, rng, n):
                return {"ids": ids, "targets": targets}

        config = TrainConfig(
            steps=10**6, batch_size=len(ids), lr=1e-4, min_lr=1e-4, warmup=0, backend=row or backend,
            workers=1 if backend == "cuda" else threads,
        )  # fmt: skip
        self.trainer = Trainer(GPT(bench_config(shape, backend), seed=0), SameBatch(), config)
        self.card = card_timing() if backend == "cuda" else None

    def step(self):
        return self.trainer.step()

    def wait(self):
        if self.card:
            self.card.synchronize()

    def device_bytes(self):
        return self.card.held_bytes() if self.card else 0


class Torch(BenchSide):
    """The same model in PyTorch, as one would write it: fused attention, gradients set to None. No TF32."""

    def __init__(self, shape, threads, backend, fused=False, compiled=False):
        import torch

        from .torch_gpt import TorchGPT

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.torch, self.device = torch, "cpu"
        if backend == "cuda":
            from .kernels_cuda import torch_beside_card

            _, self.device = torch_beside_card()
        self.model = TorchGPT(bench_config(shape, backend)).to(self.device)
        decayed = [p for p in self.model.parameters() if p.ndim >= 2]
        others = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.99), fused=fused or None)
        self.forward = torch.compile(self.model) if compiled else self.model
        self.ids, self.targets = (torch.from_numpy(a) for a in random_batch(shape, backend))

    def step(self):
        loss = self.forward(self.ids.to(self.device), self.targets.to(self.device))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()

    def wait(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def device_bytes(self):
        return self.torch.cuda.max_memory_allocated() if self.device == "cuda" else 0


class Roofline(BenchSide):
    """Only the matrix products of one step, on as many threads, each into memory that it already has."""

    def __init__(self, shape, threads, backend):
        from concurrent.futures import ThreadPoolExecutor

        from ..training.workers import ThreadSettings

        self.pool, self.blas = ThreadPoolExecutor(threads), ThreadSettings()
        rng = np.random.default_rng(0)
        self.work = []
        for _ in range(threads):
            products = []
            for stack, n, k, m, times in matrix_products(bench_config(shape), problem(shape).batch / threads):
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


class CardRoofline(BenchSide):
    """The same on a card: by PyTorch, without TF32, if it is there for this card, else by our own product."""

    def __init__(self, shape, backend):
        from .kernels_cuda import torch_on_card

        self.torch, self.card, self.row = torch_on_card(), card_timing(), load("cuda")
        some = np.random.default_rng(0).standard_normal(1 << 20, dtype=np.float32)
        self.work = []
        for stack, n, k, m, times in matrix_products(bench_config(shape, backend), problem(shape, backend).batch):
            shapes = ((stack, n, k), (stack, k, m))
            if self.torch:
                a, b = (self.torch.from_numpy(np.resize(some, shape)).to("cuda") for shape in shapes)
            else:
                a, b = (self.row.from_host(np.resize(some, shape)) for shape in shapes)
            self.work.append((a, b, times))

    def step(self):
        product = self.torch.matmul if self.torch else self.row.matmul
        for a, b, times in self.work:
            for _ in range(times):
                product(a, b)

    def wait(self):
        self.card.synchronize()


def roofline(shape, threads, backend) -> BenchSide:
    return CardRoofline(shape, backend) if backend == "cuda" else Roofline(shape, threads, backend)


SIDES: dict[str, Callable[[str, int, str], BenchSide]] = {
    "ours": Ours,
    "ours-numpy": lambda shape, threads, backend: Ours(shape, threads, backend, row="numpy"),
    "torch": Torch,
    "torch-fused": lambda shape, threads, backend: Torch(shape, threads, backend, fused=True),
    "torch-compile": lambda shape, threads, backend: Torch(shape, threads, backend, compiled=True),
    "roofline": roofline,
}


def timed_steps(side: BenchSide, steps: int, backend: str) -> list[float]:
    """Seconds of each step; on a card their mean."""
    if backend == "cuda":
        side.wait()
        start = time.perf_counter()
        for _ in range(steps):
            side.step()
        side.wait()
        return [(time.perf_counter() - start) / steps]
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        side.step()
        times.append(time.perf_counter() - start)
    return times


def main(argv: list[str]) -> None:
    name, shape, threads, backend = argv[0], argv[1], int(argv[2]), argv[3]
    if name not in SIDES:
        raise ArgumentError(f"there is no side {name!r}; there are {', '.join(SIDES)}")
    if name.startswith("torch"):  # what the libraries themselves take, before there is a model, is the base
        import torch  # noqa: F401
    else:
        import minigpt.training  # noqa: F401

        load(backend)
    serve(lambda: SIDES[name](shape, threads, backend), backend)


def serve(make: Callable[[], BenchSide], backend: str = "cpu") -> None:
    """Make the side, take a first step, then take as many as each line on stdin says. Answers are lines of JSON."""
    base = peak_bytes()
    start = time.perf_counter()
    side = make()
    side.step()
    side.wait()
    first = time.perf_counter() - start
    print(json.dumps({"first": first, "base": base, "peak": peak_bytes(), "device": side.device_bytes()}), flush=True)
    for line in sys.stdin:
        times = timed_steps(side, int(line), backend)
        print(json.dumps({"times": times, "peak": peak_bytes(), "device": side.device_bytes()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
