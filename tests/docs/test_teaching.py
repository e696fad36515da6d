"""The syllabus: every exercise and every notebook has its week, times are those of the headers, commands exist."""

import re
import shlex
from pathlib import Path

import pytest

import minigpt as mg
from minigpt.classroom import names
from minigpt.classroom.course import NOTEBOOKS
from minigpt.classroom.masters import read_master
from minigpt.classroom.places import EXERCISES
from minigpt.cli import build_parser

ROOT = Path(mg.__file__).parents[1]
TEXT = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")


def weeks(number):
    """(notebooks, exercises, minutes of both) for each row of a syllabus."""
    section = TEXT.split(f"## A syllabus for {number} weeks\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if re.match(r"\| \d+ \|", line)]
    return [(re.findall(r"\d\d_\w+", row[1]), re.findall(r"ex_(\w+)", row[2] if "none" not in row[2] else ""),
             [int(text) for text in re.findall(r"\d+", row[3])]) for row in rows]  # fmt: skip


def minutes_of_notebook(name):
    """From the field **Time** of its first cell; None while there is no such notebook."""
    path = ROOT / "notebooks" / f"{name}.py"
    found = re.search(r"\*\*Time\*\* (\d+) minutes", path.read_text(encoding="utf-8")) if path.exists() else None
    return int(found[1]) if found else None


@pytest.mark.parametrize("number", [6, 12])
def test_a_syllabus_has_its_weeks_in_the_order_of_the_course(number):
    rows = weeks(number)
    assert len(rows) == number
    named = [notebook for notebooks, *_ in rows for notebook in notebooks]
    assert named == sorted(set(named))
    assert set(named) <= set(NOTEBOOKS)


def test_the_long_one_has_all_notebooks_and_all_exercises_once():
    rows = weeks(12)
    assert [notebook for notebooks, *_ in rows for notebook in notebooks] == list(NOTEBOOKS)
    exercises = [name for _, exercises, _ in rows for name in exercises]
    assert len(exercises) == len(set(exercises))
    assert set(names()) <= set(exercises)
    assert f"all {len(exercises)} exercises | {100 * len(exercises)} |" in TEXT


@pytest.mark.parametrize("name", names())
def test_an_exercise_comes_with_its_notebook_or_later(name):
    notebook = read_master(EXERCISES / f"ex_{name}.py").notebook
    assert notebook in NOTEBOOKS
    for number in (6, 12):
        done = []
        for notebooks, exercises, _ in weeks(number):
            done += notebooks
            assert name not in exercises or notebook in done


@pytest.mark.parametrize("number", [6, 12])
def test_the_minutes_are_those_of_the_headers(number):
    """Within a quarter, where all of a week's notebooks, or exercises, are there."""
    for notebooks, exercises, (reading, writing) in weeks(number):
        times = [minutes_of_notebook(name) for name in notebooks]
        if None not in times:
            assert abs(sum(times) - reading) <= reading / 4, notebooks
        if set(exercises) <= set(names()):
            total = sum(read_master(EXERCISES / f"ex_{name}.py").minutes for name in exercises)
            assert abs(total - writing) <= writing / 4, exercises


def test_every_notebook_there_is_belongs_to_the_course():
    there = {path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.py") if ".zh" not in path.name}
    assert there <= set(NOTEBOOKS)


def test_the_commands_of_the_grader_are_valid():
    blocks = "".join(re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)).splitlines()
    commands = [shlex.split(line, comments=True)[3:] for line in blocks if "-m minigpt grade" in line]
    assert len(commands) >= 2
    for words in commands:
        build_parser().parse_args(words)
    for flag in re.findall(r"`(--[a-z]+)", TEXT.split("## What the grader protects")[1].split("## With nbgrader")[0]):
        assert f" {flag} " in grade_help()


def grade_help():
    parser = build_parser()
    (subparsers,) = (action for action in parser._actions if action.dest == "command")
    return subparsers.choices["grade"].format_help()
