"""Find the submissions in a folder: whose they are, and which exercise.

    submissions/lee_ex_softmax.ipynb           a flat folder: the student's name, then the exercise
    submissions/lee/ex_softmax.ipynb           a folder for each student, with any names inside

A file that was given another name is recognised by what it holds: notebooks and Python files made by this package say
which exercise they are.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import DataError
from ..cells import Piece, read_pieces
from ..exercise import PREFIX, names

_OF_OTHERS = {
    ".ipynb_checkpoints": "a copy that Jupyter keeps",
    "__pycache__": "Python's own",
    "__MACOSX": "macOS's own",
}


@dataclass(frozen=True)
class Submission:
    """One file. pieces: its code; broken: why it has none; notes: what a teacher should know of name and place"""

    student: str
    exercise: str
    path: Path
    pieces: tuple[Piece, ...] = ()
    broken: str = ""
    notes: tuple[str, ...] = ()


@dataclass
class Collected:
    """others: files that are not graded, and why"""

    submissions: list[Submission] = field(default_factory=list)
    others: list[tuple[Path, str]] = field(default_factory=list)


def collect(folder, only: list[str] | None = None) -> Collected:
    """All files below the folder, sorted. only: stems of the exercises that are graded, the rest is told as not graded.

    Raises: DataError if there is no such folder or nothing to grade in it
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder of submissions")
    found = Collected()
    for path in sorted(folder.rglob("*"), key=lambda path: path.parts):
        if path.is_dir() and not path.is_symlink():
            continue
        submission = _submission(folder, path)
        if isinstance(submission, str):
            found.others.append((path, submission))
        elif only is not None and submission.exercise not in only:
            found.others.append((path, f"{PREFIX}{submission.exercise} is none of the exercises asked for"))
        else:
            found.submissions.append(submission)
    if not found.submissions:
        why = "".join(f"; {path.name}: {text}" for path, text in found.others[:3])
        raise DataError(f"nothing to grade in {folder}: wanted are files like lee_ex_softmax.ipynb, or a folder for "
                        f"each student{why}")  # fmt: skip
    return found


def _submission(folder: Path, path: Path) -> Submission | str:
    """The submission, or why the file is none."""
    inside = path.relative_to(folder)
    for part in inside.parts[:-1]:
        if part in _OF_OTHERS:
            return _OF_OTHERS[part]
    if path.name.startswith("."):
        return "a hidden file"
    if path.is_symlink():
        return "a link; the file itself must be there"
    if path.suffix not in (".py", ".ipynb"):
        return "neither a notebook nor a Python file"
    pieces, broken = [], ""
    try:
        pieces = read_pieces(path)
    except DataError as error:
        broken = str(error)
    named, said = _named(path.stem), _said(path, pieces)
    exercise = said or named
    if exercise is None:
        return f"which exercise? neither its name nor its content says so; call it …_{PREFIX}softmax{path.suffix}"
    student, notes = _student(inside, named), []
    if not student:
        return f"whose is it? call it lee_{PREFIX}{exercise}{path.suffix}, or put it in the student's folder"
    if named is None:
        notes.append(f"the file has another name, {path.name}; it was recognised by its content")
    elif named != exercise:
        notes.append(f"the file is called {path.name}, but holds {PREFIX}{exercise}")
    return Submission(student, exercise, path, tuple(pieces), broken, tuple(notes))


def _named(stem: str) -> str | None:
    """The exercise in a file's name; the longest that fits."""
    found = [name for name in names() if re.search(rf"(^|[^a-z]){PREFIX}{name}($|[^a-z])", stem, re.IGNORECASE)]
    return max(found, key=len, default=None)


def _said(path: Path, pieces: list[Piece]) -> str | None:
    """The exercise that the content names: the notebook's metadata, the first line of a Python file."""
    if not pieces:
        return None
    if path.suffix == ".py":
        match = re.search(rf"minigpt\.classroom check {PREFIX}(\w+) FILE", pieces[0].source)
        said = match[1] if match else None
    else:
        metadata = json.loads(path.read_text(encoding="utf-8-sig")).get("metadata")
        ours = metadata.get("minigpt") if isinstance(metadata, dict) else None
        said = str(ours.get("name", "")).removeprefix(PREFIX) if isinstance(ours, dict) else None
    return said if said in names() else None


def _student(inside: Path, named: str | None) -> str:
    """From the folder, else from what stands before the exercise in the file's name."""
    if len(inside.parts) > 1:
        return inside.parts[0]
    if named is None:
        return inside.stem
    return re.split(rf"{PREFIX}{named}", inside.stem, maxsplit=1, flags=re.IGNORECASE)[0].strip(" _-.")
