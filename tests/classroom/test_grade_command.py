"""minigpt grade: the same twice, stopped halfway, told what makes no sense, and where it cannot grade at all."""

import csv
import json
import os
import warnings

import numpy as np
import pytest
import simulated_class as simulated

import minigpt as mg
from minigpt.classroom import examine, exercise, names
from minigpt.classroom.cells import Piece
from minigpt.classroom.grading import grade, separately, table
from minigpt.classroom.grading.child import packed
from minigpt.classroom.grading.examination import Received, Tried, report_of, try_apart
from minigpt.classroom.grading.page import file_names
from minigpt.classroom.grading.separately import Limits
from minigpt.classroom.outcome import attempt
from minigpt.cli import main

SMALL = {
    "ann_ex_softmax.ipynb": simulated.right_notebook("softmax"),
    "ben_ex_softmax.py": simulated.softmax(body=simulated.WRONG),
    "cem_ex_softmax.py": simulated.softmax(inside="print(sorted({'a', 'b'}), {'b', 'a'}, id(int) > 0)"),
    "cem_ex_mask.py": "import os\nos._exit(1)\n",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for name, text in SMALL.items():
        (tmp_path / "in" / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(capsys):
    def run(*words):
        assert main(["grade", *words]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
        return captured.err

    return run


def rows(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return [(row["student"], row["exercise"], row["points"], row["state"]) for row in csv.DictReader(file)]


def test_two_runs_write_the_same_bytes_whatever_runs_at_a_time(place, capsys):
    for name, workers in (("one", "1"), ("two", "3")):
        assert main(["grade", "in", "--out", f"{name}.csv", "--feedback", name, "--workers", workers]) == 0
    assert (place / "one.csv").read_bytes() == (place / "two.csv").read_bytes()
    pages = sorted(path.name for path in (place / "one").iterdir())
    assert pages == ["ann.html", "ben.html", "cem.html"]
    for page in pages:
        assert (place / "one" / page).read_bytes() == (place / "two" / page).read_bytes()
    *_, mask, softmax, total = rows("one.csv")
    assert mask == ("cem", "ex_mask", "0", "no answer")
    assert softmax == ("cem", "ex_softmax", "6", "right")
    assert total == ("cem", "total", "6", "")


def test_ctrl_c_leaves_the_grades_so_far_and_no_process(place, monkeypatch, capsys):
    for i in range(4):
        (place / "in" / f"zoe{i}_ex_softmax.py").write_text("while True:\n    pass\n", encoding="utf-8")
    seen = []

    def interrupted(*arguments):
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return report_of(*arguments)

    monkeypatch.setattr(grade, "report_of", interrupted)
    monkeypatch.setattr(grade, "probe", lambda *arguments: None)
    assert main(["grade", "in", "--workers", "6"]) == 130
    assert separately._running == set()
    states = {(student, name): state for student, name, _, state in rows("grades.csv")}
    assert states["ann", "ex_softmax"] == "right"
    assert states["ben", "ex_softmax"] == "wrong"
    assert {states[f"zoe{i}", "ex_softmax"] for i in range(4)} == {"not graded"}
    assert states["cem", "total"] == "not graded"
    captured = capsys.readouterr()
    assert "what was graded so far is written" in captured.err
    assert "graded 2 of 8 files" in captured.out
    assert sorted(path.name for path in (place / "feedback").iterdir()) == ["ann.html", "ben.html"]
    monkeypatch.undo()
    monkeypatch.chdir(place)
    for i in range(4):
        (place / "in" / f"zoe{i}_ex_softmax.py").unlink()
    assert main(["grade", "in"]) == 0, "a rerun grades all anew"
    assert "graded 4 of 4 files" in capsys.readouterr().out


def test_what_was_set_and_not_handed_in_counts(place, capsys):
    (place / "feedback").mkdir()
    (place / "feedback" / "old.html").write_text("old", encoding="utf-8")
    assert main(["grade", "in", "--exercises", "softmax, ex_attention"]) == 0
    softmax, attention, total = (row for row in rows("grades.csv") if row[0] == "ann")
    assert softmax == ("ann", "ex_softmax", "6", "right")
    assert attention == ("ann", "ex_attention", "0", "not submitted")
    assert total == ("ann", "total", "6", "")
    out = capsys.readouterr().out
    assert "cem_ex_mask.py: ex_mask is none of the exercises asked for" in out
    assert f"{os.path.join('feedback', 'old.html')} is from an earlier run" in out
    assert (place / "feedback" / "old.html").read_text(encoding="utf-8") == "old"


def test_what_makes_no_sense_is_told_in_one_line(place, refused):
    (place / "mine.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert "is no table of grades" in refused("in", "--out", "mine.csv")
    assert (place / "mine.csv").read_text(encoding="utf-8") == "a,b\n1,2\n"
    assert "is a folder" in refused("in", "--out", "in")
    assert "is a file; a folder is needed" in refused("in", "--feedback", "mine.csv")
    assert "no exercise 'sofmax'" in refused("in", "--exercises", "sofmax")
    assert "no folder of submissions" in refused("out")
    assert "whole number from 0 on" in refused("in", "--seed", "-1")
    if os.name == "posix":
        monkey = "there is no such user" if os.getuid() == 0 else "needs root"
        assert monkey in refused("in", "--user", "nobody-of-this-name")


def test_a_machine_that_cannot_grade_is_told_before_the_class_gets_no_points(place, refused, monkeypatch):
    monkeypatch.setattr(grade, "_RIGHT", "raise ImportError('no such thing here')  # {answer} {name}\n")
    error = refused("in", "--exercises", "softmax")
    assert "cannot grade ex_softmax here, its right answer does not get all points" in error
    assert not (place / "grades.csv").exists()


@pytest.mark.parametrize("name", names())
def test_every_exercise_can_be_graded_apart(name):
    grade.probe([name], 3, Limits(120))


@pytest.mark.parametrize("name", names())
def test_an_answer_gets_the_same_report_apart_as_in_place(name):
    """Each mistake, its attempts sent over the wire."""
    ex = exercise(name)

    def sent(case, answer):
        line = json.dumps({"case": 0} | packed(attempt(ex, answer, case))).encode("ascii")
        return Received([line], 1).attempts[0]

    for mistake in ex.mistakes:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tried = Tried([sent(case, mistake.answer) for _, case in ex.cases(3)])
        assert str(report_of(ex, tried, 3)) == str(examine(name, mistake.answer, 3)), mistake.name


def test_a_process_that_cannot_be_started_is_one_line_of_the_table(place, monkeypatch, capsys):
    started, start = [], separately._start

    def third_fails(*arguments):
        started.append(1)
        if len(started) == 3:  # the first two try right answers
            raise mg.DataError("cannot start python: no more processes")
        return start(*arguments)

    monkeypatch.setattr(separately, "_start", third_fails)
    assert main(["grade", "in", "--workers", "1"]) == 0
    assert ("ann", "ex_softmax", "0", "no answer") in rows("grades.csv")
    assert ("cem", "ex_softmax", "6", "right") in rows("grades.csv")
    assert "could not be run here, grade it again" in capsys.readouterr().out


def test_overwriting_an_argument_is_seen_from_outside():
    source = "import numpy as np\ndef softmax(x, axis=-1):\n    x -= 1\n    return x\n"
    ex = exercise("softmax")
    tried = try_apart(ex, (Piece("mine.py", source),), "mine", 0, Limits(30))
    assert "overwrote its argument x" in report_of(ex, tried, 0).parts[0].problem


def test_a_spreadsheet_takes_no_text_for_a_formula():
    assert table._harmless("=1+1") == "'=1+1"
    assert table._harmless("a\nb") == "a b"
    assert table._harmless(-3) == -3


def test_pages_have_names_of_their_own():
    names = file_names(["a b", "a_b", "A/B", "王芳", "..", "x" * 300])
    assert len({name.casefold() for name in names.values()}) == 6
    assert names["王芳"] == "王芳.html"
    assert names[".."] == "student.html"
    assert all(len(name) < 100 and "/" not in name for name in names.values())
