"""Grade a folder of submissions: points by part into a table, and a page for each student with what is wrong and why.

The folder holds files like lee_ex_softmax.ipynb, or a folder for each student; .py files are graded the same. Each
submission runs in a process of its own with limits of time and memory, and only what its function returns comes back.
It is no sandbox: the code can read and write what you can. Grade strangers' code as another user or in a container.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import closing
from pathlib import Path

from ..errors import ArgumentError
from .common import positive

HELP = "grade a folder of submitted exercises"
EXAMPLE = "minigpt grade submissions --out grades.csv --feedback feedback"
EVERY = 5.0  # seconds between two writings of the table: what a crash of this machine may cost


def add_arguments(parser):
    parser.add_argument("submissions", type=Path, help="folder of files lee_ex_softmax.ipynb, or of students' folders")
    parser.add_argument(
        "--out", type=Path, default=Path("grades.csv"), metavar="FILE", help="the table (default: grades.csv)"
    )
    parser.add_argument(
        "--feedback", type=Path, default=Path("feedback"), metavar="FOLDER", help="the pages (default: feedback)"
    )
    parser.add_argument(
        "--exercises", metavar="NAMES", help="what was set, with commas (default: what anybody handed in)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1729,
        metavar="N",
        help="random numbers of the cases; students have 0 (default: 1729)",
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=60.0, metavar="S", help="for a submission, by the clock (default: 60)"
    )
    parser.add_argument(
        "--memory", type=positive, default=2048, metavar="MB", help="for a submission (default: 2048; not on Windows)"
    )
    parser.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, metavar="N",
        help="submissions at a time (default: as many as there are processors)",
    )  # fmt: skip
    parser.add_argument("--user", metavar="NAME", help="run the code as this user (only if you are root)")


def run(args) -> int:
    from ..classroom.exercise import exercise
    from ..classroom.grading import table
    from ..classroom.grading.collect import collect
    from ..classroom.grading.grade import probe
    from ..classroom.grading.separately import Limits

    table.check_writable(args.out)
    if args.feedback.exists() and not args.feedback.is_dir():
        raise ArgumentError(f"--feedback {args.feedback} is a file; a folder is needed")
    _check_user(args.user)
    only = [exercise(name.strip()).name for name in args.exercises.split(",")] if args.exercises else None
    found = collect(args.submissions, only)
    stems = only or sorted({one.exercise for one in found.submissions})
    limits = Limits(args.seconds, args.memory, args.user)
    probe(sorted({one.exercise for one in found.submissions}), args.seed, limits)
    return _grade(args, found, stems, limits)


def _grade(args, found, stems, limits) -> int:
    from tqdm import tqdm

    from ..classroom.grading import table
    from ..classroom.grading.grade import graded, note_doubles

    students = sorted({one.student for one in found.submissions})
    results: list = []
    stopped, begun = True, time.monotonic()
    written = begun
    try:
        bar = tqdm(total=len(found.submissions), desc="grading", unit="file", disable=None)
        with bar, closing(graded(found.submissions, args.seed, limits, args.workers)) as each:
            for one in each:
                results.append(one)
                bar.update()
                if time.monotonic() - written > EVERY:
                    table.write(args.out, table.rows(results, students, stems, True))
                    written = time.monotonic()
        stopped = False
    except KeyboardInterrupt:
        print("stopped; what was graded so far is written", file=sys.stderr)
    seconds = time.monotonic() - begun
    note_doubles(results)
    table.write(args.out, table.rows(results, students, stems, stopped))
    stale = _write_pages(args.feedback, results, students, stems)
    _say(args, found, results, students, seconds, stale)
    return 130 if stopped else 0


def _write_pages(folder: Path, results, students, stems) -> list[str]:
    """One for each student of whom something was graded; returns names of pages from an earlier run."""
    from ..classroom.grading.page import file_names, page
    from ..files import FileGroup

    names = file_names(students)
    own = {student: [one for one in results if one.submission.student == student] for student in students}
    with FileGroup(folder) as group:
        for student in students:
            if own[student]:
                group.text(names[student], page(student, own[student], stems))
    return sorted(path.name for path in folder.glob("*.html") if path.name not in names.values())


def _say(args, found, results, students, seconds: float, stale: list[str]) -> None:
    each = seconds / max(1, len(results))
    print(f"graded {len(results)} of {len(found.submissions)} files of {len(students)} students in {seconds:.1f} s, "
          f"{each:.2f} s each with {args.workers} at a time")  # fmt: skip
    for path, why in found.others:
        print(f"not graded: {path}: {why}")
    for one in results:
        for note in one.notes:
            print(f"note: {one.submission.student}, ex_{one.submission.exercise}: {note}")
    for name in stale:
        print(f"note: {args.feedback / name} is from an earlier run")
    print(f"wrote {args.out} and {args.feedback}")


def _check_user(user: str | None) -> None:
    if user is None:
        return
    if os.name != "posix" or os.getuid() != 0:
        raise ArgumentError("--user needs root on Linux or macOS; without it the code runs as you")
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        raise ArgumentError(f"--user {user}: there is no such user") from None


def _seconds(text: str) -> float:
    value = float(text)
    if not value >= 1 or value == float("inf"):
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value
