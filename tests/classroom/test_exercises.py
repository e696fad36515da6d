"""Every exercise there is: nothing can be passed without work, nothing leaks, every stored mistake is recognised."""

import json
import re
import time

import numpy as np
import pytest

from minigpt.classroom import examine, exercise, names
from minigpt.classroom.masters import notebook, read_master, solution_lines, student_cells
from minigpt.classroom.places import EXERCISES, STUDENT
from minigpt.classroom.student_file import python_file


def able(name, *more):
    """A parameter of a test, skipped where a package is missing without which the exercise cannot be checked."""
    lacking = exercise(name).lacking
    return pytest.param(name, *more, marks=[pytest.mark.skip(reason=f"{name}: {lacking}")] if lacking else [])


EVERY = pytest.mark.parametrize("name", [able(name) for name in names()])
MISTAKES = [able(name, mistake.name) for name in names() for mistake in exercise(name).mistakes]


@pytest.fixture
def master(name):
    return read_master(EXERCISES / f"ex_{name}.py")


def defined_by(cells, answer):
    """What a notebook's code defines as the answer; cells behind the last solution are not run."""
    last = max(i for i, cell in enumerate(cells) if cell.nbgrader.get("solution"))
    program = {"__name__": "exercise"}
    for cell in cells[: last + 1]:
        if cell.kind == "code":
            exec(compile(cell.source, "exercise", "exec"), program)  # noqa: S102
    return program[answer]


def test_every_master_has_its_checks_and_its_student_notebook():
    assert sorted(path.stem for path in EXERCISES.glob("*.py")) == [f"ex_{name}" for name in names()]
    assert sorted(path.stem for path in STUDENT.glob("*")) == [f"ex_{name}" for name in names()]


@EVERY
def test_the_header_is_complete_and_the_points_are_those_of_the_checks(name, master):
    ex = exercise(name)
    assert ex.name == name
    assert master.points == ex.points
    assert 5 <= master.minutes <= 120
    assert re.fullmatch(r"\d\d_[a-z_]+", master.notebook), "the file's name without .py: 03_softmax_cross_entropy"
    assert 3 <= ex.points <= 15
    assert len({part.title for part in ex.parts}) == len(ex.parts) >= 3
    graded = [cell.nbgrader for cell in master.cells if cell.nbgrader.get("grade")]
    assert sum(cell["points"] for cell in graded) == ex.points
    assert sum("<details>" in cell.source for cell in master.cells) >= 1, "hints in folds"


@EVERY
def test_the_stub_fails_with_a_sentence(name, master):
    report = examine(name, defined_by(student_cells(master), exercise(name).answer))
    assert report.points == 0
    assert report.unwritten
    assert len(report.unwritten.split()) >= 5
    assert report.unwritten in str(report)
    assert all("NotImplementedError" in part.problem for part in report.parts)


@EVERY
@pytest.mark.parametrize("seed", [0, 1, 20])
def test_the_instructors_copy_has_all_points(name, master, seed):
    start = time.perf_counter()
    report = examine(name, defined_by(master.cells, exercise(name).answer), seed)
    assert report.passed, f"\n{report}"
    assert time.perf_counter() - start < 30, "a check is run many times by a student, and in a class by hundreds"


@EVERY
def test_the_instructors_notebook_runs_to_its_end(name, master, capsys):
    """What is there to try out included."""
    program = {"__name__": "exercise"}
    for cell in master.cells:
        if cell.kind == "code":
            exec(compile(cell.source, "exercise", "exec"), program)  # noqa: S102
    out = capsys.readouterr().out
    assert out.count(f"{name}: {master.points} of {master.points} points\n") == 2, "the check and the hidden one"


@EVERY
def test_there_are_enough_mistakes(name):
    mistakes = exercise(name).mistakes
    assert len(mistakes) >= 4
    assert len({mistake.message for mistake in mistakes}) == len(mistakes)
    for mistake in mistakes:
        assert 6 <= len(mistake.message.split()) <= 70, mistake.name
        assert mistake.message.endswith((".", "?")), mistake.name


@pytest.mark.parametrize("seed", [0, 20])
@pytest.mark.parametrize(("name", "mistake"), MISTAKES)
def test_every_mistake_is_rejected_with_its_own_message(name, mistake, seed):
    (wanted,) = (m for m in exercise(name).mistakes if m.name == mistake)
    report = examine(name, wanted.answer, seed)
    told = [part.misconception for part in report.parts if part.problem]
    assert report.points < report.possible
    assert told, "it is rejected"
    # a part that is wrong for its dtype alone has no message of this kind
    assert told[0] == wanted.message, f"told something else:\n{report}"
    assert set(told) <= {wanted.message, ""}, f"told something else:\n{report}"


@EVERY
def test_no_solution_line_is_in_a_students_file(name, master):
    book = json.loads((STUDENT / f"ex_{name}.ipynb").read_text(encoding="utf-8"))
    texts = ["".join(cell["source"]) for cell in book["cells"]] + [python_file(book, exercise(name).answer)]
    lines = {line.strip().removeprefix("# ") for text in texts for line in text.splitlines()}
    secret = solution_lines(master)
    assert len(secret) >= 2
    assert [line for line in secret if line in lines] == []
    assert not any(mark in text for text in texts for mark in ("### BEGIN", "### END"))
    assert not any(cell.get("outputs") for cell in book["cells"])


@EVERY
def test_the_students_notebook_is_the_one_generated(name, master):
    written = (STUDENT / f"ex_{name}.ipynb").read_text(encoding="utf-8")
    assert written == notebook(master, student_cells(master)), "run `python -m minigpt.classroom build`"


@EVERY
def test_the_python_file_can_be_imported_unwritten_and_fails_its_test(name, master):
    text = python_file(json.loads((STUDENT / f"ex_{name}.ipynb").read_text(encoding="utf-8")), exercise(name).answer)
    program = {"__name__": "mine"}
    exec(compile(text, "mine.py", "exec"), program)  # noqa: S102
    with pytest.raises(AssertionError, match="not written yet"):
        program[f"test_{name}"]()


@EVERY
def test_cells_are_what_nbgrader_wants(name, master):
    marked = [cell.nbgrader for cell in master.cells if cell.nbgrader]
    assert all({"grade", "grade_id", "locked", "schema_version", "solution", "task"} <= set(cell) for cell in marked)
    ids = [cell["grade_id"] for cell in marked]
    assert len(set(ids)) == len(ids)
    for cell in master.cells:
        if cell.nbgrader.get("grade"):
            assert cell.source.splitlines()[0].startswith(f'mg.classroom.check("{name}", ')


@EVERY
def test_what_a_hasty_answer_gives_is_no_crash_of_the_checker(name):
    """Whatever comes back, or does not, is told in words, for each part."""

    class Odd:
        def __array__(self, *args, **kwargs):
            raise RuntimeError("no array")

        def __eq__(self, other):
            raise RuntimeError("not comparable")

        __hash__ = None

    ragged = np.array([object(), 1.0])
    values = [None, "text", 10**400, 2j, Odd(), ragged, np.zeros(2, complex), np.array("a"), (), (None,) * 2,
              (Odd(), ragged), (Odd(),) * 3, {}, iter([1]), np.ma.masked_array([1.0], [True])]  # fmt: skip
    for answer in [*(lambda *a, value=value, **k: value for value in values), lambda: 1, 3.0, Odd(), Odd]:
        report = examine(name, answer)
        assert report.points == 0, f"\n{report}"
        assert all(part.problem for part in report.parts)
        assert str(report)
