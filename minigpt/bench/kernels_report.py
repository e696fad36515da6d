"""The measured ladders as text, and the part of kernels/README.md that is made of them."""

from __future__ import annotations

import platform
import statistics
import textwrap
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from ..errors import ArgumentError
from ..files import FileGroup
from .kernels import Figure, Measured

BEGIN, END = MARKERS = "<!-- table: begin -->", "<!-- table: end -->"
WIDTH = 120


class Style(NamedTuple):
    """How the figures of a device are written."""

    time: str  # the column's head
    whole: bool  # the time of the whole problem in ms, or that of an element in ns
    flops: str  # unit of the rate
    flop_unit: float
    digits: int  # of the time
    in_place: str  # what a problem that is computed in place is held to

    def in_unit(self, case, seconds: float) -> float:
        return seconds * 1e3 if self.whole else seconds / case.elements * 1e9

    @property
    def head(self) -> str:
        return f"  rung{self.time:>12}{self.flops:>10}      GB/s  of roofline   idea"


CPU = Style("ns/element", False, "GFLOP/s", 1e9, 3, "a rewrite in place")
CARD = Style("ms", True, "TFLOP/s", 1e12, 4, "a copy")


def report(results: list[Measured]) -> str:
    """One block per case: the problem and its roofline, then a line for each rung."""
    peak = statistics.median(result.peak for result in results)
    rounds = results[0].rounds
    head = f"{environment()}\nOne thread; peak {peak / 1e9:.0f} GFLOP/s; medians of {rounds} rounds in turn."
    return "\n\n".join([head, *(block(result) for result in results)])


def block(result: Measured, style: Style = CPU) -> str:
    case = result.case
    bound = max(case.flops / result.peak, case.bytes / result.bandwidth)
    moving = style.in_place if case.in_place else "a copy"
    limit = "peak" if case.flops / result.peak == bound else f"{moving} at {result.bandwidth / 1e9:.0f} GB/s"
    each = [work / case.elements for work in (case.flops, case.bytes)]
    flops, moved = (f"{number:,.0f}" if number > 99 else f"{number:.3g}" for number in each)
    work = f"{flops} FLOP and {moved} bytes per {case.per}"
    best = f"at best {style.in_unit(case, bound):.3g} {'ms' if style.whole else 'ns'} ({limit})"
    lines = [f"{case.kernel}, {case.shape}", f"  {work}; {best}", style.head]
    return "\n".join([*lines, *(line(case, figure, style) for figure in result.figures)])


def line(case, figure: Figure, style: Style = CPU) -> str:
    work = ((case.flops, style.flop_unit), (case.bytes, 1e9))
    rates = [f"{amount / figure.seconds / unit:10.1f}" if amount else " " * 9 + "-" for amount, unit in work]
    time = f"{style.in_unit(case, figure.seconds):12.{style.digits}f}"
    numbers = f"  {figure.number:4}{time}{''.join(rates)}{figure.share:13.0%}   "
    first, *more = textwrap.wrap(figure.idea, WIDTH - len(numbers))
    return "\n".join([numbers + first, *(" " * len(numbers) + words for words in more)])


def environment() -> str:
    """Processor and versions; nothing that names a machine or a person."""
    return f"{processor()}; {versions('NumPy', 'Numba')}"


def versions(*packages: str) -> str:
    """Python's and those of the packages."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name.lower())}" for name in packages)])


def processor(cpuinfo: str = "/proc/cpuinfo") -> str:
    """The processor's model, from Linux's list or, elsewhere, as far as Python knows it."""
    try:
        lines = Path(cpuinfo).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, models), "") or platform.processor() or platform.machine() or "unknown processor"


# --- into the README ------------------------------------------------------------------------------------------


def marked_file(path, markers: tuple[str, str] = MARKERS) -> tuple[str, str]:
    """The text of a file before and after its marked part, markers included.

    Raises ArgumentError if the file cannot be read or does not have each marker once, begin before end.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"--write needs a text file with markers, cannot read {path}: {error}") from None
    before, begin, rest = text.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not (begin and end) or text.count(begin) != 1 or text.count(end) != 1:
        raise ArgumentError(
            f"{path} has no place for the table: it needs the line {markers[0]} once and below it {markers[1]} once; "
            "what stands between them is replaced, the rest is left alone"
        )
    return before + begin, end + after


def write_table(path, table: str, markers: tuple[str, str] = MARKERS) -> None:
    """Put the table between the markers of a file; what is written by hand around them stays as it is."""
    before, after = marked_file(path, markers)
    path = Path(path)
    with FileGroup(path.parent) as files:
        files.text(path.name, f"{before}\n```text\n{table}\n```\n{after}")
