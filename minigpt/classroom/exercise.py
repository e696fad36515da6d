"""What one exercise demands: the right answer, the cases it is tried on, and the mistakes that people make.

    exercise = Exercise("softmax")

    @exercise.reference
    def softmax(x, axis=-1):
        return F.softmax(mg.Tensor(x), axis).numpy()

    @exercise.part("numbers", points=2)
    def numbers(rng):
        yield Case("a matrix", rng.normal(size=(3, 4)))

    @exercise.mistake("You divided by the sum of all elements; each row has a sum of its own.")
    def one_sum(x, axis=-1):
        return np.exp(x) / np.exp(x).sum()

A mistake is a stored wrong answer. A student's answer that gives the same wrong numbers is told its message, and a
test holds every mistake to being told its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError

PREFIX = "ex_"  # of files; `ex_softmax` and `softmax` are the same exercise


class Case:
    """One call of the answer: a label in words, and the arguments. Keep them small; they are printed."""

    def __init__(self, label: str, *args, **kwargs):
        self.label, self.args, self.kwargs = label, args, kwargs


class Part(NamedTuple):
    """Cases that are worth points together: all right, or none. of: positions of the outputs that are looked at"""

    title: str
    points: int
    cases: Callable[[np.random.Generator], Iterator[Case]]
    of: tuple[int, ...]


class Mistake(NamedTuple):
    """A stored wrong answer, and what to tell those who gave it."""

    name: str
    message: str
    answer: Any


class Exercise:
    """name       the stem: `softmax` for ex_softmax
    answer     the name of what the student writes (default: the exercise's)
    outputs    names of what the answer returns; more than one: a tuple
    in_place   names of arguments that the answer is meant to overwrite
    tolerance  max|Δ| / max|expected| of an output (default: 1e-8 in float64, 1e-5 in float32)
    needs      packages without which the exercise cannot be checked
    """

    def __init__(self, name, answer=None, outputs=("y",), in_place=(), tolerance=None, needs=()):
        self.name, self.answer = name, answer or name
        self.outputs, self.in_place, self.tolerance = tuple(outputs), tuple(in_place), tolerance
        self.needs = tuple(needs)
        self.right: Any = None
        self.parts: list[Part] = []
        self.mistakes: list[Mistake] = []
        self.run: Callable = lambda answer, *args, **kwargs: answer(*args, **kwargs)
        self._signature: inspect.Signature | None = None  # of what a case's arguments are passed to
        self.runs = False  # whether that is not the answer itself

    def reference(self, answer):
        """Decorator: the right answer, by the library. Its signature is the one that the student's must have."""
        self.right = answer
        self._signature = self._signature or inspect.signature(answer)
        return answer

    def runner(self, run):
        """Decorator: run(answer, *case) -> output, where the answer is a class or wants more than one call."""
        self.run, self.runs = run, True
        parameters = list(inspect.signature(run).parameters.values())[1:]
        self._signature = inspect.Signature(parameters)
        return run

    def part(self, title: str, points: int = 1, of=None):
        """Decorator: a generator of Cases from a numpy.random.Generator.

        of: names of the outputs that this part looks at (default: all), so that a student can have the points of the
        loss before writing the gradient, and return None for it.
        The generator is run anew for each answer with the same seed, so that nobody sees the arrays of another.
        """
        positions = tuple(self.outputs.index(name) for name in of or self.outputs)
        return self._keep(self.parts, lambda cases: Part(title, points, cases, positions))

    def mistake(self, message: str):
        """Decorator: a wrong answer. The message says what was done and why it is wrong, not what to type."""
        return self._keep(self.mistakes, lambda answer: Mistake(answer.__name__, message, answer))

    @staticmethod
    def _keep(where: list, made: Callable):
        def decorator(function):
            where.append(made(function))
            return function

        return decorator

    @property
    def points(self) -> int:
        return sum(part.points for part in self.parts)

    @property
    def signature(self) -> str:
        """How the answer is called: `softmax(x, axis=-1)`"""
        return f"{self.answer}{inspect.signature(self.right)}"

    @property
    def lacking(self) -> str:
        """What to install before this exercise can be checked, "" if it is all there."""
        missing = [package for package in self.needs if importlib.util.find_spec(package) is None]
        return f"this exercise needs {' and '.join(missing)}: python -m pip install {' '.join(missing)}" * bool(missing)

    def arguments(self, case: Case) -> dict[str, Any]:
        """The case's arguments by name, those left to their defaults left out."""
        assert self._signature is not None, f"{self.name} has no reference"
        return dict(self._signature.bind(*case.args, **case.kwargs).arguments)

    def cases(self, seed: int = 0) -> list[tuple[Part, Case]]:
        """All cases in order, made anew. The seed decides the random numbers in them."""
        if not isinstance(seed, int | np.integer) or seed < 0:
            raise ArgumentError(f"the seed of a check is a whole number from 0 on, got {seed!r}")
        made = []
        for number, part in enumerate(self.parts):
            made += [(part, case) for case in part.cases(np.random.default_rng([seed, number]))]
        return made


def names() -> list[str]:
    """All exercises, sorted."""
    folder = Path(__file__).parent / "checks"
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


def exercise(name: str) -> Exercise:
    """The exercise of that name, with or without `ex_`. Raises ArgumentError with the names there are."""
    stem = name.removeprefix(PREFIX)
    if stem not in names():
        raise ArgumentError(f"there is no exercise {name!r}; there are {', '.join(names())}")
    return importlib.import_module(f".checks.{stem}", __package__).exercise
