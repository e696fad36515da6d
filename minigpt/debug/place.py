"""Where in a model, and on which line of the user's program, an op was applied."""

from __future__ import annotations

import threading
from typing import NamedTuple

from .source import Line


class Place(NamedTuple):
    """module: path of the module that ran the op, "" outside of all; line: the user's, None if there is none."""

    module: str
    line: Line | None

    def __str__(self):
        inside = f"in {self.module}" if self.module else "outside of any module"
        return f"{inside}, at {self.line}" if self.line else inside


class _Running(threading.local):
    """What one thread is in: the modules that are running, outermost first, and what everything in them is called."""

    def __init__(self):
        self.stack: list[str] = []
        self.paths: dict[int, str] = {}  # id of a module -> its path
        self.parameters: dict[int, str] = {}  # id of a parameter -> its name


class ModulePaths:
    """The part of an observer that follows, in each thread, which module is running.

    model: whose names hold also where one of its inner modules is called by itself; else names are those in the
    outermost module that is running
    """

    def __init__(self, model=None):
        self.model = model
        self._running = _Running()

    @property
    def path(self) -> str:
        """Of the module that is running in this thread: `h.0.attn`, `(GPT)` for one without a name, "" if none is."""
        stack = self._running.stack
        return stack[-1] if stack else ""

    def name_of(self, tensor) -> str | None:
        """The name of a parameter of a model that this thread has run, else the Tensor's own, if it has one."""
        return self._running.parameters.get(id(tensor)) or tensor.name

    def is_parameter(self, tensor) -> bool:
        return id(tensor) in self._running.parameters

    def around_module(self, module, args, kwargs, proceed):
        running = self._running
        if not running.stack:
            for tree in (module, self.model):
                if tree is not None:
                    running.paths |= {id(inner): path for path, inner in tree.named_modules()}
                    running.parameters |= {id(p): name for name, p in tree.named_parameters()}
        path = running.paths.get(id(module))
        if path is None:  # a module that is no attribute of the outermost one: made while it runs
            path = f"{running.stack[-1]}.({type(module).__name__})"
        running.stack.append(path or f"({type(module).__name__})")
        try:
            return proceed()
        finally:
            running.stack.pop()
            if not running.stack:
                running.paths = {}
