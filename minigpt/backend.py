"""The kernel table: one row per device, the same function names and shapes in each.

    numpy   plain NumPy: for reading and stepping; what every other row is tested against
    cpu     Numba kernels
    cuda    numba.cuda kernels; arrays live on the device

An op asks its context for a function, `ctx.row.softmax_forward(x)`, and contains no device branch. A function that
a row lacks raises a BackendError that names it; no row falls back on another.

This is the only file of minigpt that imports `kernels`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import fields, replace
from typing import ClassVar

import numpy as np

from .cuda_state import cuda_state, driver_version, readable, simulated
from .errors import ArgumentError, BackendError, ShapeError
from .row import Row, row_from_modules


def _kernels(subpackage):
    """Import kernels.<subpackage> and make sure that it is ours."""
    kernels = importlib.import_module("kernels")
    if getattr(kernels, "PROJECT", None) != "minigpt":
        raise BackendError(
            f"`import kernels` found {getattr(kernels, '__file__', kernels)!r}, another project's package; minigpt "
            "needs its own. Uninstall the other `kernels` distribution or put minigpt first on sys.path."
        )
    return importlib.import_module(f"kernels.{subpackage}")


def _load_numpy() -> Row:
    return row_from_modules("numpy", _kernels("reference").MODULES)


def _load_cpu() -> Row:
    return row_from_modules("cpu", _kernels("cpu").MODULES, inherit=load("numpy"))


def _load_cuda() -> Row:
    row = row_from_modules("cuda", _kernels("cuda").MODULES)
    functions = {field.name: getattr(row, field.name) for field in fields(Row) if field.name not in ("name", "arena")}
    return replace(row, **{name: _explained(function) for name, function in functions.items()})


def _explained(function):
    """The function, with what a card refuses (out of memory, a fault in a kernel) as one of our kinds of errors."""
    DeviceError = _kernels("cuda.errors").DeviceError

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except DeviceError as error:
            raise BackendError(str(error)) from error

    return call


LOADERS: dict[str, Callable[[], Row]] = {"numpy": _load_numpy, "cpu": _load_cpu, "cuda": _load_cuda}
_LOADED: dict[str, Row] = {}


def load(name: str) -> Row:
    """The row of that name, loaded once. Raises BackendError with the reason if it cannot be used here."""
    if name in _LOADED:
        return _LOADED[name]
    state = backends().get(name)
    if state is None:
        raise BackendError(f"there is no row {name!r}; the rows are 'numpy', 'cpu', 'cuda'. Usable here: {_usable()}")
    if state is not True:
        raise BackendError(f"the {name!r} row cannot be used: {state}. Usable here: {_usable()}")
    _LOADED[name] = LOADERS[name]()
    return _LOADED[name]


def ladders(row: str = "cpu") -> dict[str, list]:
    """The rungs of every kernel of the rows cpu or cuda: name -> versions, from the naive loop to the fastest.

    Those of cuda take arrays on the card, see kernels/cuda/rungs.py. Raises BackendError where the row cannot be used.
    """
    load(row)  # importing the kernels is what registers their rungs
    if row != "cuda":
        return _kernels(f"{row}.ladder").LADDERS
    on_arrays = _kernels("cuda.rungs").ladders_on_arrays()
    return {name: [r._replace(function=_explained(r.function)) for r in steps] for name, steps in on_arrays.items()}


def card_timing():
    """What a benchmark needs of the card that the `cuda` row runs on: kernels/cuda/timing.py. BackendError without."""
    load("cuda")
    return _kernels("cuda.timing")


def driver_text() -> str:
    """The newest CUDA version that the NVIDIA driver knows, as 13.0, or why there is none."""
    version = driver_version()
    return version if isinstance(version, str) else readable(version)


def trace_kernel(kernel, grid, block, *arguments) -> dict:
    """Run a CUDA kernel on the simulated card and note which thread reads and writes what; for mg.viz.KernelThreads.

    kernel: its name, as "layernorm_v1", or the kernel itself; arguments: its own, arrays as NumPy arrays of any shape.
    The result is described in kernels/cuda/trace.py. Raises BackendError if the cuda row does not run on the simulator.
    """
    if not simulated() or not _kernels("cuda.machine").SIMULATED:
        raise BackendError(
            "only the simulated card notes which thread touches what, and it has to be chosen before the cuda row is "
            "loaded: start Python with MINIGPT_CUDA_SIMULATOR=1 in the environment, or begin a notebook with "
            'import os; os.environ["MINIGPT_CUDA_SIMULATOR"] = "1"'
        )
    if importlib.util.find_spec("greenlet") is None:
        raise BackendError("the simulated card needs greenlet: python -m pip install greenlet")
    assert _kernels("cuda").MODULES  # importing the kernels is what gives them their names
    try:
        return _kernels("cuda.trace").trace(kernel, grid, block, *arguments)
    except (LookupError, TypeError, ValueError) as error:  # IndexError too: a kernel that reaches outside of an array
        raise ArgumentError(f"trace_kernel: {error}") from error
    except RuntimeError as error:
        raise BackendError(f"trace_kernel: {error}") from error


def simulated_card() -> tuple:
    """(cuda, launch) of the simulated card, whatever the cuda row runs on; see kernels/cuda/simulator.py.

    cuda:    what kernels call by that name in numba
    launch:  launch(function, (grid x, y, z), (block x, y, z), arguments, names), arrays flat
    Raises BackendError without greenlet. launch raises BackendError where a card would hang or go wrong, and IndexError
    outside of an array.
    """
    if importlib.util.find_spec("greenlet") is None:
        raise BackendError("the simulated card needs greenlet: python -m pip install greenlet")
    card = _kernels("cuda.simulator")
    return card.cuda, _explained(card.launch)


def backends() -> dict[str, bool | str]:
    """Each row's name with True, or with the reason why it cannot be used here."""
    lacking = [name for name in ("numba", "scipy") if importlib.util.find_spec(name) is None]
    cpu = f"it needs {' and '.join(lacking)}: python -m pip install {' '.join(lacking)}" if lacking else True
    return {"numpy": True, "cpu": cpu, "cuda": cuda_state()}


