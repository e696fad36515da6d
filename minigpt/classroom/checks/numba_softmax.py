"""ex_numba_softmax: softmax of each row by loops, compiled by Numba.

The stored answers are plain Python, which costs nothing to compile; COMPILED says for which of them that stands for
machine code.
"""

import math
import re

import numpy as np

from ... import functional as F
from ...errors import ArgumentError
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("numba_softmax", outputs=("y", "compiled_to"), needs=("numba",))
PLAIN = "nothing: it is plain Python"
COMPILED: dict = {}  # stored answer -> what it is as if compiled to


@exercise.runner
def run(answer, x):
    from numba.core.errors import NumbaError

    try:
        y = answer(x)
    except NumbaError as error:
        raise ArgumentError(f"Numba cannot compile the function: {_reason(str(error))}") from None
    return y, COMPILED.get(answer) or compiled_to(answer)


def compiled_to(function) -> str:
    """What Numba has made of a function that has been called."""
    from numba import config
    from numba.extending import is_jitted

    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return "unknown: NUMBA_DISABLE_JIT is set, so nothing is compiled"
    if not is_jitted(function):
        return PLAIN
    if len(function.nopython_signatures) < len(function.signatures):
        return "object mode"
    return "machine code"


def _reason(text: str) -> str:
    """The innermost cause, and the place, of Numba's pages of text."""
    text = re.sub(r"\x1b\[\d*m", "", text)
    causes = re.findall(r"(?:TypingError|NotImplementedError|UnsupportedError): (.+)", text)
    causes += re.findall(r"(No implementation of function .+? found|Cannot unify .+|.*[Uu]nsupported .+)", text)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("Failed in")]
    place = re.findall(r'File "[^"]*", line (\d+):\s*\n(?:.*\n)*?(?:    |-->)? *(.*)\n *\^', text)
    where = f" (line {place[-1][0]}: {place[-1][1].strip()})" if place else ""
    return (causes or lines)[0].strip() + where


def _as_if(kind="machine code"):
    def decorator(function):
        COMPILED[function] = kind
        return function

    return decorator


@exercise.reference
@_as_if()
def numba_softmax(x):
    return F.softmax(Tensor(x)).numpy()


@exercise.part("numbers", points=2, of=["y"])
def numbers(rng):
    yield Case("one row", rng.normal(size=(1, 3)))
    yield Case("two rows", rng.normal(size=(2, 4)))
    yield Case("all numbers below 0", -1 - rng.uniform(size=(3, 3)))
    yield Case("the largest comes last", np.sort(rng.normal(size=(2, 4)), axis=1))


@exercise.part("compiled", of=["compiled_to"])
def compiled(rng):
    yield Case("two rows", rng.normal(size=(2, 3)))


@exercise.part("large numbers", of=["y"])
def large(rng):
    yield Case("about 1000", 1000 + rng.normal(size=(2, 3)))
    yield Case("about -1000", -1000 + rng.normal(size=(2, 3)))
    yield Case("a row about 1000, one about -1000", np.array([[1000.0], [-1000.0]]) + rng.normal(size=(2, 3)))
    yield Case("a row about -1000, one about 1000", np.array([[-1000.0], [1000.0]]) + rng.normal(size=(2, 3)))


@exercise.part("masked and other edges", points=2, of=["y"])
def edges(rng):
    yield Case("one column", rng.normal(size=(3, 1)))
    yield Case("no rows at all", np.zeros((0, 3)))
    yield Case("the first of a row is masked", np.array([[-np.inf, 0.0, 1.0]]) + rng.normal(size=(2, 3)))
    yield Case("a row of nothing but -inf", np.array([[0.0, 1.0], [-np.inf, -np.inf]]))


@exercise.part("float32 stays float32", of=["y"])
def single(rng):
    yield Case("float32", rng.normal(size=(2, 3)).astype(np.float32))


@exercise.part("rows that do not lie in one piece", of=["y"])
def strided(rng):
    yield Case("every second row of a transposed array", rng.normal(size=(3, 8)).T[::2])


def _divide(a, b):
    """As in Numba's loops, where a division by 0 is an error and no nan."""
    if b == 0:
        raise ZeroDivisionError("division by zero")
    return a / b


def _rows(x, maximum, row_of=None):
    """Softmax of each row, maximum(x, r) taken from it."""
    y = np.zeros_like(x)
    for r in range(len(x)):
        e = np.exp(x[r] - maximum(x, r))
        total = e.sum()
        for c in range(x.shape[1]):
            y[r, c] = _divide(e[c], total)
    return y


def _finite(m):
    return 0.0 if m == -np.inf else m


@exercise.mistake(
    "The function is plain Python: @njit is missing above it, or you passed f.py_func. Numba compiles only what it is "
    "told to; without it a loop over elements is about a hundred times slower."
)
@_as_if(PLAIN)
def plain_python(x):
    return numba_softmax(x)


