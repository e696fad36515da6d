"""The measured ladders as text, and the part of kernels/README.md that is made of them."""

from __future__ import annotations

import platform
import statistics
import textwrap
from importlib.metadata import version
from pathlib import Path

from ..errors import ArgumentError
from ..files import FileGroup
from .kernels import Figure, Measured

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEAD = "  rung  ns/element   GFLOP/s      GB/s  of roofline   idea"
WIDTH = 120


def report(results: list[Measured]) -> str:
    """One block per case: the problem and its roofline, then a line for each rung."""
    peak = statistics.median(result.peak for result in results)
    rounds = results[0].rounds
    head = f"{environment()}\nOne thread; peak {peak / 1e9:.0f} GFLOP/s; medians of {rounds} rounds in turn."
    return "\n\n".join([head, *(block(result) for result in results)])


def block(result: Measured) -> str:
    case = result.case
    bound = max(case.flops / result.peak, case.bytes / result.bandwidth)
    moving = "a rewrite in place" if case.in_place else "a copy"
    limit = "peak" if case.flops / result.peak == bound else f"{moving} at {result.bandwidth / 1e9:.0f} GB/s"
    each = [work / case.elements for work in (case.flops, case.bytes)]
    flops, moved = (f"{number:,.0f}" if number > 99 else f"{number:.3g}" for number in each)
    work = f"{flops} FLOP and {moved} bytes per {case.per}"
    best = f"at best {bound / case.elements * 1e9:.3g} ns ({limit})"
    lines = [f"{case.kernel}, {case.shape}", f"  {work}; {best}", HEAD]
    return "\n".join([*lines, *(line(case, figure) for figure in result.figures)])


def line(case, figure: Figure) -> str:
    rates = [f"{work / figure.seconds / 1e9:10.1f}" if work else " " * 9 + "-" for work in (case.flops, case.bytes)]
    numbers = f"  {figure.number:4}{figure.seconds / case.elements * 1e9:12.3f}{''.join(rates)}{figure.share:13.0%}   "
    first, *more = textwrap.wrap(figure.idea, WIDTH - len(numbers))
    return "\n".join([numbers + first, *(" " * len(numbers) + words for words in more)])


def environment() -> str:
    """Processor and versions; nothing that names a machine or a person."""
    versions = ", ".join(f"{name} {version(name.lower())}" for name in ("NumPy", "Numba"))
    return f"{processor()}; Python {platform.python_version()}, {versions}"


def processor(cpuinfo: str = "/proc/cpuinfo") -> str:
    """The processor's model, from Linux's list or, elsewhere, as far as Python knows it."""
    try:
        lines = Path(cpuinfo).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, models), "") or platform.processor() or platform.machine() or "unknown processor"


# --- into the README ------------------------------------------------------------------------------------------


def marked_file(path) -> tuple[str, str]:
    """The text of a file before and after its marked part, markers included.

    Raises ArgumentError if the file cannot be read or does not have each marker once, begin before end.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"--write needs a text file with markers, cannot read {path}: {error}") from None
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ArgumentError(
            f"{path} has no place for the table: it needs the line {BEGIN} once and below it {END} once; what stands "
            "between them is replaced, the rest is left alone"
        )
    return before + begin, end + after


def write_table(path, table: str) -> None:
    """Put the table between the markers of a file; what is written by hand around them stays as it is."""
    before, after = marked_file(path)
    path = Path(path)
    with FileGroup(path.parent) as files:
        files.text(path.name, f"{before}\n```text\n{table}\n```\n{after}")
