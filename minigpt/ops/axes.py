"""Axes by name, for errors: `(B=2, T=8, C=32)` says more than `(2, 8, 32)`. Only called once something does not fit.

The names are those of the whole library: B batch, T tokens, C channels, H heads, D head width, V vocabulary. Which axis
is which is a convention, by the number of axes; where there is none, an axis goes by its number from the right.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from ..errors import ShapeError

Shape = tuple[int, ...]
BY_RANK = {3: "B T C", 4: "B H T D"}  # what arrays of so many axes mostly are
ROWS = {1: "C", 2: "N C", **BY_RANK}  # of what a layer takes: rows of C numbers


def named(shape: Shape, names: str | None = None) -> str:
    """(2, 8, 32) -> "(B=2, T=8, C=32)"; names "in out" for others. With too few or too many names they fit the right
    end, and an axis without a name is a number alone."""
    words = (BY_RANK.get(len(shape), "") if names is None else names).split()
    words = ["_"] * (len(shape) - len(words)) + words[max(0, len(words) - len(shape)) :]
    parts = [f"{n}" if word == "_" else f"{word}={n}" for word, n in zip(words, shape, strict=True)]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def rows(shape: Shape) -> str:
    """The input of a layer: (8, 32) -> "(N=8, C=32)"."""
    return named(shape, ROWS.get(len(shape)))


def listed(words: list[str]) -> str:
    """ "a, b and c" """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def refuse_broadcast(name: str, shapes: tuple[Shape, ...], labels=None, axes: str | None = None, hint="") -> NoReturn:
    """Raise the ShapeError for shapes that do not broadcast: laid over each other, the axes that clash marked.

    labels  what the arrays are called; None: left and right, or 1, 2, 3
    axes    names of axes, right-aligned; None: by the convention for the longest shape
    hint    the likely fix; else a new axis is proposed where one makes two shapes fit
    """
    labels = labels or (("left", "right") if len(shapes) == 2 else tuple(str(k + 1) for k in range(len(shapes))))
    rank = max(map(len, shapes))
    words = (BY_RANK.get(rank, "") if axes is None else axes).split()[-rank:]
    words = [f"axis {k - rank}" for k in range(rank - len(words))] + words
    columns, clashes = [], []
    for k in range(rank):
        lengths = [None if k < rank - len(shape) else shape[k - rank + len(shape)] for shape in shapes]
        known = {n for n in lengths if n not in (None, 1)}
        columns.append(
            [("" if n is None else f"{words[k]}={n}" if "axis" not in words[k] else f"{n}") for n in lengths]
        )
        if len(known) > 1:
            clashes.append(k)
    told = [
        f"{words[k]} is "
        + listed([
            f"{shape[k - rank + len(shape)]} ({label})"
            for shape, label in zip(shapes, labels, strict=True) if k >= rank - len(shape)
        ])
        for k in clashes
    ]  # fmt: skip
    width = [max(map(len, column)) for column in columns]
    indent = max(map(len, labels)) + 6
    lines = []
    for row, label in enumerate(labels):
        cells = "  ".join(f"{columns[k][row]:<{width[k]}}" for k in range(rank))
        if shapes[row]:
            lines.append(f"    {label:<{indent - 6}}  {cells}".rstrip())
    marks = "  ".join(("^" * width[k] if k in clashes else "").ljust(width[k]) for k in range(rank))
    lines.append((" " * indent + marks).rstrip())
    hint = hint or (_new_axis(shapes, labels) if len(shapes) == 2 else "")
    raise ShapeError(
        f"{name}: shapes {listed([str(shape) for shape in shapes])} do not broadcast: {'; '.join(told)}. Lengths of an "
        f"axis, counted from the right, must be equal or 1{hint}\n" + "\n".join(lines)
    )


def _new_axis(shapes, labels) -> str:
    """The fix where one new axis of length 1 in the shorter array makes the shapes fit; "" where none does."""
    for k in (1, 0):
        shorter, longer = shapes[k], shapes[1 - k]
        if not 0 < len(shorter) < len(longer):
            continue
        for at in range(len(shorter), 0, -1):
            widened = (*shorter[:at], 1, *shorter[at:])
            if broadcast_or_none(widened, longer) == longer:
                key = ", ".join([":"] * at + ["None"] + [":"] * (len(shorter) - at))
                return f"; did you mean {labels[k]}[{key}]?"
    return ""


def broadcast_or_none(a: Shape, b: Shape) -> Shape | None:
    """The shape that NumPy's rule gives; None if a and b do not broadcast."""
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


def refuse_matmul(a: Shape, b: Shape) -> NoReturn:
    """Raise the ShapeError of a product a @ b whose inner or leading axes do not fit."""
    left = (BY_RANK.get(len(a)) or ("n k" if len(a) == 2 else "k")).split()
    inner = left[-1]
    left = ["_"] * (len(a) - len(left)) + left
    right = [inner] if len(b) == 1 else [*left[:-2][-(len(b) - 2) :], inner, "m"] if len(b) > 2 else [inner, "m"]
    have = f"{named(a, ' '.join(left))} @ {named(b, ' '.join(right))}"
    if a[-1] == (b[-2] if len(b) > 1 else b[0]):
        refuse_broadcast(f"matmul: {have}: leading axes", (a[:-2], b[:-2]), axes=" ".join(left[:-2]))
    hints = []
    if len(b) > 1 and a[-1] == b[-1] and broadcast_or_none(a[:-2], b[:-2]) is not None:
        hints.append("left @ right.T" if len(b) == 2 else "left @ right.swapaxes(-1, -2)")
    if len(a) > 1 and a[-2] == (b[-2] if len(b) > 1 else b[0]) and broadcast_or_none(a[:-2], b[:-2]) is not None:
        hints.append("left.T @ right" if len(a) == 2 else "left.swapaxes(-1, -2) @ right")
    hint = f"; did you mean {' or '.join(hints)}?" if hints else ""
    raise ShapeError(
        f"matmul: {have}: {inner} is {a[-1]} on the left, {b[-2] if len(b) > 1 else b[0]} on the right; the last axis "
        f"on the left and the {'second to last' if len(b) > 1 else 'only'} one on the right must be equal{hint}"
    )
