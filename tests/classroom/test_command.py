"""python -m minigpt.classroom: list, start, check, build; one line for bad input; files that are not overwritten."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import minigpt as mg
from minigpt.classroom import names, places
from minigpt.classroom.__main__ import main

ROOT = Path(mg.__file__).parents[1]
RIGHT = "from minigpt.classroom import exercise\nsoftmax = exercise('softmax').right\n"


@pytest.fixture
def mine(tmp_path):
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def refused(capsys):
    def run(*words):
        assert main(list(words)) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
        return captured.err

    return run


def test_list_has_every_exercise_with_the_easy_ones_first(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines) == [f"ex_{name}" for name in names()]
    levels = [int(line.split()[1]) for line in lines]
    assert levels == sorted(levels)


def test_start_write_check(tmp_path, capsys):
    path = tmp_path / "ex_softmax.py"
    assert main(["start", "ex_softmax", "--out", str(path)]) == 0
    assert main(["check", "ex_softmax", str(path)]) == 1
    assert "not written yet: exponentiate each row" in capsys.readouterr().out
    text = path.read_text(encoding="utf-8")
    stub = next(line for line in text.splitlines() if "NotImplementedError" in line)
    path.write_text(
        text.replace(stub, "    return mg.functional.softmax(mg.Tensor(x), axis).numpy()"), encoding="utf-8"
    )
    assert main(["check", "softmax", str(path)]) == 0
    assert "6 of 6 points" in capsys.readouterr().out


def test_start_does_not_overwrite(tmp_path, refused):
    path = tmp_path / "ex_softmax.py"
    path.write_text("my work", encoding="utf-8")
    assert "exists; your work is not overwritten" in refused("start", "ex_softmax", "--out", str(path))
    assert path.read_text(encoding="utf-8") == "my work"


def test_start_names_the_file_after_the_exercise(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["start", "softmax"]) == main(["start", "softmax", "--notebook"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ex_softmax.ipynb", "ex_softmax.py"]
    assert "python -m minigpt.classroom check ex_softmax ex_softmax.py" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def softmax(x:\n    return x\n", "mine.py:1: "),
        ("x = 1\ny = x / 0\n", "mine.py:2: y = x / 0: ZeroDivisionError"),
        ("def sofmax(x):\n    return x\n", "mine.py defines no softmax; it defines sofmax"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_a_file_that_cannot_be_checked_is_told_in_one_line(mine, refused, text, words):
    assert words in refused("check", "ex_softmax", mine(text))


def test_a_notebook_is_checked_too(tmp_path, capsys, refused):
    """Its cells are run up to the answer; one that raises stops nothing, as long as there is an answer."""
    book = json.loads((places.STUDENT / "ex_softmax.ipynb").read_text(encoding="utf-8"))
    (cell,) = (cell for cell in book["cells"] if cell["metadata"].get("nbgrader", {}).get("solution"))
    path = tmp_path / "ex_softmax.ipynb"

    def checked(source, code):
        cell["source"] = source
        path.write_text(json.dumps(book), encoding="utf-8")
        if code == 2:
            return refused("check", "ex_softmax", str(path))
        assert main(["check", "ex_softmax", str(path)]) == code
        return capsys.readouterr().out

    assert "6 of 6 points" in checked(f"%matplotlib inline\n{RIGHT}1 / 0\n", 0)
    last_axis_only = f"{RIGHT}right = softmax\ndef softmax(x, axis=-1):\n    return right(x, -1) if axis == -1 else 0\n"
    assert "5 of 6 points" in checked(last_axis_only, 1)
    assert "cell 2:1: 1 / 0: ZeroDivisionError" in checked("1 / 0", 2)
    assert "defines no softmax; it defines sofmax" in checked("def sofmax(x):\n    return x", 2)


def test_bad_names_and_files(tmp_path, mine, refused):
    assert "no exercise 'ex_sofmax'" in refused("check", "ex_sofmax", "mine.py")
    assert "whole number from 0 on, got -1" in refused("check", "ex_softmax", mine(RIGHT), "--seed", "-1")
    assert "no exercise 'nothing'" in refused("start", "nothing")
    assert "yours.py is missing" in refused("check", "ex_softmax", str(tmp_path / "yours.py"))
    assert "mine.ipynb is missing" in refused("check", "ex_softmax", "mine.ipynb")
    (tmp_path / "mine.txt").write_text(RIGHT, encoding="utf-8")
    assert "neither a .py nor an .ipynb file" in refused("check", "ex_softmax", str(tmp_path / "mine.txt"))
    assert "cannot write" in refused("start", "ex_softmax", "--out", str(tmp_path / "no" / "mine.py"))


def test_build_writes_both_kinds(tmp_path, capsys):
    assert main(["build", "--out", str(tmp_path)]) == 0
    for kind in ("student", "instructor"):
        assert sorted(path.stem for path in (tmp_path / kind).iterdir()) == [f"ex_{name}" for name in names()]
    assert "BEGIN SOLUTION" in (tmp_path / "instructor" / "ex_softmax.ipynb").read_text(encoding="utf-8")
    assert "BEGIN SOLUTION" not in (tmp_path / "student" / "ex_softmax.ipynb").read_text(encoding="utf-8")


def test_build_check_sees_a_stale_a_missing_and_a_foreign_notebook(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(places, "STUDENT", tmp_path)
    assert main(["build"]) == 0
    assert main(["build", "--check"]) == 0
    (tmp_path / "ex_softmax.ipynb").write_text("{}", encoding="utf-8")
    (tmp_path / "ex_cross_entropy.ipynb").unlink()
    (tmp_path / "solution.ipynb").write_text("{}", encoding="utf-8")
    capsys.readouterr()
    assert main(["build", "--check"]) == 1
    assert "stale: ex_cross_entropy.ipynb, ex_softmax.ipynb, solution.ipynb" in capsys.readouterr().out


def test_an_installed_package_finds_the_students_notebooks_beside_it(tmp_path, monkeypatch):
    installed = tmp_path / "share" / "minigpt" / "exercises" / "ex_softmax.ipynb"
    installed.parent.mkdir(parents=True)
    installed.write_bytes((places.STUDENT / "ex_softmax.ipynb").read_bytes())

    class Entry(type(Path())):
        def locate(self):
            return installed

    monkeypatch.setattr(places, "STUDENT", tmp_path / "none")
    monkeypatch.setattr(places, "EXERCISES", tmp_path / "none")
    monkeypatch.setattr(
        importlib.metadata, "files", lambda name: [Entry("../../../share/minigpt/exercises/ex_softmax.ipynb")]
    )
    assert main(["start", "ex_softmax", "--out", str(tmp_path / "mine.py")]) == 0
    assert places.student_path("softmax") == installed


def test_without_the_repository_one_line_says_what_to_do(tmp_path, monkeypatch, refused):
    monkeypatch.setattr(places, "STUDENT", tmp_path)
    monkeypatch.setattr(places, "EXERCISES", tmp_path)
    monkeypatch.setattr(importlib.metadata, "files", lambda name: None)
    assert "get the repository" in refused("start", "ex_softmax")
    assert "get the repository" in refused("build")


def test_the_notebooks_are_installed_with_the_package():
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert f"{places.INSTALLED.rstrip('/')} = notebooks/exercises/student/*.ipynb" in text


def test_pytest_on_a_students_file(tmp_path, mine):
    """What "Debug the tests or the exercise in this file" of VS Code runs."""
    main(["start", "ex_softmax", "--out", str(tmp_path / "ex_softmax.py")])
    launch = (ROOT / ".vscode" / "launch.json").read_text(encoding="utf-8")
    arguments = ["${file}", "-x", "-q", "-p", "no:cacheprovider"]
    assert json.dumps(arguments) in launch
    words = [word.replace("${file}", str(tmp_path / "ex_softmax.py")) for word in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "not written yet: exponentiate each row" in done.stdout


def test_a_right_file_passes_from_the_shell(mine):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "minigpt.classroom", "check", "ex_softmax", mine(RIGHT)],
        capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 of 6 points" in done.stdout
