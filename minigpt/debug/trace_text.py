"""A trace as text: the table, the ledger, CSV, and what a notebook shows."""

from __future__ import annotations

import csv
import html as escaping
import io
import math
from pathlib import Path

from ..display import Text
from ..errors import ArgumentError
from ..files import FileGroup
from .traced_op import BACKWARD, TracedOp

SHOWN = 200  # rows of a table in a notebook; the file that to_csv writes has all
COLUMNS = ("#", "", "module", "op", "in", "out", "ms", "MB", "MFLOP", "line")
NUMBERS = {0, 6, 7, 8}  # columns that end at the right
LEDGER = ("op", "", "calls", "ms", "of time", "FLOP", "of FLOPs", "bytes", "FLOP/s", "bytes/s", "of roofline")
# headers stay while rows scroll, on the background that JupyterLab, VS Code or a plain page has
STICKY = "position:sticky;top:0;background:var(--jp-layout-color0,var(--vscode-editor-background,Canvas))"


def table(trace, most: int | None = None) -> Text:
    """Lines of all rows, or of the first and last ones, and the totals below."""
    rows, left_out = _selected(trace.rows, most)
    body = [_cells(traced) for traced in rows]
    lines = aligned(COLUMNS, body, right=NUMBERS)
    if left_out:
        lines.insert(1 + (len(rows) + 1) // 2, f"… {left_out:,} more …")
    if trace.dropped:
        lines.append(f"… and {trace.dropped:,} more ops beyond limit={trace.limit:,}: only the totals count them")
    return Text("\n".join([*lines, "", totals(trace)]))


def totals(trace) -> Text:
    """The ledger and what it is held to."""
    body = ledger_rows(trace)
    lines = aligned(LEDGER, body, right=set(range(2, len(LEDGER)))) if body else ["no op ran in the block"]
    return Text("\n".join([*lines, "", *summary(trace)]))


def ledger_rows(trace) -> list[tuple[str, ...]]:
    """A row of cells for each kind of op."""
    peaks = trace.peaks()
    body: list[tuple[str, ...]] = []
    for total in trace.ledger():
        seconds, peak = total.seconds or float("nan"), peaks[total.row]
        counted = total.unknown < total.calls
        body.append((
            total.op, _way(total.direction), f"{total.calls:,}", f"{total.seconds * 1e3:.2f}",
            f"{total.seconds / (trace.seconds or 1):.0%}", si(total.flops) if counted else "?",
            f"{total.flops / (trace.flops or 1):.0%}" if counted else "?", si(total.bytes),
            si(total.flops / seconds), si(total.bytes / seconds),
            f"{total.share(peak):.0%}" if peak and total.bytes else "-",
        ))  # fmt: skip
    return body


def summary(trace) -> list[str]:
    """What all ops together took and held, and the rates that they are held to."""
    peaks = trace.peaks()
    count = sum(total.calls for total in trace.ledger())
    together = f" on {trace.threads} threads together" if trace.threads > 1 else ""
    lines = [
        f"{count:,} ops, {trace.seconds * 1e3:.1f} ms in them{together}, of {trace.elapsed * 1e3:.1f} ms in the block; "
        f"{si(trace.flops)}FLOP ({_by_way(trace)})",
        f"peak activation memory {si(trace.peak_bytes)}B (results of ops and what they saved for backward)",
    ]
    unknown = sum(total.unknown for total in trace.ledger())
    if unknown:
        lines.append(f"{unknown:,} ops are not in the table of minigpt/debug/flops.py: their FLOPs are not counted")
    lines += [f"roofline: {peak}" for peak in peaks.values() if peak]
    if None in peaks.values():
        lines.append("no roofline for the simulated card: its times say nothing about a card")
    return lines


def to_csv(trace, path=None):
    """All columns of the rows; shapes as 8x64x128, several of them parted by blanks, a missing input as -."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        "number direction op module name inputs outputs parameters seconds bytes flops row call thread error file line "
        "code".split()
    )
    for t in trace.rows:
        writer.writerow((
            t.number, t.direction, t.op, t.module, t.name, shapes(t.inputs), shapes(t.outputs), " ".join(t.parameters),
            f"{t.seconds:.9f}", t.bytes, "" if t.flops is None else t.flops, t.row, t.call, t.thread, t.error,
            t.line.file if t.line else "", t.line.number if t.line else "", t.line.code if t.line else "",
        ))  # fmt: skip
    return written(path, ".csv", buffer.getvalue())


def written(path, suffix: str, text: str):
    """The text itself without a path; else it is written there, whole or not at all, and the path comes back."""
    if path is None:
        return text
    path = Path(path)
    if path.suffix != suffix or not path.parent.is_dir():
        raise ArgumentError(f"trace: needs the path of a {suffix} file in a folder that exists, got {str(path)!r}")
    with FileGroup(path.parent) as files:
        files.text(path.name, text)
    return path


def html(trace) -> str:
    """What a notebook shows: the timeline, the totals, and the table folded in. No scripts, nothing is fetched."""
    rows, left_out = _selected(trace.rows, SHOWN)
    body = []
    for k, traced in enumerate(rows):
        if left_out and k == (len(rows) + 1) // 2:
            body.append(f'<tr><td colspan="{len(COLUMNS)}">… {left_out:,} more: see to_csv() …</td></tr>')
        title = f' title="{escaping.escape(traced.line.code)}"' if traced.line else ""
        body.append(_row(_cells(traced), NUMBERS, title))
    dropped = f" (the first {len(trace.rows):,} of {len(trace.rows) + trace.dropped:,})" if trace.dropped else ""
    numbers = set(range(2, len(LEDGER)))
    shares = {LEDGER.index(name) for name in ("of time", "of FLOPs", "of roofline")}
    ledger = [_row(cells, numbers, bars=shares) for cells in ledger_rows(trace)]
    told = "".join(f'<p style="margin:2px 0">{escaping.escape(line)}</p>' for line in summary(trace))
    return (
        f'<div class="mg-trace" style="font-size:12px">{trace.svg()}{_table(LEDGER, ledger, numbers, "none")}{told}'
        f"<details><summary>Every op in order{dropped}</summary>{_table(COLUMNS, body, NUMBERS, '28em')}"
        "</details></div>"
    )


def _table(columns, body, right, height) -> str:
    """A table that scrolls inside its place; notebooks align and pad cells in ways of their own, so each says how."""
    head = "".join(f'<th style="{_cell(k in right)};{STICKY}">{name}</th>' for k, name in enumerate(columns))
    return (
        f'<div style="max-height:{height};overflow:auto;margin:6px 0"><table style="font-size:12px;margin:0;'
        f'border-collapse:collapse;font-variant-numeric:tabular-nums"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(right: bool) -> str:
    return f"text-align:{'right' if right else 'left'};padding:1px 7px;white-space:nowrap"


def _row(cells, right, attributes="", bars=()) -> str:
    """bars: columns of shares such as 25%, which are also drawn as long as they say."""
    parts = []
    for k, text in enumerate(cells):
        bar = ""
        if k in bars and text.endswith("%"):
            share = f"{min(int(text[:-1]), 100)}%"
            bar = f";background:linear-gradient(to right,#2b6cb055 {share},transparent {share})"
        parts.append(f'<td style="{_cell(k in right)}{bar}">{escaping.escape(text)}</td>')
    return f"<tr{attributes}>{''.join(parts)}</tr>"


def si(number: float) -> str:
    """Three digits and a prefix, which a unit can follow: 1441912 -> `1.44 M`."""
    if not number > 0:  # also a rate of something that took no time
        return "0 "
    power = min(max(int(math.log10(number * 1.0005) // 3), 0), 5)  # 999.6 is 1 k
    return f"{number / 1000**power:.3g} {' kMGTP'[power].strip()}"


def shapes(all_of_them) -> str:
    """(8, 64) and (64,) and None -> `8x64 64 -`; a single number is ()."""
    return " ".join("-" if s is None else "x".join(map(str, s)) or "()" for s in all_of_them)


def _cells(t: TracedOp) -> tuple[str, ...]:
    name = f"{t.op} → {t.name}" if t.name else t.op
    out = f"raised {t.error}" if t.error else shapes(t.outputs)
    return (
        f"{t.number}", _way(t.direction), t.module, name, shapes(t.inputs), out, f"{t.seconds * 1e3:.3f}",
        f"{t.bytes / 1e6:.3f}", "?" if t.flops is None else f"{t.flops / 1e6:.3f}", t.line.place if t.line else "",
    )  # fmt: skip


def _way(direction: str) -> str:
    return "back" if direction == BACKWARD else ""


def _by_way(trace) -> str:
    back = sum(total.flops for total in trace.ledger() if total.direction == BACKWARD)
    return f"forward {si(trace.flops - back)}FLOP, backward {si(back)}FLOP"


def _selected(rows: list, most: int | None) -> tuple[list, int]:
    """The first and last of the rows, `most` in all, and how many are left out between them."""
    if most is None or len(rows) <= most:
        return rows, 0
    first = (most + 1) // 2
    return rows[:first] + rows[len(rows) - most + first :], len(rows) - most


def aligned(columns, body, right) -> list[str]:
    """Lines of a table whose columns are as wide as they must be; `right`: columns that end at the right."""
    width = [max([len(columns[i]), *(len(row[i]) for row in body)]) for i in range(len(columns))]
    return [
        "  ".join(f"{c:>{w}}" if i in right else f"{c:<{w}}" for i, (c, w) in enumerate(zip(row, width, strict=True)))
        .rstrip()
        for row in [columns, *body]
    ]  # fmt: skip
