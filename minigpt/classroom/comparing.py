"""Two outputs, element by element: whether they agree, and if not, where first and what the pattern of errors is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor

TOLERANCE = {np.dtype(np.float64): 1e-8, np.dtype(np.float32): 1e-5}


def difference(got: Any, expected: Any, name: str, tolerance: float | None = None) -> str:
    """What is wrong with `got`, "" if nothing: its kind, its shape, then its elements, then the width of its dtype."""
    if got is None and expected is not None:
        return f"{name} is None; does the function end with `return`?"
    if isinstance(expected, np.ndarray | np.generic):
        return _kind(got, expected, name) or _array_difference(np.asarray(got), np.asarray(expected), name, tolerance)
    if isinstance(expected, list | tuple):
        return _sequence_difference(got, expected, name, tolerance)
    if isinstance(expected, float) and isinstance(got, int | float | np.generic | np.ndarray):
        array = np.asarray(got)
        if array.dtype.kind not in "fiu":  # 10**400 and what holds objects too
            return f"{name} is {_a(type(got).__name__)} of {array.dtype}; wanted is a number"
        return _array_difference(array.astype(np.float64), np.asarray(expected), name, tolerance)
    return "" if _equal(got, expected) else f"{name}: expected {_short(expected)}, got {_short(got)}"


def same(a: Any, b: Any, tolerance: float | None = None) -> bool:
    """Whether two outputs agree in shape and elements; the width of the dtype does not matter."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    numeric = (np.ndarray, np.generic, int, float)
    if isinstance(a, numeric) and isinstance(b, numeric):
        a, b = np.asarray(a), np.asarray(b)
        return a.shape == b.shape and a.dtype.kind == b.dtype.kind and not _wrong(a, b, tolerance).any()
    return _equal(a, b)


def distance(a: Any, b: Any) -> float:
    """max|a - b| of two float arrays of one shape; inf if they are not, or are not finite."""
    if not isinstance(a, np.ndarray | np.generic) or not isinstance(b, np.ndarray | np.generic):
        return np.inf
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.kind != "f" or b.dtype.kind != "f" or not a.size:
        return np.inf
    largest = np.abs(a - b).max()
    return float(largest) if np.isfinite(largest) else np.inf


def _equal(a, b) -> bool:
    return type(a) is type(b) and bool(np.all(a == b))


def _kind(got, expected, name) -> str:
    if isinstance(got, Tensor):
        return f"{name} is a Tensor; return its array, t.numpy()"
    if isinstance(got, list | tuple):
        return f"{name} is a {type(got).__name__} of {len(got)}; wanted is a NumPy array {_like(expected)}"
    if not isinstance(got, np.ndarray | np.generic | int | float):
        return f"{name} is {_a(type(got).__name__)}; wanted is a NumPy array {_like(expected)}"
    kinds = {"f": "floats", "i": "integers", "u": "integers", "b": "booleans"}
    got, expected = np.asarray(got), np.asarray(expected)
    given, wanted = (kinds.get(x.dtype.kind, str(x.dtype)) for x in (got, expected))
    if given != wanted:
        return f"{name} holds {given} ({got.dtype}), wanted are {wanted} ({expected.dtype})"
    return ""


def _array_difference(got, expected, name, tolerance) -> str:
    if got.shape != expected.shape:
        text = f"{name} has shape {got.shape}, expected {expected.shape}"
        if got.ndim > 1 and got.shape == expected.T.shape and same(got, expected.T, tolerance):
            return f"{text}; the numbers are right, but transposed"
        if got.size == expected.size and same(got.ravel(), expected.ravel(), tolerance):
            return f"{text}; the numbers are right, and a reshape away"
        return text
    wrong = _wrong(got, expected, tolerance)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = f"{name}[{', '.join(map(str, index))}]" if index else name
        text = f"{place}: expected {_number(expected[index])}, got {_number(got[index])}"
        text += f" ({wrong.sum()} of {wrong.size} elements are wrong)" if wrong.size > 1 else ""
        return text + _pattern(got, expected, tolerance)
    if got.dtype != expected.dtype and got.dtype.kind == "f" and got.ndim:  # one number: a Python float will do
        return (
            f"{name} is {got.dtype}, expected {expected.dtype}\nthe numbers are right, but somewhere an array or a "
            f"NumPy number of dtype {got.dtype} came in and set the width of the result"
        )
    return ""


def _wrong(got, expected, tolerance) -> np.ndarray:
    """Elements further apart than tolerance * max|expected|; NaN agrees with NaN, an infinity with itself."""
    if expected.dtype.kind != "f":
        return np.asarray(got != expected)
    width = max(got.dtype, expected.dtype, key=lambda dtype: TOLERANCE.get(dtype, 1e-3))
    tolerance = TOLERANCE.get(width, 1e-3) if tolerance is None else tolerance
    finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max()) if finite.size else 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(got - expected) <= tolerance * scale
    return np.asarray(~(near | (got == expected) | (np.isnan(got) & np.isnan(expected))))


def _pattern(got, expected, tolerance) -> str:
    """What all the errors have in common, if anything."""
    if np.isnan(got).any() and not np.isnan(expected).any():
        return "\nnan is what 0/0, inf/inf, inf - inf or log of a negative number give"
    if got.ndim > 1 and got.shape == expected.T.shape and same(got, expected.T, tolerance):
        return "\nyour result is the transpose of the expected one"
    finite = np.isfinite(got) & np.isfinite(expected)
    if expected.dtype.kind != "f" or not finite.all() or np.count_nonzero(expected) < 3:
        return ""
    largest = np.unravel_index(np.argmax(np.abs(expected)), expected.shape)
    factor = got[largest] / expected[largest] if expected[largest] else 0.0
    if factor and same(got, expected * factor, tolerance):
        return f"\nall your numbers are {_number(factor)} times the expected ones"
    shift = got[largest] - expected[largest]
    if same(got, expected + shift, tolerance):
        return f"\nall your numbers are the expected ones {'+' if shift > 0 else '-'} {_number(abs(shift))}"
    return ""


def _sequence_difference(got, expected, name, tolerance) -> str:
    if not isinstance(got, list | tuple):
        return f"{name} is {_a(type(got).__name__)}; wanted is a {type(expected).__name__}"
    for i, (x, y) in enumerate(zip(got, expected, strict=False)):
        text = difference(x, y, f"{name}[{i}]", tolerance)
        if text:
            return text
    if len(got) != len(expected):
        return f"{name} has {len(got)} elements, expected {len(expected)}: {_short(expected)}, got {_short(got)}"
    return ""


def _number(x) -> str:
    return f"{x + 0.0:.7g}" if np.asarray(x).dtype.kind == "f" else str(x)


def _short(x) -> str:
    text = repr(x)
    return text if len(text) <= 100 else text[:97] + "..."


def _like(expected) -> str:
    return f"{np.shape(expected)} {np.asarray(expected).dtype}"


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiouAEIOU" else f"a {word}"
