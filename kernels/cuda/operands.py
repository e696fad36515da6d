"""What the functions of elementwise.py take: arrays on the card and numbers, and the type in which they meet."""

import numpy as np

from .device import DeviceArray, astype, full
from .errors import DeviceError

TYPES = ("float32", "int64", "bool")


def meet(name, *operands):
    """The operands in one type, and that type; NumPy's numbers become Python's.

    A float anywhere makes floats of all; else an int64 makes int64 of all; else all are booleans. float32 holds
    integers exactly up to 2^24. Raises DeviceError for arrays of other types and for arrays on the host.
    """
    operands = tuple(_checked(name, x) for x in operands)
    kinds = {x.dtype.kind if isinstance(x, DeviceArray) else np.dtype(type(x)).kind for x in operands}
    dtype = np.dtype(np.float32 if "f" in kinds else np.int64 if "i" in kinds else bool)
    return [astype(x, dtype) if isinstance(x, DeviceArray) else x for x in operands], dtype


def floats(name, *operands):
    """The operands as float32: arrays converted, numbers left."""
    operands = tuple(_checked(name, x) for x in operands)
    return [astype(x, np.float32) if isinstance(x, DeviceArray) else x for x in operands]


def on_card(x, dtype):
    """An array, or a number as a 0-d array."""
    return x if isinstance(x, DeviceArray) else full((), x, dtype)


def refuse(name, dtype):
    """Raise the DeviceError for a type that a function is not there for."""
    raise DeviceError(f"the cuda row has no {name} for {dtype} arrays, only for float32: x.astype('float32') first")


def _checked(name, x):
    if isinstance(x, np.ndarray) and x.ndim:
        raise DeviceError(f"{name}: got an array of shape {x.shape} on the host; the row's from_host(x) copies it over")
    if isinstance(x, np.ndarray | np.generic):
        x = x.item()
    if isinstance(x, DeviceArray) and x.dtype.name not in TYPES:
        raise DeviceError(
            f"the cuda row computes {name} with arrays of {', '.join(TYPES)}, not {x.dtype}; x.astype(int) makes int64"
        )
    if not isinstance(x, DeviceArray | bool | int | float):
        raise DeviceError(f"{name} needs arrays on the card, or numbers; got {type(x).__name__}")
    return x
