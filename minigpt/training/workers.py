"""A batch shared by threads: each runs forward and backward on its part, the gradients are added in a fixed order.

Replicas of the model share the arrays of the parameters and have gradients of their own. Kernels and BLAS release
the interpreter lock, so the threads run side by side; BLAS itself is held to one thread meanwhile, since two pools of
threads on the same cores only disturb each other. Who finishes first changes nothing: same seed and number of workers,
same bits.
"""

from __future__ import annotations

import copy
import importlib
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import numpy as np

from ..backend import current_row
from ..nn import Module, Parameter
from ..randomness import dropout_keys
from ..tensor import no_grad


def replica(model: Module) -> Module:
    """The same modules and parameter arrays, with Parameters, and so gradients, of their own."""
    twins: dict[int, Parameter] = {}

    def twin_of(module: Module) -> Module:
        twin = copy.copy(module)
        for name, value in vars(module).items():
            if isinstance(value, Module):
                setattr(twin, name, twin_of(value))
            elif isinstance(value, Parameter):
                if id(value) not in twins:  # a parameter used in two places has one twin
                    twins[id(value)] = Parameter(value)  # shares array and version
                setattr(twin, name, twins[id(value)])
        return twin

    return twin_of(model)


class Workers:
    """`count` threads that compute gradients together; the calling thread is the first of them."""

    def __init__(self, model: Module, count: int):
        self.model, self.count = model, count
        self.replicas = [model] + [replica(model) for _ in range(count - 1)]
        self.parameters = [list(r.parameters()) for r in self.replicas]
        self.arenas = [current_row().arena() for _ in range(count)]
        self._threads = ThreadPoolExecutor(count - 1, "minigpt-worker") if count > 1 else None

    def each(self, task) -> list:
        """[task(0), …, task(count - 1)], run side by side, each in its arena; row and grad mode are handed over."""

        def in_arena(i):
            with self.arenas[i]:
                return task(i)

        others = []
        if self._threads:
            others = [self._threads.submit(copy_context().run, in_arena, i) for i in range(1, self.count)]
        try:
            first = in_arena(0)
        finally:  # never leave threads at work on arrays that the caller goes on with
            rest = [future.exception() or future for future in others]
        for outcome in rest:
            if isinstance(outcome, BaseException):
                raise outcome
        return [first, *(future.result() for future in others)]

    def backward(self, batch: dict, seed: int, step: int, first_example: int) -> tuple[float, int]:
        """Add the gradients of the summed loss of a batch to the replicas' `.grad`; returns (sum of losses, count)."""

        def shard(i, part, start):
            with dropout_keys(seed, step, first_example=first_example + start):
                loss, count = self.replicas[i].loss_sum(**part)
            loss.backward()
            return loss.item(), count

        return self._sum_over_shards(batch, shard)

    def loss_sum(self, **batch) -> tuple[float, int]:
        """(sum of losses, count) of a batch, without gradients."""

        def shard(i, part, start):
            loss, count = self.replicas[i].loss_sum(**part)
            return loss.item(), count

        with no_grad():
            return self._sum_over_shards(batch, shard)

    def _sum_over_shards(self, batch, shard):
        self._follow()
        size = len(next(iter(batch.values())))
        bounds = np.linspace(0, size, self.count + 1).astype(int)

        def task(i):
            start, stop = int(bounds[i]), int(bounds[i + 1])
            if start == stop:
                return 0.0, 0
            return shard(i, {name: array[start:stop] for name, array in batch.items()}, start)

        losses, counts = zip(*self.each(task), strict=True)
        return sum(losses), sum(counts)

    def combine(self, factor: float) -> float:
        """Add the replicas' gradients into the model's, replica after replica, times factor; returns their norm."""
        row = current_row()
        squares = [0.0] * len(self.parameters[0])

        def some(i):
            for number in range(i, len(squares), self.count):
                p, *twins = (parameters[number] for parameters in self.parameters)
                for twin in twins:
                    if p.grad is None:
                        p.grad = twin.grad
                    elif twin.grad is not None:
                        row.add_into(p.grad, twin.grad)
                    twin.grad = None
                if p.grad is not None:
                    row.scale_into(p.grad, factor)
                    squares[number] = row.squared_norm(p.grad)

        self.each(some)
        return math.sqrt(math.fsum(squares))

    def step(self, optimizer, factor: float):
        """One optimizer step on gradients times factor, the parameters shared out over the threads."""
        row = current_row()
        updates = optimizer.updates()
        if factor != 1.0:
            grads = [p.grad for p in self.parameters[0] if p.grad is not None]
            self.each(lambda i: [row.scale_into(g, factor) for g in grads[i :: self.count]])
        self.each(lambda i: [update() for update in updates[i :: self.count]])

    def zero_grad(self):
        for parameters in self.parameters:
            for p in parameters:
                p.grad = None

    def held_bytes(self) -> int:
        """Memory that the arenas hold for activations and gradients."""
        return sum(getattr(arena, "held", 0) for arena in self.arenas)

    def _follow(self):
        """Let the replicas follow what happened to the model: arrays that were replaced, modes and settings."""
        for parameters in self.parameters[1:]:
            for p, twin in zip(self.parameters[0], parameters, strict=True):
                twin.data, twin._version, twin.requires_grad = p.data, p._version, p.requires_grad
        for other in self.replicas[1:]:
            for (_, module), (_, twin_module) in zip(self.model.named_modules(), other.named_modules(), strict=True):
                for name, value in vars(module).items():
                    if not isinstance(value, Module | Parameter):
                        setattr(twin_module, name, value)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


SWITCH_SECONDS = 5e-5  # how long a thread that is done with a kernel may have to wait for the interpreter


class ThreadSettings:
    """`with settings:` what threads of Python need to work side by side; restored afterwards.

    - Every BLAS that is loaded is held to one thread: two pools of threads on the same cores disturb each other.
    - The interpreter changes threads after 50 microseconds instead of 5 milliseconds: a thread that comes back from a
      kernel only has a few lines of Python to run before the next one.
    """

    def __init__(self):
        # NumPy's BLAS is loaded; Numba calls SciPy's, which must be loaded before it can be limited
        importlib.import_module("scipy.linalg.cython_blas")
        from threadpoolctl import ThreadpoolController

        self.controller = ThreadpoolController()
        self._before: list = []

    def __enter__(self):
        self._before.append((self.controller.limit(limits=1, user_api="blas"), sys.getswitchinterval()))
        sys.setswitchinterval(SWITCH_SECONDS)

    def __exit__(self, *exc):
        limits, seconds = self._before.pop()
        sys.setswitchinterval(seconds)
        limits.restore_original_limits()
