"""Where in a model, and on which line of the user's program, an op was applied."""

from __future__ import annotations

from typing import NamedTuple

from .source import Line


class Place(NamedTuple):
    """module: path of the module that ran the op, "" outside of all; line: the user's, None if there is none."""

    module: str
    line: Line | None

    def __str__(self):
        inside = f"in {self.module}" if self.module else "outside of any module"
        return f"{inside}, at {self.line}" if self.line else inside


class ModulePaths:
    """The part of an observer that follows which module is running; `path` is where we are now.

    names: id of a parameter -> its name, of every model that was called so far
    """

    def __init__(self):
        self.names: dict[int, str] = {}
        self._paths: dict[int, str] = {}  # of the outermost module that is running, by id
        self._stack: list[str] = []

    @property
    def path(self) -> str:
        return self._stack[-1] if self._stack else ""

    def around_module(self, module, args, kwargs, proceed):
        if not self._stack:
            self._paths = {id(inner): path for path, inner in module.named_modules()}
            self.names.update((id(p), name) for name, p in module.named_parameters())
        self._stack.append(self._paths.get(id(module)) or f"({type(module).__name__})")
        try:
            return proceed()
        finally:
            self._stack.pop()
