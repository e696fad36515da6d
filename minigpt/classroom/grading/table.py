"""The grades as a table: one row for each student and exercise, then a row with the student's total."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ...errors import DataError
from ...files import FileGroup
from ..exercise import PREFIX, exercise
from .grade import Graded, best

COLUMNS = ("student", "exercise", "points", "possible", "state", "file", "notes")
TOTAL = "total"


def rows(results: list[Graded], students: list[str], stems: list[str], stopped: bool = False) -> list[dict]:
    """state: right | partly | wrong | not written | no answer | not submitted | not graded (after Ctrl-C)"""
    counted = best(results)
    made = []
    for student in students:
        own = [_row(counted.get((student, stem)), student, stem, stopped) for stem in stems]
        points, possible = (sum(row[key] for row in own) for key in ("points", "possible"))
        states = {row["state"] for row in own}
        made += own
        made.append(dict(zip(COLUMNS, (student, TOTAL, points, possible, "not graded" if "not graded" in states else "",
                                       "", ""), strict=True)))  # fmt: skip
    return made


def _row(one: Graded | None, student: str, stem: str, stopped: bool) -> dict:
    if one is None:
        state = "not graded" if stopped else "not submitted"
        values = (student, PREFIX + stem, 0, exercise(stem).points, state, "", "")
    else:
        report = one.report
        values = (student, PREFIX + stem, report.points, report.possible, state_of(one), one.submission.path.name,
                  "; ".join(one.notes))  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def state_of(one: Graded) -> str:
    report = one.report
    if report.missing:
        return "no answer"
    if report.unwritten:
        return "not written"
    return "right" if report.passed else "partly" if report.points else "wrong"


def check_writable(path: Path) -> None:
    """Raises DataError if something stands in the way that is no table of grades."""
    if path.is_dir():
        raise DataError(f"--out {path} is a folder; the name of a file is needed, as grades.csv")
    if path.exists() and not path.read_bytes().lstrip(b"\xef\xbb\xbf").startswith(",".join(COLUMNS).encode()):
        raise DataError(f"{path} exists and is no table of grades; choose another name with --out")


def write(path: Path, table: list[dict]) -> None:
    """UTF-8 with a mark at the beginning, by which spreadsheets know it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows([{key: _harmless(value) for key, value in row.items()} for row in table])
    with FileGroup(path.parent) as group:
        group.bytes(path.name, text.getvalue().encode("utf-8-sig", "replace"))


def _harmless(value):
    """A text that a spreadsheet does not take for a formula: names of files and exceptions are the students' own."""
    text = value if not isinstance(value, str) else " ".join(value.split())
    return f"'{text}" if isinstance(text, str) and text.startswith(("=", "+", "-", "@")) else text
