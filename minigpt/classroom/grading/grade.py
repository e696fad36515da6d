"""Grade all submissions, several at a time. One that fails in whatever way is a line of the result like any other."""

from __future__ import annotations

import ast
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from ...errors import DataError
from ..cells import Piece, library_uses
from ..checking import Report, nothing_right
from ..exercise import PREFIX, exercise
from ..places import student_notebook
from .collect import Submission
from .examination import Tried, report_of, try_apart
from .separately import Limits, stop_all

# What stands in for a submission to see whether this machine can grade: the right answer itself.
_RIGHT = "from minigpt.classroom import exercise\n{answer} = exercise({name!r}).right\n"


@dataclass
class Graded:
    """A submission, what is right in it, and what a teacher should know of it."""

    submission: Submission
    report: Report
    tried: Tried = field(default_factory=Tried)
    notes: list[str] = field(default_factory=list)


def probe(stems: list[str], seed: int, limits: Limits) -> None:
    """Raises DataError if the right answer of an exercise does not get all its points here, as where Numba is missing.

    Better told before than after a class has been given no points.
    """
    for stem in stems:
        ex = exercise(stem)
        piece = Piece("right.py", _RIGHT.format(answer=ex.answer, name=stem))
        tried = try_apart(ex, (piece,), "right", seed, limits)
        report = report_of(ex, tried, seed)
        if not report.passed:
            printed = tried.printed.strip().splitlines()[-1:]
            why = f"{' '.join(str(report).split())[:300]} {' '.join(printed)[:300]}"
            raise DataError(f"cannot grade {PREFIX}{stem} here, its right answer does not get all points: {why}")


def graded(submissions: list[Submission], seed: int, limits: Limits, workers: int = 1) -> Generator[Graded]:
    """One after the other, in their order; code runs in `workers` processes at a time, judged is here.

    Whoever stops reading (Ctrl-C) stops the processes too.
    """
    waiting: list[tuple[Submission, Future | None]] = []
    pool, halt = ThreadPoolExecutor(workers), threading.Event()
    try:
        for one in submissions:
            ex = exercise(one.exercise)
            future = None if one.broken else pool.submit(try_apart, ex, one.pieces, one.path.stem, seed, limits, halt)
            waiting.append((one, future))
        for one, future in waiting:
            yield _graded(one, Tried(missing=one.broken) if future is None else _result(future), seed)
    finally:
        halt.set()
        pool.shutdown(wait=False, cancel_futures=True)
        while any(future is not None and future.running() for _, future in waiting):
            stop_all()
            time.sleep(0.05)
        pool.shutdown()


def _result(future: Future) -> Tried:
    try:
        return future.result()
    except (DataError, OSError) as error:  # no process, no disk: this machine's fault, and perhaps over in a moment
        return Tried(missing=f"it could not be run: {error}", notes=["could not be run here, grade it again"])


def _graded(one: Submission, tried: Tried, seed: int) -> Graded:
    ex = exercise(one.exercise)
    notes = [*one.notes, *_lost_cells(one)]
    notes += [*tried.notes, *(f"raised: {text}" for text in tried.failed)]
    allowed = _given_uses(one.exercise)
    notes += ["uses " + ", ".join(name for name in tried.uses if name not in allowed)] * bool(set(tried.uses) - allowed)
    try:
        report = report_of(ex, tried, seed)
    except Exception as error:  # noqa: BLE001 - what the student's code returned; one file must not stop the rest
        report = nothing_right(ex, f"what came back could not be judged: {type(error).__name__}: {error}")
        notes.append("could not be judged, look at it yourself")
    lost = {f"a call {one.lost.removeprefix('the call ')}" for one in tried.attempts if one.lost.startswith("the call")}
    notes += sorted(lost)
    if tried.dropped:
        notes.append(f"printed {(len(tried.printed) + tried.dropped) / 1e6:,.1f} MB")
    return Graded(one, report, tried, notes)


def _lost_cells(one: Submission) -> list[str]:
    """Cells of the exercise that a notebook no longer has."""
    if one.broken or one.path.suffix != ".ipynb":
        return []
    there = {piece.grade_id for piece in one.pieces}
    return [f"the cell {grade_id!r} is missing" for grade_id in _grade_ids(one.exercise) if grade_id not in there]


def _grade_ids(stem: str) -> list[str]:
    cells = student_notebook(stem)["cells"]
    return [cell["metadata"]["nbgrader"]["grade_id"] for cell in cells if "nbgrader" in cell["metadata"]]


def _given_uses(stem: str) -> set[str]:
    """What the exercise's own cells take from minigpt."""
    cells = student_notebook(stem)["cells"]
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return library_uses(ast.parse(source))


def best(results: list[Graded]) -> dict[tuple[str, str], Graded]:
    """(student, exercise) -> what counts: of two files the one with more points, the first of equals."""
    found: dict[tuple[str, str], Graded] = {}
    for one in results:
        key = one.submission.student, one.submission.exercise
        if key not in found or one.report.points > found[key].report.points:
            found[key] = one
    return found


def note_doubles(results: list[Graded]) -> None:
    """Where a student handed in an exercise twice, the file that counts says what the other has."""
    counted = best(results)
    for one in results:
        winner = counted[one.submission.student, one.submission.exercise]
        if winner is not one:
            text = f"handed in twice: {one.submission.path.name} has {one.report.points} points and does not count"
            winner.notes.append(text)
