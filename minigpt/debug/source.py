"""Which line of the user's own program is running or has failed: the innermost outside of minigpt and Python itself."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_ROOT = Path(__file__).parents[1]
_NOT_THE_USERS = tuple(
    str(folder) + os.sep
    for folder in (
        _ROOT,
        _ROOT.parent / "kernels",
        sysconfig.get_paths()["stdlib"],
        sysconfig.get_paths()["purelib"],
        sysconfig.get_paths()["platlib"],
    )
)


class Line(NamedTuple):
    """A place in a program; `file` is as Python names it, which for a notebook's cell is no path."""

    file: str
    number: int

    @property
    def code(self) -> str:
        """The line's text, "" where it cannot be had."""
        return linecache.getline(self.file, self.number).strip()

    @property
    def place(self) -> str:
        """`train.py:12`, or for a notebook `Cell In[3]:2`."""
        return f"{_short(self.file)}:{self.number}"

    def __str__(self):
        return f"{self.place}: {self.code}" if self.code else self.place


def users_line() -> Line | None:
    """The line that is running now; None if only library code is on the stack, as in a thread."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_NOT_THE_USERS) and not file.startswith("<frozen "):
            return Line(file, frame.f_lineno)
        frame = frame.f_back
    return None


def raised_at(error: BaseException) -> Line | None:
    """The innermost line of the user's own program in an error's traceback; None if library code alone is in it."""
    line, trace = None, error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith(_NOT_THE_USERS) and not file.startswith("<frozen "):
            line = Line(file, trace.tb_lineno)
        trace = trace.tb_next
    return line


def _short(file: str) -> str:
    if "IPython" in sys.modules and not file.endswith(".ipynb"):
        shell = sys.modules["IPython"].get_ipython()
        name = shell and getattr(shell.compile, "format_code_name", lambda file: None)(file)
        if name:
            return " ".join(name)  # ("Cell", "In[3]")
    return os.path.basename(file)
