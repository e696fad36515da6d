"""Where random numbers come from: always a generator that the caller passed, never a global one."""

from __future__ import annotations

from contextvars import ContextVar, Token

import numpy as np

from .errors import ArgumentError


def as_generator(rng) -> np.random.Generator:
    """A Generator as it is, an int as its seed, None as fresh entropy. Raises ArgumentError for anything else."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None or (isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0):
        return np.random.default_rng(rng)
    raise ArgumentError(f"rng is a numpy.random.Generator, a non-negative int seed or None, got {rng!r}")


class Undrawn(np.random.Generator):
    """A generator for models that are about to be filled from a file: `nn` leaves their weights unwritten.

    Drawing 124 million numbers only to replace them takes seconds, and writing them takes their memory a second time;
    an array that nobody has written to takes none. Whatever else is drawn from it (dropout) is random as usual.
    """

    def __init__(self, seed: int = 0):
        super().__init__(np.random.PCG64(seed))


class dropout_keys:
    """Inside the block, dropout masks follow from (seed, step, which dropout call, which example) alone.

    The trainer sets this around every forward pass. Splitting a batch over workers then changes no mask: a worker
    that starts at example 6 of the batch passes first_example=6.
    """

    def __init__(self, seed: int, step: int, first_example: int = 0):
        self.seed, self.step, self.first_example = seed, step, first_example
        self.calls = 0
        self._tokens: list[Token] = []

    def __enter__(self):
        self.calls = 0
        self._tokens.append(_KEYS.set(self))
        return self

    def __exit__(self, *exc):
        _KEYS.reset(self._tokens.pop())

    def next(self) -> tuple[int, int]:
        sequence = np.random.SeedSequence([self.seed, self.step, self.calls])
        self.calls += 1
        return int(sequence.generate_state(1, np.uint64)[0]), self.first_example


_KEYS: ContextVar[dropout_keys | None] = ContextVar("minigpt_dropout_keys", default=None)


def next_dropout_key(rng) -> tuple[int, int]:
    """(key, number of the first example) for one dropout call: from the trainer's block if in one, else from rng."""
    keys = _KEYS.get()
    return keys.next() if keys is not None else (int(as_generator(rng).integers(2**63)), 0)
