"""Where two runs differ: one tensor, its worst element, both values, a verdict; and the list of what was compared."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

import numpy as np

from ..display import Text
from .comparison import relative_error
from .trace_text import aligned
from .traced_op import BACKWARD
from .verdict import PARTED

TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


@dataclass
class Difference:
    """The first tensor out of tolerance, or the first op that only one side runs.

    number      of the op or named point, in the order of a; where: path of the module; op: "" for a named point
    tensor      "output", "gradient of input 1 (h.0.attn.c_attn.weight)" …
    index       of the worst element, None if the two cannot be compared element by element
    a, b        its values on the two sides; error: max|a - b| / max|a|
    lines       of the user's program that the two sides were at, "" where none is known
    hint        what b is of a, if it is something simple: a multiple, transposed
    verdict     "rounding", "bug", "parted" or "unknown"; off: the side that is wrong, if that is known; reason: why
    dtype       of the two, the less exact one
    origin      where the same runs in float64 begin to differ, if that is another place
    """

    number: int
    direction: str
    where: str
    op: str
    tensor: str
    index: tuple | None
    a: float | None
    b: float | None
    error: float
    tolerance: float
    sides: tuple[str, str] = ("a", "b")
    lines: tuple[str, str] = ("", "")
    hint: str = ""
    what: str = ""
    verdict: str = ""
    off: str = ""
    reason: str = ""
    origin: Difference | None = None
    dtype: str = ""

    @property
    def place(self) -> str:
        """`op 17, Softmax in h.0.attn`; for a named point its name."""
        if not self.op:
            return self.where
        return f"op {self.number}, {self.op} in {self.where}" if self.where else f"op {self.number}, {self.op}"

    def __str__(self):
        first, second = self.sides
        if self.index is not None:
            a, b = (f"{x:.5g}" for x in (self.a, self.b))
            if a == b:  # apart by rounding
                a, b = (f"{x:.17g}" if self.dtype == "float64" else f"{x:.9g}" for x in (self.a, self.b))
            at = f"worst at {self.index}: " if self.index else ""
            what = (f"{self.tensor} differs, {at}{first} {a}, {second} {b} "
                    f"(max|Δ| / max|{first}| = {self.error:.1e}, tolerance {self.tolerance:g})")  # fmt: skip
        else:
            what = self.what
        lines = [f"{self.place}: {what}"]
        lines += [f"  {side} at {line}" for side, line in zip(self.sides, self.lines, strict=True) if line]
        if self.hint:
            lines.append(f"  {self.hint}")
        if self.verdict:
            lines.append(f"  verdict: {self.verdict}" + (f", {self.off} is off" if self.off else "")
                         + (f": {self.reason}" if self.reason else ""))  # fmt: skip
        if self.origin is not None:
            lines.append(f"  in float64 the first difference is at {self.origin.place}, {self.origin.tensor}: "
                         f"{self.origin.error:.1e}")  # fmt: skip
        return "\n".join(lines)

    __repr__ = __str__


@dataclass
class Compared:
    """One op or named point that both sides ran: the larger error of its tensors."""

    number: int
    direction: str
    where: str
    op: str
    error: float


@dataclass
class RunDifference:
    """What `diff_runs` found: `first` is the first Difference, None if there is none; `compared` what agreed before it.

    tolerance: as it was asked for; None: by dtype
    not_compared: names that only one side has, which is no difference
    rounding: differences that are rounding and were passed, as past_rounding asks for
    """

    sides: tuple[str, str]
    tolerance: float | None
    first: Difference | None = None
    compared: list[Compared] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    rounding: list[Difference] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.first is None

    def table(self) -> Text:
        """Everything that was compared, in order, with its error, and the first difference below."""
        body = [
            [str(c.number), "back" if c.direction == BACKWARD else "", c.where, c.op, f"{c.error:.1e}"]
            for c in self.compared
        ]  # fmt: skip
        lines = aligned(("#", "", "where", "op", "max|Δ| / max|a|"), body, right={0, 4}) if body else []
        return Text("\n".join([*lines, "", str(self)]).lstrip("\n"))

    def __str__(self):
        first, second = self.sides
        agreed = f"{len(self.compared)} tensors agree"
        if self.compared:
            worst = max(self.compared, key=lambda c: c.error)
            name = f"{worst.op} in {worst.where}" if worst.op and worst.where else worst.op or worst.where
            agreed += f", the worst to {worst.error:.1e} ({name})"
        if self.rounding:
            n = len(self.rounding)
            agreed += (
                f"; {n} difference{'s that are' if n > 1 else ' that is'} rounding {'were' if n > 1 else 'was'} passed"
            )
        if self.first is None:
            return f"{first} and {second}: {agreed}; {_tolerance_in_words(self.tolerance)}"
        return f"{self.first}\n  before it {agreed}"

    def __repr__(self):
        return f"<RunDifference: {self}>"

    def _repr_html_(self):
        return (
            '<div class="mg-diff"><pre style="overflow-x:auto;line-height:1.35">'
            f"{html.escape(str(self))}</pre><details><summary>Everything that was compared</summary>"
            '<pre style="overflow:auto;max-height:28em;font-size:12px">'
            f"{html.escape(str(self.table()))}</pre></details></div>"
        )


class Stop(BaseException):
    """Ends a run at its first difference; no `except Exception` of a model may keep it."""


def described(number, direction, where, op, tensor, pair, found: RunDifference, error, index) -> Difference:
    """A Difference between two arrays (None: nothing there), without a verdict yet."""
    x, y = pair
    first = Difference(number, direction, where, op, tensor, index, None, None, error, tolerance_for(found, x, y),
                       found.sides)  # fmt: skip
    first.dtype = next((str(r.dtype) for r in pair if r is not None and r.dtype == np.float32),
                       next(str(r.dtype) for r in pair if r is not None))  # fmt: skip
    if index is None:
        first.what = f"{tensor}: " + ", ".join(
            f"{side} {'has none' if r is None else f'has shape {r.shape}'}"
            for side, r in zip(found.sides, pair, strict=True)
        )
    else:
        first.a, first.b, first.hint = float(x[index]), float(y[index]), hint(x, y, found.sides)
    return first


def tolerance_for(found: RunDifference, x, y) -> float:
    """As given, else by the less exact dtype of the two; integers and booleans have to be equal."""
    if found.tolerance is not None:
        return found.tolerance
    return max((TOLERANCE.get(str(r.dtype), 0.0) for r in (x, y) if r is not None), default=0.0)


def _tolerance_in_words(tolerance) -> str:
    if tolerance is not None:
        return f"tolerance {tolerance:g}"
    return "tolerance " + ", ".join(f"{value:g} in {dtype}" for dtype, value in TOLERANCE.items())


def compare(a, b) -> tuple[float, tuple | None]:
    """(relative error, index of the worst element, None where the shapes differ or a side has nothing)"""
    error = relative_error(b, a)
    if a is None or b is None or a.shape != b.shape or not a.size:
        return error, None
    with np.errstate(all="ignore"):
        off = np.array(np.abs(b.astype(np.float64) - a.astype(np.float64)))
    off[np.isnan(off) & ~((a != a) & (b != b))] = np.inf  # NaN or Inf on one side only
    off[np.isnan(off)] = 0.0
    return error, tuple(int(i) for i in np.unravel_index(int(np.argmax(off)), a.shape))


def hint(a: np.ndarray, b: np.ndarray, sides: tuple[str, str]) -> str:
    """What b is of a, where that is something simple."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or a.size < 3 or not np.abs(a).max():
        return ""
    first, second = sides
    factor = float((a * b).sum() / (a * a).sum())
    if abs(factor - 1) > 1e-3 and np.abs(b - factor * a).max() <= 1e-4 * np.abs(b).max():
        return f"{second} is {factor:.4g} times {first}, everywhere"
    for axis in range(a.ndim):
        if a.shape[axis] > 1 and np.array_equal(np.flip(a, axis), b):
            return f"{second} is {first} with axis {axis} reversed"
    if a.ndim >= 2 and a.shape[-1] == a.shape[-2] and relative_error(b, np.swapaxes(a, -1, -2)) <= 1e-4:
        return f"{second} is {first} with its last two axes swapped"
    return ""


def parted(number, a, b, sides, tolerance) -> Difference:
    """The two sides run different ops, as RecordedOps; one is None where a side has ended."""
    described, lines = [], []
    for side, record in zip(sides, (a, b), strict=True):
        if record is None:
            described.append(f"{side} has ended")
        else:
            shapes = ", ".join("no gradient" if r is None else str(r.shape) for r in record.results)
            inside = f" in {record.place.module}" if record.place.module else ""
            described.append(f"{side} runs {record.name}{inside} -> {shapes}")
        lines.append(str(record.place.line) if record is not None and record.place.line else "")
    one = a or b
    return Difference(
        number, one.direction, one.place.module, one.name, "", None, None, None, np.inf, tolerance, sides,
        (lines[0], lines[1]), what=f"the runs part here: {'; '.join(described)}", verdict=PARTED,
        reason="what follows are not the same ops; by='module' compares named points however they are computed",
    )  # fmt: skip
