"""Grade one submission: its function runs on the cases in another process, and what it gave is judged here.

So a student's code cannot touch the examiner. It can print a result, replace `check`, NumPy or anything else where it
runs: nothing but its outputs comes over, and they earn points only by being right.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from dataclasses import dataclass, field

from ...errors import DataError
from ..cells import Piece
from ..checking import Report, judge, not_callable, nothing_right
from ..exercise import Exercise
from ..outcome import Attempt, Raised, outcome
from .separately import MOST_RESULTS, Limits, run_apart
from .wire import unpack


@dataclass
class Tried:
    """What one submission gave: an attempt for each case, or why there is nothing to try.

    missing: why there is no answer;  value: what stands in its place and is no function
    failed: what its cells raised;  notes: what a teacher should know;  uses: what the code takes from minigpt
    printed: its stdout and stderr, of which `dropped` bytes were cut off
    """

    attempts: list[Attempt] = field(default_factory=list)
    missing: str = ""
    value: list = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    uses: list[str] = field(default_factory=list)
    printed: str = ""
    dropped: int = 0
    seconds: float = 0.0


class Received:
    """The lines of one process. Anything may stand in them, since the student's code can write there too."""

    def __init__(self, lines: list[bytes], cases: int):
        self.loaded: dict | None = None
        self.attempts: dict[int, Attempt] = {}
        self.done = False
        for line in lines:
            try:
                said = json.loads(line)
            except (ValueError, RecursionError):
                continue  # cut off where the process ended, or written by the student's code: no output came back
            if not isinstance(said, dict):
                continue
            self.done |= said.get("done") is True
            if isinstance(said.get("loaded"), dict):
                self.loaded = self.loaded or said["loaded"]
            number = said.get("case")
            if type(number) is int and 0 <= number < cases:
                self.attempts.setdefault(number, _attempt(said))


def _attempt(said: dict) -> Attempt:
    try:
        if "raised" in said:
            kind, text, place, unwritten = said["raised"]
            return Attempt(raised=Raised(str(kind), str(text), str(place), unwritten is True))
        return Attempt(unpack(said["result"]), {str(name): unpack(array) for name, array in said["after"].items()})
    except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
        return Attempt(lost=f"what the function returned did not come over: {error}")


def try_apart(
    ex: Exercise, pieces: tuple[Piece, ...], stem: str, seed: int, limits: Limits, halt: threading.Event | None = None
) -> Tried:
    """Run a submission's answer on every case. A process that ends in one case is started anew behind its part.

    Raises DataError if no process can be started at all
    """
    tried, cases = Tried(), [part for part, _ in ex.cases(seed)]
    got: dict[int, Attempt] = {}
    start, begun = 0, time.monotonic()
    job = {"exercise": ex.name, "seed": seed, "pieces": pieces, "stem": stem}
    while start < len(cases) and not (halt and halt.is_set()):
        left = limits.seconds - (time.monotonic() - begun)
        ended = run_apart(job | {"start": start}, max(left, 0.1), limits)
        received = Received(ended.lines, len(cases))
        if not tried.printed:
            tried.printed, tried.dropped = ended.printed, ended.dropped
        why = f"was not over after {limits.seconds:g} s and was stopped" if ended.late else _why(ended.code)
        if received.loaded is None:
            if start:  # it had come further the first time
                got |= {
                    number: Attempt(lost=f"not tried: running the file anew {why}")
                    for number in range(start, len(cases))
                }
            else:
                tried.missing = f"running the file {why}"
            break
        if start == 0:
            _take_loaded(tried, received.loaded)
        if ended.flood:
            tried.notes.append(f"sent back more than {MOST_RESULTS / 1e6:.0f} MB, the rest was dropped")
        if tried.missing or tried.value:
            break
        got |= {number: one for number, one in received.attempts.items() if number >= start}
        if received.done and not ended.late:
            break
        first = next((number for number in range(start, len(cases)) if number not in got), len(cases))
        if first < len(cases):
            got[first] = Attempt(lost=f"the call {why}")
        start = first + 1
        while start < len(cases) and (ended.late or cases[start] is cases[first]):
            why = "the time was up" if ended.late else "Python had ended before"
            got[start] = Attempt(lost=f"not tried: {why}")
            start += 1
    tried.attempts = [got.get(n, Attempt(lost="nothing came back from this call")) for n in range(len(cases))]
    tried.seconds = time.monotonic() - begun
    return tried


def _take_loaded(tried: Tried, loaded: dict) -> None:
    for name in ("failed", "notes", "uses"):
        texts = loaded.get(name)
        setattr(tried, name, [str(text)[:500] for text in texts][:20] if isinstance(texts, list) else [])
    tried.missing = str(loaded.get("missing") or "")[:500]
    if "value" in loaded:
        try:
            tried.value = [unpack(loaded["value"])]
        except DataError as error:
            tried.missing = str(error)


def _why(code: int) -> str:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        told = {"SIGSEGV": ": it touched memory that is not its own", "SIGKILL": ": out of memory, or it killed itself",
                "SIGXCPU": ": its processor time was up", "SIGABRT": ": it aborted"}  # fmt: skip
        return f"ended Python ({name}{told.get(name, '')})"
    return f"ended Python with exit code {code}"


def report_of(ex: Exercise, tried: Tried, seed: int) -> Report:
    """Judge what came back, in this process."""
    if tried.missing:
        return nothing_right(ex, "there is no answer", tried.missing)
    if tried.value:
        return not_callable(ex, tried.value[0])
    untouched = [case for _, case in ex.cases(seed)]
    got = [outcome(ex, one, case) for one, case in zip(tried.attempts, untouched, strict=True)]
    return judge(ex, got, seed)
