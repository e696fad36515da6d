"""Reading a master: what is made of it, and what is told when it is not one."""

import json

import pytest

import minigpt as mg
from minigpt.classroom.masters import notebook, read_master, solution_lines, student_cells

MASTER = """\
# ---
# title: Doubling
# level: 1
# minutes: 5
# points: 3
# notebook: 00_start_here
# ---

# %% [markdown]
# ## Twice
#
# Write `double`.

# %% nbgrader={"solution": true, "grade_id": "double"}
def double(x):
    ### BEGIN SOLUTION: add x to itself
    return x + x
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "double-check"}
assert double(2) == 4
### BEGIN HIDDEN TESTS
assert double(3) == 6
### END HIDDEN TESTS
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "ex_double.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_cells_and_header(written):
    master = read_master(written(MASTER))
    assert master.header == {"name": "ex_double", "title": "Doubling", "level": 1, "minutes": 5, "points": 3,
                             "notebook": "00_start_here"}  # fmt: skip
    assert [cell.kind for cell in master.cells] == ["markdown", "markdown", "code", "code"]
    assert master.cells[0].source.startswith("# Doubling\n\nLevel 1 of 3 (easy) · about 5 minutes · 3 points")
    assert master.cells[1].source == "## Twice\n\nWrite `double`."
    assert master.cells[2].nbgrader == {"grade": False, "locked": False, "schema_version": 3, "solution": True,
                                        "task": False, "grade_id": "double"}  # fmt: skip
    assert master.cells[3].nbgrader["points"] == 3
    assert master.cells[3].nbgrader["locked"] is True


def test_the_student_gets_a_stub_and_no_hidden_tests(written):
    cells = student_cells(read_master(written(MASTER)))
    assert cells[2].source == 'def double(x):\n    raise NotImplementedError("add x to itself")'
    assert cells[3].source == "assert double(2) == 4"


def test_lines_that_must_not_leak(written):
    assert solution_lines(read_master(written(MASTER))) == ["assert double(3) == 6", "return x + x"]


def test_a_notebook_is_the_same_each_time_and_has_no_outputs(written):
    master = read_master(written(MASTER))
    text = notebook(master, master.cells)
    assert text == notebook(master, master.cells)
    book = json.loads(text)
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert [cell["id"] for cell in book["cells"]] == ["markdown-00", "markdown-01", "code-02", "code-03"]
    assert book["metadata"]["minigpt"] == master.header


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("# ---\n", "", "begins with a header"),
        ("00_start_here", "00_start", "the course has no notebook '00_start'; it has 00_start_here, 01_tensors"),
        ("# level: 1\n", "", "the header must have title, level, minutes, points, notebook"),
        ("# level: 1", "# level: 7", "level is one of 1, 2, 3, got 7"),
        ("# minutes: 5", "# minutes: few", "minutes is a whole number, got 'few'"),
        ("# %% [markdown]", "# %% [md]", r"ex_double.py:9: a cell begins with"),
        ("# Write", "Write", r"ex_double.py:12: a line of prose begins with `# `"),
        ('"solution": true', '"solution": yes', r"ex_double.py:14: nbgrader=.* is no JSON"),
        ("# %% [markdown]", "x = 1", r"ex_double.py:9: text before the first cell"),
    ],
)
def test_what_is_no_master_is_told_with_its_line(written, old, new, words):
    assert old in MASTER
    with pytest.raises(mg.errors.DataError, match=words):
        read_master(written(MASTER.replace(old, new)))


@pytest.mark.parametrize("gone", ["    ### BEGIN SOLUTION: add x to itself\n", "    ### END SOLUTION\n",
                                  "### END HIDDEN TESTS\n"])  # fmt: skip
def test_a_mark_without_its_partner_leaks_nothing(written, gone):
    master = read_master(written(MASTER.replace(gone, "")))
    with pytest.raises(mg.errors.DataError, match=r"has no (partner|### END)"):
        student_cells(master)
