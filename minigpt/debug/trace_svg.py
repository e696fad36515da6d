"""A trace as a timeline of modules: time runs to the right, what lies inside a module stands below it.

Widths are the time inside ops, one after the other; what passed between ops is left out. Each thread has bands of its
own. Hovering over a rectangle tells its share. Plain SVG: no script, so it shows wherever pictures do.
"""

from __future__ import annotations

import html
import zlib
from typing import NamedTuple

from .trace_text import shapes, si, written
from .traced_op import BACKWARD, TracedOp

WIDTH, BAND, TOP, MARGIN = 960, 20, 46, 8
NARROWEST = 0.8  # pixels; neighbours that are narrower are drawn as one
LETTER = 6.2  # pixels of a character, about

# Colours of ops by family, dark enough for white letters.
FAMILIES = {
    "products": ("#2b6cb0", ("MatMul", "Linear", "LinearGELU", "Int8Linear")),
    "attention": ("#b7411f", ("Attention", "AttentionQKV", "AttentionCached", "Softmax", "LogSoftmax")),
    "norm": ("#2f7d4f", ("LayerNorm", "Mean", "Var")),
    "tables, loss": ("#7b4397", ("Embedding", "Gather", "CrossEntropy", "Int8Embedding")),
    "recurrent": ("#8a6d00", ("RNN", "LSTM", "GRU", "LSTMCell")),
    "other": ("#5f6b7a", ()),
}


class Svg(str):
    """SVG as text, which a notebook shows as a picture."""

    __slots__ = ()

    def _repr_svg_(self):
        return str(self)


class Box(NamedTuple):
    """One rectangle: seconds from the left, seconds wide, how deep inside modules, what it says."""

    start: float
    seconds: float
    depth: int
    label: str
    about: str
    colour: str


def svg(trace, path=None):
    """The picture as text, or written to a .svg file whose path is returned."""
    lanes: dict[int, list[TracedOp]] = {}
    for traced in trace.rows:
        lanes.setdefault(traced.thread, []).append(traced)
    longest = max((sum(t.seconds for t in rows) for rows in lanes.values()), default=0.0) or 1.0
    scale = (WIDTH - 2 * MARGIN) / longest
    parts, y = [], TOP
    for number, rows in sorted(lanes.items()):
        found = boxes(rows, NARROWEST / scale)
        if len(lanes) > 1:
            parts.append(f'<text x="{MARGIN}" y="{y + 13}" fill="currentColor">thread {number}</text>')
            y += BAND
        parts += [_drawn(box, scale, y) for box in found]
        y += BAND * (1 + max((box.depth for box in found), default=0)) + MARGIN
    dropped = f", the first {len(trace.rows):,} of {len(trace.rows) + trace.dropped:,} ops" if trace.dropped else ""
    title = f"{_time(longest)} in ops{' of the longest thread' * (len(lanes) > 1)}, {si(trace.flops)}FLOP"
    title += f", peak activation memory {si(trace.peak_bytes)}B{dropped}"
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="100%" '
        f'style="max-width:{WIDTH}px;color-scheme:light dark" font-family="system-ui,sans-serif" font-size="11" '
        f'role="img" aria-label="{html.escape(f"Timeline of modules: {title}")}">'
        f'<text x="{MARGIN}" y="15" font-size="13" fill="currentColor">{html.escape(title)}</text>'
        f"{_legend()}{''.join(parts)}</svg>"
    )
    return Svg(text) if path is None else written(path, ".svg", text + "\n")


