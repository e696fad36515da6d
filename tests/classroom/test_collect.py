"""Whose file, which exercise, which of its cells."""

import ast
import json

import pytest

import minigpt as mg
from minigpt.classroom.cells import Piece, library_uses, needed, parsed, read_pieces, without_magics
from minigpt.classroom.grading.collect import collect
from minigpt.classroom.places import student_path


@pytest.fixture
def folder(tmp_path):
    def put(*names, text="x = 1\n"):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return put


@pytest.mark.parametrize(
    ("path", "student", "exercise"),
    [
        ("lee_ex_softmax.py", "lee", "softmax"),
        ("Lee, Kim - ex_softmax.py", "Lee, Kim", "softmax"),
        ("王芳_EX_Softmax.py", "王芳", "softmax"),
        ("lee/ex_mask.py", "lee", "mask"),
        ("lee/week 1/ex_mask (2).py", "lee", "mask"),
        ("Lee_4711_file_/my_ex_cross_entropy_v2.py", "Lee_4711_file_", "cross_entropy"),
        ("lee_ex_layernorm_backward.py", "lee", "layernorm_backward"),
    ],
)
def test_student_and_exercise_from_the_names(folder, path, student, exercise):
    (one,) = collect(folder(path)).submissions
    assert (one.student, one.exercise) == (student, exercise)
    assert not one.notes


def test_an_exercise_whose_name_begins_as_anothers_is_not_taken_for_it(folder):
    assert "which exercise?" in str(collect(folder("a_ex_softmax.py", "b_ex_softmaxes.py")).others)


def test_a_renamed_file_says_itself_what_it_is(folder):
    notebook = student_path("mask").read_text(encoding="utf-8")
    folder("lee/homework.ipynb", "kim.ipynb", "pat_ex_softmax.ipynb", text=notebook)
    python = "# Check: python -m minigpt.classroom check ex_mask FILE, or pytest FILE, or run the file.\n"
    found = {one.student: one for one in collect(folder("sam/mine.py", text=python)).submissions}
    assert {student: one.exercise for student, one in found.items()} == dict.fromkeys(
        ("lee", "kim", "pat", "sam"), "mask"
    )
    assert found["lee"].notes == ("the file has another name, homework.ipynb; it was recognised by its content",)
    assert found["pat"].notes == ("the file is called pat_ex_softmax.ipynb, but holds ex_mask",)


def test_exercises_not_asked_for_are_told(folder):
    found = collect(folder("a_ex_softmax.py", "a_ex_mask.py"), ["mask"])
    assert [one.exercise for one in found.submissions] == ["mask"]
    assert "none of the exercises asked for" in found.others[0][1]


def test_a_link_is_not_followed(folder):
    place = folder("lee_ex_softmax.py")
    try:
        (place / "kim_ex_softmax.py").symlink_to(place / "lee_ex_softmax.py")
    except OSError:
        pytest.skip("no links on this system")
    found = collect(place)
    assert [one.student for one in found.submissions] == ["lee"]
    assert "a link" in found.others[0][1]


def test_nothing_to_grade_is_an_error(tmp_path, folder):
    with pytest.raises(mg.DataError, match="nothing to grade in"):
        collect(tmp_path)
    with pytest.raises(mg.DataError, match="no folder of submissions"):
        collect(tmp_path / "none")
    with pytest.raises(mg.DataError, match=r"a.txt: neither a notebook"):
        collect(folder("a.txt"))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{", "is no notebook: it is not JSON"), (b"[]", "no list of cells"), (b"\xff\xfe\x00", "not UTF-8"),
     (b"[" * 100_000, "not JSON"), (b'{"cells": 3}', "no list of cells")],
)  # fmt: skip
def test_a_damaged_file_is_a_submission_without_code(tmp_path, content, words):
    (tmp_path / "lee_ex_softmax.ipynb").write_bytes(content)
    (one,) = collect(tmp_path).submissions
    assert words in one.broken


def test_odd_cells_are_no_crash(tmp_path):
    code = {"cell_type": "code"}
    cells = [3, code, code | {"source": ["a = 1\n", 2], "metadata": []}, {"cell_type": "markdown", "source": "m"},
             code | {"source": 7, "metadata": {"nbgrader": "x"}}]  # fmt: skip
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert [piece.source for piece in read_pieces(path)] == ["", "a = 1\n2", "7"]


def test_magics_are_dropped_and_line_numbers_stay():
    source = "%matplotlib inline\n!pip install x\nif True:\n    %time f()\nsoftmax?\n?softmax\nx = 7 % 3\n"
    assert without_magics(source).splitlines() == ["pass", "pass", "if True:", "    pass", "pass", "pass", "x = 7 % 3"]
    assert without_magics("%%bash\nrm -rf x\n") == ""
    assert without_magics("%%time\nx = 1\n") == "pass\nx = 1\n"


def test_python_that_only_looks_like_a_magic_stays():
    tree = parsed(Piece("cell 1", "x = (7\n% 3)\n"))
    assert ast.unparse(tree) == "x = 7 % 3"
    with pytest.raises(SyntaxError):
        parsed(Piece("mine.py", "%matplotlib inline\n"))


def test_cells_after_the_answer_are_run_only_if_they_define():
    sources = ["import numpy as np", "def f(): return g()", "while True: pass", "def g(): return 1", "print(f())"]
    trees = [ast.parse(source) for source in sources]
    assert needed(trees, "f") == [True, True, False, True, False]
    assert needed(trees, "h") == [True] * 5
    assert needed([ast.parse("if 1:\n    f = 2"), ast.parse("print(1)")], "f") == [True, False]


def test_what_is_taken_from_the_library_is_seen():
    source = (
        "import minigpt as mg, minigpt.nn\nfrom minigpt import functional as F\nfrom minigpt.tensor import Tensor\n"
    )
    source += "mg.Tensor(1); F.softmax(x); Tensor(2); mg.nn.Linear; minigpt.nn.GELU\nmg = 3\n"
    assert library_uses(ast.parse(source)) == {
        "minigpt.Tensor", "minigpt.functional.softmax", "minigpt.tensor.Tensor", "minigpt.nn.Linear", "minigpt.nn.GELU",
    }  # fmt: skip
    assert library_uses(ast.parse("import numpy as np\nnp.exp(1)")) == set()
