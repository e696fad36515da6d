"""The kernel table: one row per device, the same function names and shapes in each.

    numpy   plain NumPy: for reading and stepping; what every other row is tested against
    cpu     Numba kernels
    cuda    numba.cuda kernels; arrays live on the device

An op asks its context for a function, `ctx.row.softmax_forward(x)`, and contains no device branch. A function that
a row lacks raises a BackendError that names it; no row falls back on another.

This is the only file of minigpt that imports `kernels`.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from .errors import ArgumentError, BackendError, ShapeError

Function = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """The functions of one device. Shapes and formulas stand in `kernels/reference/`, in the file named on the left."""

    name: str

    # device: making and moving arrays, writing into them
    is_array: Function
    from_host: Function
    to_host: Function
    owns_memory: Function
    shares_memory: Function
    arena: Function
    zeros: Function
    full: Function
    astype: Function
    copy: Function
    assign: Function
    add_into: Function
    scale_into: Function

    # elementwise
    add: Function
    subtract: Function
    multiply: Function
    divide: Function
    negative: Function
    absolute: Function
    sign: Function
    exp: Function
    log: Function
    sqrt: Function
    compare: Function
    where: Function
    power: Function
    power_backward: Function
    power_backward_exponent: Function

    # activation
    tanh_forward: Function
    tanh_backward: Function
    sigmoid_forward: Function
    sigmoid_backward: Function
    relu_forward: Function
    relu_backward: Function
    gelu_forward: Function
    gelu_backward: Function

    # reduce
    sum: Function
    max: Function
    max_backward: Function
    var: Function
    var_backward: Function
    squared_norm: Function

    # shape
    reshape: Function
    permute: Function
    broadcast_to: Function
    concatenate: Function
    slice_forward: Function
    slice_backward: Function
    gather: Function
    scatter_add: Function

    # matmul, and what is fused to it
    matmul: Function
    linear_forward: Function
    linear_backward: Function
    linear_gelu_forward: Function
    linear_gelu_backward: Function
    bias_residual_forward: Function
    bias_residual_backward: Function

    # softmax
    softmax_forward: Function
    softmax_backward: Function
    log_softmax_forward: Function
    log_softmax_backward: Function

    # attention, on q, k, v (B, H, T, D) and on packed qkv (B, T, 3C)
    attention_forward: Function
    attention_backward: Function
    attention_qkv_forward: Function
    attention_qkv_backward: Function

    # layernorm, embedding, cross_entropy, dropout, lstm
    layernorm_forward: Function
    layernorm_backward: Function
    embedding_forward: Function
    embedding_backward: Function
    embedding_add_into: Function
    cross_entropy_forward: Function
    cross_entropy_backward: Function
    dropout_forward: Function
    lstm_cell_forward: Function
    lstm_cell_backward: Function

    # optimizer: in place
    adam_step: Function
    sgd_step: Function

    def __repr__(self):
        return f"<row {self.name!r} of the kernel table>"


def row_from_modules(name, modules, inherit: Row | None = None) -> Row:
    """Collect the functions of `modules` by name; what they lack comes from `inherit`, or raises when called."""
    found = {field.name: getattr(inherit, field.name) for field in fields(Row)} if inherit else {}
    for field, module in itertools.product(fields(Row), modules):
        function = getattr(module, field.name, None)
        if getattr(function, "__module__", None) == module.__name__:  # not what the module only imports
            found[field.name] = function
    for field in fields(Row):
        found.setdefault(field.name, _missing(name, field.name))
    return Row(**{**found, "name": name})


def _missing(row_name, function_name):
    def missing(*args, **kwargs):
        raise BackendError(
            f"the {row_name!r} row has no {function_name}; use mg.use('numpy') for this, "
            f"or add the function to kernels/{row_name}/"
        )

    return missing


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


LOADERS: dict[str, Callable[[], Row]] = {"numpy": _load_numpy, "cpu": _load_cpu}
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


def ladders() -> dict[str, list]:
    """The rungs of every CPU kernel: name -> versions, from the naive loop to the fastest. Needs Numba, as the row."""
    load("cpu")  # importing the kernels is what registers their rungs
    return _kernels("cpu.ladder").LADDERS


def backends() -> dict[str, bool | str]:
    """Each row's name with True, or with the reason why it cannot be used here."""
    lacking = [name for name in ("numba", "scipy") if importlib.util.find_spec(name) is None]
    cpu = f"it needs {' and '.join(lacking)}: python -m pip install {' '.join(lacking)}" if lacking else True
    return {"numpy": True, "cpu": cpu, "cuda": "the CUDA kernels are not part of this version"}


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


def as_array(data):
    """Data as an array of the current row. Lists and Python numbers become float32, int64 or bool.

    NumPy arrays are taken as they are, without a copy; float types other than float32 and float64 become float32.
    Raises ArgumentError for what is no array of numbers, ShapeError for lists of different lengths, BackendError for
    an array of another device.
    """
    row = current_row()
    if not isinstance(data, np.ndarray) and row.is_array(data):
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
