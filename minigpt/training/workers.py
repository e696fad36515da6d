"""A batch shared by threads: each runs forward and backward on its part, the gradients are added in a fixed order.

Replicas of the model share the arrays of the parameters and have gradients of their own. Kernels and BLAS release
the interpreter lock, so the threads run side by side; BLAS itself is held to one thread meanwhile, since two pools of
threads on the same cores only disturb each other. Who finishes first changes nothing: same seed and number of workers,
same bits.
"""

from __future__ import annotations

import copy
import importlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import pairwise

from ..backend import current_row
from ..nn import Module, Parameter
from ..randomness import dropout_keys
from ..tensor import accumulate, backward_steps, no_grad


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


_INNER = (Module, Parameter)  # attributes that a replica has of its own


class GradientSum:
    """Gradients of several replicas added into the model's as they come, in one order whoever is first.

    Each use of a parameter gives one contribution per worker. The worker whose contribution is the last of the team's
    adds them all up, in the order of the workers' numbers; the memory of the others is free again at once.
    """

    def __init__(self, parameters: list, members: list[int]):
        self.parameters, self.members = parameters, members
        self._locks = [threading.Lock() for _ in parameters]
        self._given: dict[tuple[int, int], dict[int, tuple]] = {}  # (parameter, use) -> worker -> its gradient

    def collector(self, worker: int, parameters: list):
        """The function that takes the gradients of this worker's replica, for backward_steps(into=…)."""
        numbers = {id(p): number for number, p in enumerate(parameters)}
        uses = [0] * len(parameters)

        def take(tensor, grad, row, fresh):
            number = numbers.get(id(tensor))
            if number is None:  # a leaf that is no parameter of the model
                return accumulate(tensor, grad, row, fresh)
            key = (number, uses[number])
            uses[number] += 1
            with self._locks[number]:  # until it is added: the next use of this parameter comes after this one
                given = self._given.setdefault(key, {})
                given[worker] = (grad, row, fresh)
                if len(given) == len(self.members):
                    self._add(key)

        return take

    def finish(self):
        """Add what not all have given, which happens where a model does not do the same for each example."""
        for key in sorted(self._given):
            self._add(key)

    def _add(self, key):
        given = self._given.pop(key)
        for worker in sorted(given):
            accumulate(self.parameters[key[0]], *given[worker])


class Workers:
    """`count` threads that compute gradients together; the calling thread is the first of them."""

    def __init__(self, model: Module, count: int):
        self.model, self.count = model, count
        self.replicas = [model] + [replica(model) for _ in range(count - 1)]
        self.parameters = [list(r.parameters()) for r in self.replicas]
        every = [[module for _, module in r.named_modules()] for r in self.replicas]
        self._modules = list(zip(*every, strict=True)) if count > 1 else []  # each with its twins
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

    def backward(self, batch: dict, seed: int, step: int, first_example: int) -> tuple[list, int]:
        """Add the gradients of the summed loss of a batch to the model's `.grad`.

        Returns (sum of losses of each worker's part, as arrays that nobody has waited for; count).
        """
        members = [i for i, (start, stop) in enumerate(self._bounds(batch)) if stop > start]
        total = GradientSum(self.parameters[0], members)

        def shard(i, part, start):
            with dropout_keys(seed, step, first_example=first_example + start):
                loss, count = self.replicas[i].loss_sum(**part)
            for _ in backward_steps(loss, into=total.collector(i, self.parameters[i])):
                pass  # each step is one op
            return loss.data, count

        outcome = self._each_shard(batch, shard)
        total.finish()
        return outcome

    def loss_sum(self, **batch) -> tuple[float, int]:
        """(sum of losses, count) of a batch, without gradients."""

        def shard(i, part, start):
            loss, count = self.replicas[i].loss_sum(**part)
            return loss.data, count

        with no_grad():
            losses, count = self._each_shard(batch, shard)
        return sum(current_row().fetch(losses)), count

    def _each_shard(self, batch, shard):
        self._follow()
        bounds = self._bounds(batch)

        def task(i):
            start, stop = bounds[i]
            if start == stop:
                return None, 0
            return shard(i, {name: array[start:stop] for name, array in batch.items()}, start)

        losses, counts = zip(*self.each(task), strict=True)
        return [loss for loss in losses if loss is not None], sum(counts)

    def _bounds(self, batch) -> list[tuple[int, int]]:
        """(start, stop) of each worker's examples."""
        size = len(next(iter(batch.values())))
        bounds = [size * i // self.count for i in range(self.count + 1)]
        return list(pairwise(bounds))

    def squares(self) -> list:
        """The squares of the gradients as they are, added up by each worker for its share, for the row's clip_scale."""
        row = current_row()
        shares = self._shares([p for p in self.parameters[0] if p.grad is not None], lambda p: p.data.size)
        return self.each(lambda i: row.squared_norms([p.grad for p in shares[i]]))

    def step(self, optimizer, moves: list, scale):
        """Gradients times scale, then the optimizer's moves."""
        shares = self._shares(moves, lambda move: move.parameter.data.size)
        self.each(lambda i: optimizer.move(shares[i], scale))

    def _shares(self, items, size) -> list[list]:
        """Items for each worker, about the same sum of sizes: the largest first, each to who has least."""
        shares: list[list] = [[] for _ in range(self.count)]
        loads = [0] * self.count
        for item in sorted(items, key=size, reverse=True):
            least = loads.index(min(loads))
            shares[least].append(item)
            loads[least] += size(item)
        return shares

    def zero_grad(self):
        for p in self.parameters[0]:
            p.grad = None

    def held_bytes(self) -> int:
        """Memory that the arenas hold for activations and gradients."""
        return sum(getattr(arena, "held", 0) for arena in self.arenas)

    def _follow(self):
        """Let the replicas follow what happened to the model: arrays that were replaced, modes and settings."""
        for parameters in self.parameters[1:]:
            for p, twin in zip(self.parameters[0], parameters, strict=True):
                twin.data, twin._version, twin.requires_grad = p.data, p._version, p.requires_grad
        for module, *twins in self._modules:
            settings = [item for item in vars(module).items() if not isinstance(item[1], _INNER)]
            for twin_module in twins:
                vars(twin_module).update(settings)


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
