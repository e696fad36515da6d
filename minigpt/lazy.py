"""Packages whose names are loaded when they are first asked for (PEP 562), so that importing them is cheap."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module


def lazy_names(package: str, names: dict, home: dict[str, str]) -> tuple[Callable, Callable]:
    """(__getattr__, __dir__) for a package: `__getattr__, __dir__ = lazy_names(__name__, globals(), _HOME)`

    names: the package's own globals(). home: public name -> the module of the package that defines it.
    """

    def load(name):
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(sorted(home))}")
        names[name] = getattr(import_module(f".{home[name]}", package), name)  # the next access finds it directly
        return names[name]

    return load, lambda: sorted({*names, *home})