def _usable():
    return ", ".join(repr(name) for name, state in backends().items() if state is True)


def best_row() -> str:
    """The name that `backend=None` stands for in the trainer and on the command line: cpu if usable, else numpy."""
    return "cpu" if backends()["cpu"] is True else "numpy"


_LOCAL: ContextVar[tuple[Row, ...]] = ContextVar("minigpt_rows", default=())  # of the `with mg.use(...)` around us


class _Process:
    """The row of the process: that of the last `mg.use(...)` that did not turn out to open a `with` block."""

    lock = threading.Lock()
    calls: ClassVar[dict[int, str]] = {0: "numpy"}  # number of the call -> row
    numbers = itertools.count(1)
    name = "numpy"

    @classmethod
    def note(cls, name: str) -> int:
        with cls.lock:
            number = next(cls.numbers)
            cls.calls[number] = cls.name = name
            return number

    @classmethod
    def withdraw(cls, number: int):
        with cls.lock:
            cls.calls.pop(number, None)
            cls.name = cls.calls[max(cls.calls)]


def current_row() -> Row:
    """The row that an op uses if it is called now."""
    local = _LOCAL.get()
    return local[-1] if local else load(_Process.name)


def row_of(array) -> Row | None:
    """The loaded row on whose device an array lies; None for a NumPy array, which lies where all rows can reach it."""
    if isinstance(array, np.ndarray):
        return None
    return next((row for row in _LOADED.values() if row.is_array(array)), None)


def as_array(data):
    """Data as an array of the current row. Lists and Python numbers become float32, int64 or bool.

    NumPy arrays are taken as they are, without a copy; float types other than float32 and float64 become float32.
    Raises ArgumentError for what is no array of numbers, ShapeError for lists of different lengths, BackendError for
    an array of another device.
    """
    row = current_row()
    if row_of(data) is not None:
        return data
    if hasattr(data, "__cuda_array_interface__"):
        raise BackendError(f"got an array on a CUDA device, the current row is {row.name!r}; see mg.use('cuda')")
    try:
        array = np.asarray(data)
    except ValueError:
        raise ShapeError(
            f"cannot make an array of this {type(data).__name__}: its rows have different lengths"
        ) from None
    if array.dtype.kind not in "fiub":
        raise ArgumentError(f"a Tensor holds numbers or booleans, got dtype {array.dtype} from {type(data).__name__}")
    from_python = not isinstance(data, np.ndarray | np.generic)
    if array.dtype.kind == "f" and (from_python or array.dtype.itemsize not in (4, 8)):
        array = array.astype(np.float32)
    if not array.dtype.isnative:  # numbers from another kind of machine
        array = array.astype(array.dtype.newbyteorder("="))
    return row.from_host(array)


class use:
    """`mg.use("cpu")` sets the row of the whole process; `with mg.use("cpu"):` only that of the block.

    Raises BackendError if there is no such row or if it cannot be used here.
    """

    def __init__(self, name: str):
        self.row = load(name)
        self._number = _Process.note(name)  # a call alone means the process; __enter__ takes this back

    def __enter__(self) -> Row:
        _Process.withdraw(self._number)
        _LOCAL.set((*_LOCAL.get(), self.row))
        return self.row

    def __exit__(self, *exc):
        _LOCAL.set(_LOCAL.get()[:-1])
