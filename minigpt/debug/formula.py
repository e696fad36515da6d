"""The formula of an op, read from its docstring: there it stands once, beside the code that computes it."""

from __future__ import annotations

import inspect


def formula(op: type) -> str:
    """Its first paragraph and, if it has one, the part that begins with `Backward:`; "" without a docstring."""
    text = inspect.cleandoc(op.__dict__.get("__doc__") or "")  # its own, not that of a class above it
    lines = text.split("\n")
    first = lines[: lines.index("")] if "" in lines else lines
    found = [line for line in first if not line.startswith(("Shapes:", "Units:", "Raises:", "Settings:", "Source:"))]
    for k, line in enumerate(lines):
        if line.startswith("Backward:"):
            if line not in found:
                found.append(line)
            found += [more for more in _indented(lines[k + 1 :]) if more not in found]
    return "\n".join(found)


def _indented(lines):
    for line in lines:
        if not line.startswith("  "):
            return
        yield line
