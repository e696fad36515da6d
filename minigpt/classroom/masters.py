"""Masters of exercises, and what is made of them.

A master is a Python file in percent format: a header of `# key: value` lines between two `# ---`, then cells.

    # %% [markdown]                                              prose, each line behind `# `
    # %%                                                         code that everybody gets
    # %% nbgrader={"solution": true, "grade_id": "softmax"}      code between ### BEGIN SOLUTION and ### END SOLUTION
    # %% nbgrader={"grade": true, "grade_id": "softmax-check"}  the check; ### BEGIN HIDDEN TESTS … ### END HIDDEN TESTS

The instructor's notebook has it all and is an nbgrader source; the student's has a stub for each solution and no hidden
tests. What follows `### BEGIN SOLUTION` on its line is the sentence of the stub.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError
from .course import NOTEBOOKS

KEYS = ("title", "level", "minutes", "points", "notebook")
LEVELS = {1: "easy", 2: "middle", 3: "hard"}
_CELL = re.compile(r"# %%(?P<markdown> \[markdown\])?(?: nbgrader=(?P<nbgrader>\{.*\}))?\s*$")
_NBGRADER = {"grade": False, "locked": False, "schema_version": 3, "solution": False, "task": False}


class Cell(NamedTuple):
    kind: str  # "markdown" or "code"
    source: str
    metadata: dict[str, Any] = {}  # noqa: RUF012 - never written to

    @property
    def nbgrader(self) -> dict[str, Any]:
        return self.metadata.get("nbgrader", {})


@dataclass(frozen=True)
class Master:
    """name: ex_softmax; notebook: of the course, that the exercise belongs to: 03_softmax_cross_entropy"""

    name: str
    title: str
    level: int
    minutes: int
    points: int
    notebook: str
    cells: tuple[Cell, ...]

    @property
    def header(self) -> dict[str, Any]:
        return {"name": self.name} | {key: getattr(self, key) for key in KEYS}


def read_master(path) -> Master:
    """Raises DataError that names file and line."""
    path = Path(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    header, start = _header(path, lines)
    cells: list[Cell] = []
    for number, line in enumerate(lines[start:], start + 1):
        if line.startswith("# %%"):
            cells.append(_opened(path, number, line))
        elif cells:
            kind, source, metadata = cells[-1]
            if kind == "markdown" and line and not line.startswith("#"):
                raise DataError(f"{path}:{number}: a line of prose begins with `# `, got {line!r}")
            line = re.sub("^# ?", "", line) if kind == "markdown" else line
            cells[-1] = Cell(kind, f"{source}{line}\n", metadata)
        elif line.strip():
            raise DataError(f"{path}:{number}: text before the first cell, which begins with `# %%`")
    made = [Cell(kind, source.strip("\n"), metadata) for kind, source, metadata in cells]
    title = (
        f"# {header['title']}\n\nLevel {header['level']} of {max(LEVELS)} ({LEVELS[header['level']]}) · about "
        f"{header['minutes']} minutes · {header['points']} points · goes with the notebook *{header['notebook']}*"
    )
    points = {"points": header["points"]}
    filled = [
        Cell(cell.kind, cell.source, {"nbgrader": points | cell.nbgrader}) if cell.nbgrader.get("grade") else cell
        for cell in made
    ]
    return Master(path.stem, cells=(Cell("markdown", title), *filled), **header)


def _header(path: Path, lines: list[str]) -> tuple[dict[str, Any], int]:
    """The header's values, and the number of the line after it."""
    if not lines or lines[0] != "# ---" or "# ---" not in lines[1:]:
        raise DataError(f"{path} begins with a header between two lines `# ---`: {', '.join(KEYS)}")
    end = lines.index("# ---", 1)
    values: dict[str, Any] = dict(re.findall(r"^# (\w+): (.+)$", "\n".join(lines[1:end]), re.MULTILINE))
    if set(values) != set(KEYS):
        raise DataError(f"{path}: the header must have {', '.join(KEYS)}; it has {', '.join(values)}")
    for key in ("level", "minutes", "points"):
        if not values[key].isdigit():
            raise DataError(f"{path}: {key} is a whole number, got {values[key]!r}")
        values[key] = int(values[key])
    if values["level"] not in LEVELS:
        raise DataError(f"{path}: level is one of {', '.join(map(str, LEVELS))}, got {values['level']}")
    if values["notebook"] not in NOTEBOOKS:
        known = ", ".join(NOTEBOOKS)
        raise DataError(f"{path}: the course has no notebook {values['notebook']!r}; it has {known}")
    return values, end + 1


def _opened(path: Path, number: int, line: str) -> Cell:
    match = _CELL.fullmatch(line)
    if match is None:
        raise DataError(f"{path}:{number}: a cell begins with `# %%`, `# %% [markdown]` or `# %% nbgrader={{…}}`")
    if not match["nbgrader"]:
        return Cell("markdown" if match["markdown"] else "code", "")
    try:
        given = json.loads(match["nbgrader"])
    except ValueError as error:
        raise DataError(f"{path}:{number}: nbgrader={{…}} is no JSON: {error}") from None
    given = _NBGRADER | {"locked": bool(given.get("grade"))} | given
    return Cell("code", "", {"nbgrader": given})


def student_cells(master: Master) -> list[Cell]:
    """Stubs in place of solutions, hidden tests left out. Raises DataError if a mark has no partner."""
    return [cell._replace(source=_stripped(master, cell)) for cell in master.cells]


def _stripped(master: Master, cell: Cell) -> str:
    kept: list[str] = []
    inside = ""
    for line in cell.source.splitlines():
        mark = re.match(r"(\s*)### (BEGIN|END) (SOLUTION|HIDDEN TESTS)\b:?\s*(.*)", line)
        if mark is None:
            kept += [] if inside else [line]
            continue
        indent, side, what, sentence = mark.groups()
        if (side == "BEGIN") == bool(inside) or (inside and what != inside):
            raise DataError(f"{master.name}: {line.strip()!r} has no partner")
        inside = what if side == "BEGIN" else ""
        if side == "BEGIN" and what == "SOLUTION":
            text = sentence or "your code goes here, in place of this line"
            kept.append(f"{indent}raise NotImplementedError({json.dumps(text, ensure_ascii=False)})")
    if inside:
        raise DataError(f"{master.name}: ### BEGIN {inside} has no ### END {inside}")
    return "\n".join(kept).strip("\n")


def solution_lines(master: Master) -> list[str]:
    """The lines that no student's file may have, without indentation; not those that the stub has as well."""
    text = "\n".join(cell.source for cell in master.cells)
    blocks = re.findall(r"### BEGIN (SOLUTION|HIDDEN TESTS).*?\n(.*?)\s*### END \1", text, re.DOTALL)
    lines = {line.strip() for _, block in blocks for line in block.splitlines()}
    return sorted(line for line in lines if len(line) > 3)


def notebook(master: Master, cells) -> str:
    """A Jupyter notebook (format 4.5) as text; the same bytes each time, and the order that Jupyter itself writes."""
    written = []
    for number, cell in enumerate(cells):
        made: dict[str, Any] = {"cell_type": cell.kind, "id": f"{cell.kind}-{number:02d}", "metadata": cell.metadata}
        if cell.kind == "code":
            made |= {"execution_count": None, "outputs": []}
        written.append(made | {"source": cell.source.splitlines(keepends=True)})
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "minigpt": master.header,
    }
    book = {"cells": written, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