@exercise.mistake(
    "Compiled in object mode, where each number stays a Python object and nothing gets faster. Use @njit: it compiles"
    " to machine code or says what it cannot compile."
)
@_as_if("object mode")
def object_mode(x):
    return numba_softmax(x)


@exercise.mistake(
    "exp overflows: exp(1000) is inf, exp(-1000) is 0, and so is the sum. Find the row's largest number first and take "
    "it from each."
)
@_as_if()
def without_shift(x):
    return _rows(x, lambda x, r: 0.0)


@exercise.mistake(
    "Your maximum begins at 0. In a row of numbers below 0 it stays there; far below 0 all exponentials become 0 and "
    "the sum is 0 too. Begin at -inf, or at the row's first number."
)
@_as_if()
def maximum_from_zero(x):
    return _rows(x, lambda x, r: max(0.0, x[r].max()))


@exercise.mistake(
    "The maximum is not set back at the start of a row: it is the largest number so far, of all rows before. Set it "
    "inside the loop over the rows."
)
@_as_if()
def maximum_of_rows_before(x):
    return _rows(x, lambda x, r: _finite(x[: r + 1].max()))


@exercise.mistake(
    "You took the maximum of the whole array. A row far below it becomes exp(-2000) = 0 throughout, and its sum 0."
)
@_as_if()
def maximum_of_all(x):
    return _rows(x, lambda x, r: x.max())


@exercise.mistake(
    "The sum is not set back to 0 at the start of a row, so it holds the rows before as well; the first row is right "
    "and the others are too small."
)
@_as_if()
def sum_of_rows_before(x):
    y, total = np.zeros_like(x), 0.0
    for r in range(len(x)):
        e = np.exp(x[r] - _finite(x[r].max()))
        total += e.sum()
        for c in range(x.shape[1]):
            y[r, c] = _divide(e[c], total)
    return y


@exercise.mistake(
    "One pass, but the sum is not made smaller when a larger number comes: what was added up before was relative to "
    "the old maximum, and has to be multiplied by exp(old - new)."
)
@_as_if()
def not_rescaled(x):
    return _online(x, lambda old, new: 1.0)


@exercise.mistake(
    "One pass, but the sum is rescaled the wrong way: exp(new - old) makes it larger. Relative to a larger maximum "
    "each term is smaller: exp(old - new)."
)
@_as_if()
def rescaled_upwards(x):
    return _online(x, lambda old, new: math.exp(new - old) if old > -np.inf else 1.0)


@exercise.mistake(
    "A masked number at the beginning of a row: the running maximum is still -inf, and -inf - -inf is nan, which no "
    "later number makes good. Skip the numbers that are -inf."
)
@_as_if()
def nan_at_a_masked_beginning(x):
    return _online(x, lambda old, new: math.exp(old - new), skip=False)


@exercise.mistake(
    "A row of nothing but -inf: its maximum is -inf, and -inf - -inf is nan. Nothing may be seen there, so the row is"
    " 0: look for that case before the exponential."
)
@_as_if()
def nan_where_all_is_masked(x):
    return _rows(x, lambda x, r: x[r].max())


@exercise.mistake(
    "A row of nothing but -inf: its sum is 0, and Numba's loops raise ZeroDivisionError where NumPy gives nan. The row "
    "is to be 0: do not divide where the sum is 0."
)
@_as_if()
def divides_by_zero(x):
    return _rows(x, lambda x, r: _finite(x[r].max()))


@exercise.mistake("Your loop ends one column early: range(C) already stops before C, range(C - 1) leaves out the last.")
@_as_if()
def last_column_missing(x):
    y = np.zeros_like(x)
    y[:, :-1] = numba_softmax(np.ascontiguousarray(x[:, :-1])) if x.shape[1] > 1 else 0
    return y


@exercise.mistake("The softmax runs down the columns. x[r, c] has the row first; sum over c, for each r.")
@_as_if()
def down_the_columns(x):
    return F.softmax(Tensor(x), axis=0).numpy() if len(x) else np.zeros_like(x)


@exercise.mistake("These are the exponentials; the last loop, which divides each by the row's sum, is missing.")
@_as_if()
def not_divided(x):
    y = np.zeros_like(x)
    for r in range(len(x)):
        y[r] = np.exp(x[r] - _finite(x[r].max()))
    return y


def _online(x, rescale, skip=True):
    """Maximum and sum in one pass; rescale(old, new): what the sum is multiplied by when the maximum rises."""
    y = np.zeros_like(x)
    for r in range(len(x)):
        m, total = -np.inf, 0.0
        for value in x[r]:
            if value == -np.inf and skip:
                continue
            new = max(m, value)
            if new > m or not skip:
                total *= rescale(m, new)
            total += math.exp(value - new)
            m = new
        for c in range(x.shape[1]):
            y[r, c] = _divide(math.exp(x[r, c] - m), total) if total != 0 else 0.0
    return y
