"""One function of the cuda row beside the numpy row in float64, on random inputs that are new in each run.

The tests marked `gpu` use this on a card, with odd and with real sizes; the tests of the simulated card use it with
small ones, so that it is known to work before there is a card.
"""

import contextlib
import os
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from minigpt.backend import load

TOLERANCE = 1e-5  # of the largest number in a result


class Call(NamedTuple):
    """Arguments of a function of the row; `changes` are the numbers of those that it writes into."""

    arguments: tuple
    settings: dict[str, Any] = {}  # noqa: RUF012  # never written
    changes: tuple[int, ...] = ()
    tolerance: float = TOLERANCE


class Computed(NamedTuple):
    """An argument that each row computes for itself, by a function of its own."""

    name: str
    arguments: tuple


class Draw:
    """Random inputs in one of three sizes: small, odd, real."""

    SCALES = ("small", "odd", "real")

    def __init__(self, scale: str, seed: int):
        self.at, self.rng = self.SCALES.index(scale), np.random.default_rng(seed)

    def size(self, small: int, odd: int, real: int) -> int:
        return (small, odd, real)[self.at]

    def floats(self, *shape) -> np.ndarray:
        return np.asarray(self.rng.standard_normal(shape).astype(np.float32))

    def positive(self, *shape) -> np.ndarray:
        return np.asarray(self.rng.uniform(0.1, 3, shape).astype(np.float32))

    def ids(self, most: int, *shape) -> np.ndarray:
        return self.rng.integers(0, most, shape)

    def mask(self, *shape, share=0.7) -> np.ndarray:
        return self.rng.random(shape) < share


CASES: dict[str, list[Callable[[Draw], Call]]] = {}


def case(*names):
    """Note a function that draws the arguments of these functions of the row; a name may have several."""

    def register(function):
        for name in names:
            CASES.setdefault(name, []).append(function)
        return function

    return register


def new_seed() -> int:
    """Another one in every run, or the one that a failure told: MINIGPT_GPU_SEED=… repeats it."""
    return int(os.environ.get("MINIGPT_GPU_SEED") or secrets.randbits(32))


@contextlib.contextmanager
def told(seed: int, what: str):
    """Add to whatever goes wrong how it can be repeated."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{what}, seed {seed} (MINIGPT_GPU_SEED={seed} repeats it): {error}") from error


@contextlib.contextmanager
def poisoned():
    """All memory of the card that arrays get in here holds NaN, or numbers that are surely wrong."""
    from kernels.cuda import machine

    allocate = machine.card.allocate

    def allocate_poisoned(nbytes):
        memory = allocate(nbytes)
        machine.copy_in(memory, np.full(nbytes, 0xFF, np.uint8))
        return memory

    machine.POOL.give_back()  # what lies there was written before
    with mock.patch.object(machine.card, "allocate", allocate_poisoned):
        yield
    machine.POOL.give_back()


def check_function(name: str, make: Callable[[Draw], Call], scale: str, seed: int) -> None:
    """The row's function on inputs drawn by `make`, beside the same in float64; inputs must stay as they were."""
    with told(seed, f"{name} on {make.__name__}, {scale}"), poisoned():
        call = make(Draw(scale, seed))
        row, reference = load("cuda"), load("numpy")
        on_card = [moved(row, a) for a in call.arguments]
        settings = {key: moved(row, a) for key, a in call.settings.items()}
        exact = [in_float64(reference, a) for a in call.arguments]
        wanted = getattr(reference, name)(*exact, **{key: in_float64(reference, a) for key, a in call.settings.items()})
        got = getattr(row, name)(*on_card, **settings)
        compare(row, got, wanted, call.tolerance)
        for n, (before, after, expected) in enumerate(zip(call.arguments, on_card, exact, strict=True)):
            if n in call.changes:
                compare(row, after, expected, call.tolerance)
            elif isinstance(before, np.ndarray):
                np.testing.assert_array_equal(host(row, after), before, err_msg=f"argument {n} was written into")


def compare(row, got, wanted, tolerance: float) -> None:
    """Results of one shape, and no further apart than the tolerance allows; parts of tuples and lists one by one."""
    if isinstance(wanted, tuple | list):
        assert len(got) == len(wanted)
        for a, b in zip(got, wanted, strict=True):
            compare(row, a, b, tolerance)
        return
    if wanted is None:
        assert got is None
        return
    got, wanted = host(row, got), np.asarray(wanted)
    assert got.shape == wanted.shape
    if wanted.dtype.kind != "f":
        assert got.dtype.kind == wanted.dtype.kind
        np.testing.assert_array_equal(got, wanted)
        return
    largest = np.abs(wanted).max() if wanted.size else 0.0
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * max(float(largest), 1e-30))


def moved(row, a):
    """Arrays on the card, also those inside lists and tuples; all else as it is."""
    if isinstance(a, Computed):
        return getattr(row, a.name)(*moved(row, a.arguments))
    if isinstance(a, list | tuple):
        return type(a)(moved(row, part) for part in a)
    return row.from_host(a) if isinstance(a, np.ndarray) else a


def in_float64(reference, a):
    """A copy, floats as float64."""
    if isinstance(a, Computed):
        return getattr(reference, a.name)(*in_float64(reference, a.arguments))
    if isinstance(a, list | tuple):
        return type(a)(in_float64(reference, part) for part in a)
    if not isinstance(a, np.ndarray):
        return a
    return a.astype(np.float64) if a.dtype.kind == "f" else a.copy()


def host(row, x) -> np.ndarray:
    return row.to_host(x) if row.is_array(x) else np.asarray(x)
