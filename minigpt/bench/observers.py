"""What the observer points cost while nobody observes: training steps as they are beside steps without the checks.

Each op, each module call and each op's backward asks once whether somebody observes, and some layers ask whether they
shall run in parts (`minigpt/observe.py`); a step of a trainer asks twice whether it is recorded. Steps with and without
the questions of observers take turns in one process. As a machine is less steady than the difference is large, the
questions are also counted, and one of each kind is timed alone.
"""

from __future__ import annotations

import inspect
import statistics
import textwrap
import time
import timeit
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from .. import backpropagation, functional, tensor
from ..errors import BackendError
from ..nn import attention, block, encoder_block, mlp, module, recurrent
from ..observe import OBSERVERS, parts_wanted
from ..ops import Op
from .sides import Ours

QUESTIONS = ("OBSERVERS.get()", "parts_wanted()")  # as they stand in the source
# where they stand: (module, class or None, function); a test finds every one
PLACES: tuple[tuple[Any, str | None, str], ...] = (
    (tensor, None, "apply"),
    (backpropagation, None, "_gradients_of_inputs"),
    (functional, None, "label"),
    (module, "Module", "__call__"),
    (attention, "MultiHeadAttention", "forward"),
    (block, "Block", "forward"),
    (mlp, "MLP", "forward"),
    (encoder_block, None, "add_part"),
    (recurrent, "RNN", "layer"),
    (recurrent, "LSTM", "layer"),
    (recurrent, "GRU", "layer"),
)
CALLS = 200_000  # of a question timed alone


class Cost(NamedTuple):
    """Median seconds of a step in each turn, as it is and without questions, turn by turn; the questions of a step."""

    what: str
    usual: list[float]
    without: list[float]
    questions: dict[str, tuple[int, float]]  # what is asked -> (how often in a step, seconds of one)

    @property
    def shares(self) -> list[float]:
        """Of each pair of turns: the part of a step that the questions take, as timed."""
        return sorted(a / b - 1 for a, b in zip(self.usual, self.without, strict=True))

    @property
    def counted_share(self) -> float:
        """The part of a step that the questions take, each at its price when it is asked alone."""
        return sum(n * seconds for n, seconds in self.questions.values()) / statistics.median(self.usual)


def without_questions(function):
    """The function made anew from its own source, with False in the place of every question."""
    source = textwrap.dedent(inspect.getsource(function))
    if not any(question in source for question in QUESTIONS):
        raise BackendError(f"{function.__qualname__} does not ask for observers any more; mend PLACES")
    for question in QUESTIONS:
        source = source.replace(question, "False")  # the compiler leaves out what stands under `if False`
    made: dict = {}
    exec(compile(source, inspect.getfile(function), "exec"), function.__globals__, made)  # noqa: S102
    return made[function.__name__]


@contextmanager
def unobservable():
    """Inside the block, nothing in this process asks for observers; nobody could observe."""
    with ExitStack() as stack:
        for where, owner, name in PLACES:
            holder = getattr(where, owner) if owner else where
            new = without_questions(getattr(holder, name))
            stack.enter_context(mock.patch.object(holder, name, new))
            if holder is tensor:
                stack.enter_context(mock.patch.object(Op, "apply", classmethod(new)))
        yield


def questions_of(step) -> dict[str, int]:
    """How often each question is asked in one call of step()."""
    asked: list[str] = []  # append is one step of the interpreter, which threads cannot tear apart

    class Counting:
        @staticmethod
        def get():
            asked.append(QUESTIONS[0])
            return ()

    def counting_parts():
        asked.append(QUESTIONS[1])
        return False

    with ExitStack() as stack:
        for where in {where for where, _, _ in PLACES}:
            for name, new in (("OBSERVERS", Counting), ("parts_wanted", counting_parts)):
                if hasattr(where, name):
                    stack.enter_context(mock.patch.object(where, name, new))
        step()
    return {question: asked.count(question) for question in QUESTIONS}


def seconds_of(statement: str, names: dict) -> float:
    """Of one run of a statement: the fastest of seven times, the loop around it taken off."""
    empty, full = (
        min(timeit.repeat(code, globals=names, repeat=7, number=CALLS)) / CALLS for code in ("pass", statement)
    )
    return max(full - empty, 0.0)


def compare(shape="baby", backend="cpu", rounds=60, steps=6, threads=2) -> Cost:
    """Turns of `steps` steps as they are and as many without questions, after one step each that is not timed."""
    side = Ours(shape, threads, backend)

    def turn() -> float:
        side.step()
        times = []
        for _ in range(steps):
            start = time.perf_counter()
            side.step()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    for _ in range(3):
        side.step()
    usual, without = [], []
    for k in range(rounds):
        order = (False, True) if k % 2 else (True, False)  # neither is always the first
        for observable in order:
            if observable:
                usual.append(turn())
            else:
                with unobservable():
                    without.append(turn())
    names = {"OBSERVERS": OBSERVERS, "parts_wanted": parts_wanted, "trainer": side.trainer}
    counts = {**questions_of(side.step), "trainer._record()": 2}
    prices = {asked: (n, seconds_of(f"if {asked}: pass", names)) for asked, n in counts.items()}
    return Cost(f"{shape}, {backend!r} row, {threads} threads", usual, without, prices)


def report(cost: Cost) -> str:
    """The figures as lines of text."""
    usual, without = (statistics.median(times) * 1000 for times in (cost.usual, cost.without))
    shares = np.array(cost.shares)
    low, high = np.percentile(shares, [25, 75])
    rank = int(0.98 * len(shares) ** 0.5)  # the median lies between these two of the sorted shares, 19 times of 20
    middle = len(shares) // 2
    between = shares[max(0, middle - rank)], shares[min(len(shares) - 1, middle + rank)]
    lines = [
        f"{cost.what}: a training step while nobody observes, {len(shares)} pairs of turns; medians:",
        f"  as it is           {usual:8.2f} ms",
        f"  without questions  {without:8.2f} ms",
        f"  difference         {np.median(shares):+8.2%}, 95 % interval {between[0]:+.2%} to {between[1]:+.2%}; "
        f"half of the pairs from {low:+.2%} to {high:+.2%}",
        "counted, each at its price alone:",
    ]
    for asked, (n, seconds) in cost.questions.items():
        lines.append(f"  {asked:<18} {n:5} a step, {seconds * 1e9:5.0f} ns each: {n * seconds * 1e6:6.1f} microseconds")
    lines.append(f"  together           {cost.counted_share:.3%} of a step")
    return "\n".join(lines)
