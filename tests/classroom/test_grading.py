"""A class of simulated students, right, wrong and hostile, graded in one run with the marks that they must get."""

import csv
import os
import secrets
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import simulated_class

from minigpt.classroom.grading.page import file_names
from minigpt.classroom.grading.table import COLUMNS
from minigpt.cli import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the hostile ones fork, and kill by signals")


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The folder, the students, what was printed, the mark of processes that must not be left."""
    place = tmp_path_factory.mktemp("class")
    mark = f"left-behind-{secrets.token_hex(8)}"
    students = simulated_class.simulated(mark, [str(place / "grades.csv"), str(place / "pages" / "vera.html")])
    simulated_class.write(students, place / "in")
    (place / "in" / "notes.txt").write_text("remember the milk", encoding="utf-8")
    (place / "in" / "who.py").write_text("print(1)", encoding="utf-8")
    (place / "in" / "ex_mask.py").write_text("def mask(): pass", encoding="utf-8")
    checkpoint = place / "in" / "ann" / ".ipynb_checkpoints" / "ex_softmax-checkpoint.ipynb"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("{}", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        printed = []
        patched.setattr("builtins.print", lambda *words, **rest: printed.append(" ".join(map(str, words))))
        code = main(["grade", "in", "--out", "grades.csv", "--feedback", "pages", "--workers", "2", "--seconds",
                     str(simulated_class.SECONDS), "--memory", str(simulated_class.MEGABYTES)])  # fmt: skip
    assert code == 0
    return place, students, printed, mark


@pytest.fixture(scope="module")
def table(graded):
    with open(graded[0] / "grades.csv", encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames) == COLUMNS
        return list(reader)


def row_of(table, student, exercise):
    (row,) = (row for row in table if (row["student"], row["exercise"]) == (student, exercise))
    return row


def test_there_are_more_than_thirty_of_all_kinds(graded):
    students = graded[1]
    assert len(students) >= 30
    assert {one.state for one in students} >= {"right", "partly", "wrong", "not written", "no answer"}


def test_everybody_has_the_marks_expected(graded, table):
    wrong = []
    for one in graded[1]:
        row = row_of(table, one.student, f"ex_{one.exercise}")
        if one.state and (int(row["points"]), row["state"]) != (one.points, one.state):
            wrong.append((one.student, one.points, one.state, row))
        if one.noted not in row["notes"]:
            wrong.append((one.student, one.noted, row["notes"]))
    assert not wrong, "\n".join(map(str, wrong))


def test_every_student_has_a_page_that_says_why(graded):
    place, students, *_ = graded
    names = file_names(sorted({one.student for one in students}))
    assert sorted(path.name for path in (place / "pages").iterdir()) == sorted(names.values())
    missing = []
    for one in students:
        text = (place / "pages" / names[one.student]).read_text(encoding="utf-8")
        assert text.startswith("<!doctype html>")
        assert f"ex_{one.exercise}" in text
        if one.told not in text:
            missing.append((one.student, one.told))
    assert not missing, "\n".join(map(str, missing))


class Balanced(HTMLParser):
    """Every element is closed in its turn, and nothing is fetched or run."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attributes):
        names = dict(attributes)
        if tag == "script" or "src" in names or not names.get("href", "#").startswith("#"):
            self.wrong.append(self.get_starttag_text())
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")


def test_pages_are_whole_and_fetch_nothing(graded):
    for path in (graded[0] / "pages").iterdir():
        parser = Balanced()
        parser.feed(path.read_text(encoding="utf-8"))
        assert (parser.wrong, parser.open) == ([], []), path.name


def test_the_table_has_a_row_for_each_exercise_and_a_total(graded, table):
    students = sorted({one.student for one in graded[1]})
    assert [row["student"] for row in table if row["exercise"] == "total"] == students
    for student in students:
        own = [row for row in table if row["student"] == student]
        assert [row["exercise"] for row in own] == [
            "ex_attention",
            "ex_cross_entropy",
            "ex_mask",
            "ex_softmax",
            "total",
        ]
        for column in ("points", "possible"):
            assert int(own[-1][column]) == sum(int(row[column]) for row in own[:-1])
    assert row_of(table, "ann", "total")["points"] == "16"
    assert row_of(table, "ben", "ex_softmax")["state"] == "not submitted"


def test_what_is_not_graded_is_listed_with_the_reason(graded):
    lines = [line for line in graded[2] if line.startswith("not graded: ")]
    for words in ("notes.txt: neither a notebook nor a Python file", "who.py: which exercise?",
                  "ex_mask.py: whose is it?", "a copy that Jupyter keeps"):  # fmt: skip
        assert sum(words in line for line in lines) == 1, words
    assert len(lines) == 4


def test_nothing_is_written_but_the_table_and_the_pages(graded):
    place, students, *_ = graded
    assert sorted(path.name for path in place.iterdir()) == ["grades.csv", "in", "pages"]
    inside = {path.relative_to(place / "in").as_posix() for path in (place / "in").rglob("*") if path.is_file()}
    others = {"notes.txt", "who.py", "ex_mask.py", "ann/.ipynb_checkpoints/ex_softmax-checkpoint.ipynb"}
    assert inside == {one.path for one in students} | others


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the processes that left their group")
def test_no_process_is_left(graded):
    mark = graded[3].encode()
    left = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                left += [entry.name] if mark in (entry / "cmdline").read_bytes() else []
            except OSError:
                continue  # it has ended meanwhile
    assert left == []
