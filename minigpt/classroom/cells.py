"""A student's file as pieces of Python: a notebook's code cells, or a Python file as a single piece."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError

MOST_BYTES = 20_000_000
PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")  # the rest of such a cell is Python


class Piece(NamedTuple):
    """name: `cell 3` or `mine.py`, as errors say it; grade_id: of a cell that the exercise came with, or "" """

    name: str
    source: str
    grade_id: str = ""


def read_pieces(path) -> list[Piece]:
    """The code of an .ipynb or .py file, nothing of it run. Raises DataError in one line."""
    path = Path(path)
    text = _read(path)
    if path.suffix == ".py":
        return [Piece(path.name, text)]
    if path.suffix != ".ipynb":
        raise DataError(f"{path} is neither a .py nor an .ipynb file")
    pieces, number = [], 0
    for cell in notebook_of(path, text)["cells"]:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        number += 1
        metadata = cell.get("metadata")
        nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else ""
        source = cell.get("source", "")
        source = "".join(map(str, source)) if isinstance(source, list) else str(source)
        pieces.append(Piece(f"cell {number}", source, str(grade_id or "")))
    return pieces


def notebook_of(path: Path, text: str) -> dict[str, Any]:
    """The notebook that a text holds. Raises DataError if it is none, or of a format before Jupyter 3 (2015)."""
    try:
        book = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{path.name} is no notebook: it is not JSON; was it saved whole?") from None
    if not isinstance(book, dict) or not isinstance(book.get("cells"), list):
        raise DataError(f"{path.name} is no notebook of format 4: it has no list of cells")
    return book


def _read(path: Path) -> str:
    try:
        if not path.is_file():
            raise DataError(f"{path} is missing" if not path.exists() else f"{path} is no file")
        if path.stat().st_size > MOST_BYTES:
            raise DataError(
                f"{path.name} has {path.stat().st_size:,} bytes, more than {MOST_BYTES:,}: clear its outputs"
            )
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None


def parsed(piece: Piece) -> ast.Module:
    """The syntax tree, without Jupyter's own lines (`%matplotlib inline`, `!pip`, `f?`). Raises SyntaxError."""
    try:
        return ast.parse(piece.source, piece.name)
    except SyntaxError:
        if piece.name.endswith(".py"):
            raise
        return ast.parse(without_magics(piece.source), piece.name)


def without_magics(source: str) -> str:
    """The source with as many lines as before; a magic that stands in a block becomes `pass`."""
    lines = source.splitlines()
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and not first.startswith(PYTHON_MAGICS):
        return ""  # another language
    magic = re.compile(r"(\s*)(%|!|\?\??\w|[\w.]+\?{1,2}\s*$)")
    kept = [f"{match[1]}pass" if (match := magic.match(line)) else line for line in lines]
    return "\n".join(kept) + "\n"


def needed(trees: list[ast.Module], answer: str) -> list[bool]:
    """Which pieces to run: up to the last that defines the answer, and of what follows those that only define.

    What is there to try the answer out, and the check, comes after it and is of no use to a grader. If nothing
    defines the answer, all are needed: it may have another name.
    """
    last = max((i for i, tree in enumerate(trees) if defines(tree, answer)), default=len(trees) - 1)
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return [i <= last or all(isinstance(node, definitions) for node in tree.body) for i, tree in enumerate(trees)]


def defines(tree: ast.Module, name: str) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return True
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name:
            return True
        if isinstance(node, ast.alias) and (node.asname or node.name) == name:
            return True
    return False


def defined(trees: list[ast.Module]) -> list[str]:
    """Names of all functions and classes at the top of the pieces, not tests nor private ones."""
    return [
        node.name
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith(("_", "test_"))
    ]


def library_uses(tree: ast.Module) -> set[str]:
    """What a piece takes from minigpt: `minigpt.functional.softmax`, …"""
    names, uses = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "minigpt":
                    names[alias.asname or "minigpt"] = alias.name if alias.asname else "minigpt"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "minigpt":
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        chain = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""
        head, _, rest = chain.partition(".")
        if head in names and (rest or "." in names[head]):
            uses.add(f"{names[head]}.{rest}" if rest else names[head])
    return {use for use in uses if not any(other.startswith(f"{use}.") for other in uses)}
