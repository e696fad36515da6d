"""Run a student's file and find the answer in it."""

from __future__ import annotations

import difflib
import linecache
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError
from .cells import Piece, defined, library_uses, needed, parsed, read_pieces
from .exercise import Exercise
from .outcome import Raised


class Missing:
    """There is no answer, and why."""

    def __init__(self, why: str):
        self.why = why


class Loaded(NamedTuple):
    """answer: what the file defines, or Missing; failed: what pieces raised; notes: what a teacher should know;
    uses: what the code takes from minigpt
    """

    answer: Any
    failed: list[str]
    notes: list[str]
    uses: list[str]


def load_answer(path, ex: Exercise) -> Any:
    """What the file defines under the name that the exercise asks for. Raises DataError in one line if it cannot."""
    path = Path(path)
    if path.suffix in (".py", ".ipynb") and not path.is_file():
        raise DataError(f"{path} is missing; `python -m minigpt.classroom start ex_{ex.name}` makes it")
    loaded = load(read_pieces(path), ex, path.stem)
    if loaded.failed and path.suffix == ".py":
        raise DataError(loaded.failed[0])
    if isinstance(loaded.answer, Missing):
        raise DataError("; ".join([f"{path.name} {loaded.answer.why}", *loaded.failed[:1]]))
    return loaded.answer


def load(pieces: list[Piece], ex: Exercise, stem: str, renamed: bool = False) -> Loaded:
    """Run the pieces that are needed, in one namespace; one that raises does not keep the next from running.

    stem:    `__name__` of a Python file; in a notebook it is "__main__"
    renamed: whether a function of another name is taken where there is just one that it can be
    """
    is_file = len(pieces) == 1 and pieces[0].name.endswith(".py")
    trees, failed = [], []
    for piece in pieces:
        try:
            trees.append((piece, parsed(piece)))
        except SyntaxError as error:
            text = (error.text or "").strip()
            failed.append(f"{piece.name}:{error.lineno}: {error.msg}" + f": {text}" * bool(text))
        except (ValueError, RecursionError, MemoryError) as error:  # a null byte; brackets without end
            failed.append(f"{piece.name}: {type(error).__name__}: {error}")
    program: dict[str, Any] = {"__name__": stem if is_file else "__main__", "display": print}
    uses: set[str] = set()
    for (piece, tree), wanted in zip(trees, needed([tree for _, tree in trees], ex.answer), strict=True):
        if wanted:
            uses |= library_uses(tree)
            failed += _run(piece, tree, program)
    taken = sorted(uses - {"minigpt.classroom.check", "minigpt.classroom.examine"})
    if ex.answer in program:
        return Loaded(program[ex.answer], failed, [], taken)
    own = sorted({name for name in defined([tree for _, tree in trees]) if name in program})
    near = difflib.get_close_matches(ex.answer, own, 2, 0.7)
    likely = own if len(own) == 1 else near
    if renamed and len(likely) == 1:
        note = f"the answer is called {likely[0]}, wanted is {ex.answer}; it was graded all the same"
        return Loaded(program[likely[0]], failed, [note], taken)
    why = f"defines no {ex.answer}; it defines {', '.join(own) or 'no function at all'}"
    return Loaded(Missing(why), failed, [], taken)


def _run(piece: Piece, tree, program: dict[str, Any]) -> list[str]:
    linecache.cache[piece.name] = (len(piece.source), None, piece.source.splitlines(keepends=True), piece.name)
    try:
        exec(compile(tree, piece.name, "exec"), program)  # noqa: S102
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a student's code raises is what we report
        raised = Raised.of(error)
        return [f"{raised.place or piece.name}: {raised}"]
    return []
