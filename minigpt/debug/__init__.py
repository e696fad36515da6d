"""Watching a computation happen.

`import minigpt.debug` loads nothing else: each name below is loaded at its first use.
"""

from importlib import import_module

# public name -> the module of this package that defines it
_HOME = {"graph": "computation_graph", "module_calls": "computation_graph"}

__all__ = ["graph", "module_calls"]


def __getattr__(name):
    """Load a name when it is first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(sorted(_HOME))}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # the next access finds it without this function
    return value


def __dir__():
    return sorted({*globals(), *_HOME})
