"""Where the exercises' texts lie: in the repository, or, students' notebooks only, beside an installed package."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

from ..errors import DataError
from .exercise import PREFIX, exercise

EXERCISES = Path(__file__).parents[2] / "notebooks" / "exercises"
STUDENT = EXERCISES / "student"
INSTALLED = "share/minigpt/exercises/"  # as in setup.cfg


def master_paths() -> list[Path]:
    """All masters. Raises DataError where the package is installed without its repository."""
    found = sorted(EXERCISES.glob(f"{PREFIX}*.py"))
    if not found:
        raise DataError(
            "the masters of the exercises, with their solutions, are not part of the installed package; get the "
            "repository, `pip install -e .` there, and run this again"
        )
    return found


def student_path(name: str) -> Path:
    """The student's notebook of an exercise. Raises ArgumentError if there is no such exercise."""
    file = f"{PREFIX}{exercise(name).name}.ipynb"
    beside = STUDENT / file
    if beside.exists():
        return beside
    try:
        installed = importlib.metadata.files("minigpt") or []
    except importlib.metadata.PackageNotFoundError:
        installed = []
    for path in installed:
        if path.as_posix().endswith(INSTALLED + file):
            return Path(str(path.locate()))
    raise DataError(
        f"{file} is neither in {STUDENT} nor among the files that were installed with minigpt; get the repository and "
        "run `python -m minigpt.classroom build` in it"
    )


def student_notebook(name: str) -> dict:
    return json.loads(student_path(name).read_text(encoding="utf-8"))
