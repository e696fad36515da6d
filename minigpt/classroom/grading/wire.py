"""Values as text, from the process of a student's code to the one that judges: JSON, never pickle.

Reading runs no code and makes nothing but plain values, arrays and Tensors. Whatever else a student's function returns
arrives as a Foreign, which has the name of its type and looks as it did.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np

from ...errors import DataError
from ...tensor import Tensor

MOST_BYTES = 4_000_000  # of one array
DEEPEST, MOST_PARTS = 40, 200_000  # of a nested list
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[SU][1-9]\d{0,5})")


class Foreign:
    """Something that is neither a plain value nor an array."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self):
        return self.text


def pack(value: Any) -> Any:
    """What `json.dumps` takes and `unpack` turns into the value again."""
    return _pack(value, 0, [MOST_PARTS])


def _pack(value, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if depth > DEEPEST or left[0] < 0:
        return _foreign(value)
    if value is None or type(value) in (bool, str):
        return value if type(value) is not str else _text(value, MOST_BYTES)
    if isinstance(value, np.ndarray):
        return {"array": _array(value)} if _plain(value) else _foreign(value)
    if isinstance(value, np.generic):  # before float: np.float64 is one
        return {"number": _array(np.asarray(value))} if _plain(np.asarray(value)) else _foreign(value)
    if type(value) is int:
        return value if value.bit_length() < 10_000 else _foreign(value)
    if type(value) is float:
        return value
    if isinstance(value, Tensor):
        data = value.numpy()
        return {"tensor": _array(data)} if _plain(data) else _foreign(value)
    if isinstance(value, list):
        return [_pack(item, depth + 1, left) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_pack(item, depth + 1, left) for item in value]}
    if type(value) is set:
        return {"set": [_pack(item, depth + 1, left) for item in value]}
    if type(value) is dict:
        return {"dict": [[_pack(item, depth + 1, left) for item in pair] for pair in value.items()]}
    if type(value) is complex:
        return {"complex": [value.real, value.imag]}
    if type(value) is bytes and len(value) <= MOST_BYTES:
        return {"bytes": base64.b64encode(value).decode("ascii")}
    return _foreign(value)


def _plain(array: np.ndarray) -> bool:
    return _DTYPE.fullmatch(array.dtype.str) is not None and array.nbytes <= MOST_BYTES


def _array(array: np.ndarray) -> list:
    array = np.asarray(array)
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return [array.dtype.str, list(array.shape), data]


def _foreign(value) -> dict:
    name = type(value).__name__
    if isinstance(value, np.ndarray):
        name = f"NumPy array {value.shape} of {value.dtype}"
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - an object of the student's own may fail to say what it is
        text = f"<{name}>"
    return {"foreign": [_text(name, 80), _text(text, 300)]}


def _text(text: str, most: int) -> str:
    return text[:most].encode("utf-8", "replace").decode("utf-8")  # half of a surrogate pair is no text


def unpack(packed: Any) -> Any:
    """Raises DataError if it is nothing that `pack` makes; it may be anything that a student's code wrote."""
    try:
        return _unpack(packed)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError) as error:
        raise DataError(f"what came back is damaged: {error}") from None


def _unpack(packed) -> Any:
    if packed is None or isinstance(packed, bool | int | float | str):
        return packed
    if isinstance(packed, list):
        return [_unpack(item) for item in packed]
    ((kind, content),) = packed.items()
    if kind in ("array", "number", "tensor"):
        array = _unpacked_array(*content)
        return array if kind == "array" else Tensor(array) if kind == "tensor" else array[()]
    if kind == "tuple":
        return tuple(_unpack(item) for item in content)
    if kind == "set":
        return {_unpack(item) for item in content}
    if kind == "dict":
        return {_unpack(key): _unpack(value) for key, value in content}
    if kind == "complex":
        return complex(*content)
    if kind == "bytes":
        return base64.b64decode(content)
    if kind == "foreign":
        name, text = content
        return type(name.replace("\0", ""), (Foreign,), {})(text)
    raise ValueError(f"unknown kind {kind!r}")


def _unpacked_array(dtype, shape, data) -> np.ndarray:
    if not _DTYPE.fullmatch(dtype):
        raise ValueError(f"dtype {dtype!r}")
    return np.frombuffer(base64.b64decode(data), np.dtype(dtype)).reshape([int(n) for n in shape]).copy()
