"""A student's Python file: run it and find the answer in it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from ..debug.source import raised_at
from ..errors import DataError
from .exercise import Exercise


def load_answer(path, ex: Exercise) -> Any:
    """What the file defines under the name that the exercise asks for. Raises DataError in one line if it cannot."""
    path = Path(path)
    if path.suffix != ".py":
        raise DataError(f"{path} is no .py file; a notebook checks itself in its last cell")
    if not path.is_file():
        raise DataError(f"{path} is missing; `python -m minigpt.classroom start ex_{ex.name}` makes it")
    try:
        names = runpy.run_path(str(path), run_name=path.stem)
    except SyntaxError as error:
        raise DataError(f"{path.name}:{error.lineno}: {error.msg}: {(error.text or '').strip()}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a student's file raises is what we report
        line = raised_at(error)
        raise DataError(f"{line or path.name}: {type(error).__name__}: {error}") from None
    if ex.answer not in names:
        own = sorted(name for name, value in names.items() if callable(value) and not name.startswith("_"))
        raise DataError(f"{path.name} defines no {ex.answer}; it defines {', '.join(own) or 'no function at all'}")
    return names[ex.answer]