def boxes(rows: list[TracedOp], narrowest: float) -> list[Box]:
    """Rectangles of one thread: for each depth, neighbours inside one module together; ops at the bottom of it.

    Ops that are narrower than `narrowest` seconds are put together with their neighbours of the same module.
    """
    found: list[Box] = []
    open_: list[tuple[str, float, int]] = []  # key, start and number of ops of the modules that are open
    now, i = 0.0, 0

    def close(depth):
        while len(open_) > depth:
            key, start, count = open_.pop()
            way, _, path = key.split("\n")
            name = path.rsplit(".", 1)[-1] if len(open_) > 1 or "." not in path else path
            about = f"{path}{' backward' * (way == BACKWARD)}: {_time(now - start)}, {count} ops"
            found.append(Box(start, now - start, len(open_), name, about, ""))

    while i < len(rows):
        keys = _modules(rows[i])
        shared = 0
        while shared < min(len(keys), len(open_)) and open_[shared][0] == keys[shared]:
            shared += 1
        close(shared)
        open_.extend((key, now, 0) for key in keys[shared:])
        end, seconds = i + 1, rows[i].seconds
        while seconds < narrowest and end < len(rows) and rows[end].seconds < narrowest and _modules(rows[end]) == keys:
            seconds += rows[end].seconds
            end += 1
        found.append(_of_ops(rows[i:end], now, seconds, len(keys)))
        open_[:] = [(key, start, count + end - i) for key, start, count in open_]
        now, i = now + seconds, end
    close(0)
    return [box for box in found if box.seconds >= narrowest / 4]


def _modules(traced: TracedOp) -> list[str]:
    """What the op lies in, outermost first: `h.0.attn` -> call, h.0, h.0.attn. A number belongs to the list before."""
    names: list[str] = []
    for part in traced.module.split(".") if traced.module and not traced.module.startswith("(") else []:
        name = f"{names[-1]}.{part}" if names else part
        if part.isdigit() and names:
            names[-1] = name
        else:
            names.append(name)
    whole = "backward" if traced.direction == BACKWARD else "forward"
    return [f"{traced.direction}\n{traced.call}\n{name}" for name in [whole, *names]]


def _of_ops(rows: list[TracedOp], start: float, seconds: float, depth: int) -> Box:
    t = rows[0]
    if len(rows) > 1:
        names = ", ".join(dict.fromkeys(t.op for t in rows))
        return Box(start, seconds, depth, f"{len(rows)} ops", f"{_time(seconds)}: {names}", FAMILIES["other"][0])
    work = f"{si(t.flops)}FLOP, " if t.flops is not None else ""
    about = f"{t.op} {t.direction}, {_time(seconds)}, {work}{si(t.bytes)}B; {shapes(t.inputs)} → "
    about += f"raised {t.error}" if t.error else shapes(t.outputs)
    if t.line:
        about += f"; {t.line}"
    return Box(start, seconds, depth, t.op, about, _colour(t.op))


def _colour(op: str) -> str:
    return next((colour for colour, names in FAMILIES.values() if op in names), FAMILIES["other"][0])


def _drawn(box: Box, scale: float, y: float) -> str:
    x, width = MARGIN + box.start * scale, max(box.seconds * scale, 0.3)
    top, room = y + box.depth * BAND, int((width - 6) / LETTER)
    fill, ink = (box.colour, "#fff") if box.colour else (_module_colour(box), "#1a1f26")
    label = box.label if len(box.label) <= room else box.label[: room - 1] + "…" if room > 3 else ""
    text = f'<text x="{x + 3:.1f}" y="{top + 13:.1f}" fill="{ink}">{html.escape(label)}</text>' if label else ""
    return (
        f'<g><title>{html.escape(box.about)}</title><rect x="{x:.2f}" y="{top}" width="{width:.2f}" '
        f'height="{BAND - 1}" fill="{fill}" stroke="#fff" stroke-width="0.4"/>{text}</g>'
    )


def _module_colour(box: Box) -> str:
    """Pale, by the name, so that the same module has the same colour everywhere."""
    hue = zlib.crc32(box.label.encode("utf-8")) % 360
    return f"hsl({hue},45%,{86 if box.depth else 90}%)"


def _legend() -> str:
    parts, x = [], MARGIN
    for name, (colour, _) in FAMILIES.items():
        parts.append(f'<rect x="{x}" y="24" width="11" height="11" fill="{colour}"/>')
        parts.append(f'<text x="{x + 15}" y="34" fill="currentColor">{name}</text>')
        x += 30 + int(LETTER * len(name))
    return "".join(parts)


def _time(seconds: float) -> str:
    return (
        f"{seconds:.2f} s"
        if seconds >= 1
        else f"{seconds * 1e3:.2f} ms"
        if seconds >= 1e-4
        else f"{seconds * 1e6:.0f} µs"
    )
