"""A student's page: points by part, what is wrong and where, what it looks like. One file, nothing to be fetched."""

from __future__ import annotations

import re
from html import escape

from ..checking import PartResult
from ..exercise import PREFIX, exercise
from ..places import student_notebook
from .grade import Graded, best
from .table import state_of

STYLE = """
:root { color-scheme: light dark; --line: #8884; --right: #1a7f37; --wrong: #b35900; --soft: #8881 }
@media (prefers-color-scheme: dark) { :root { --right: #56d364; --wrong: #ffa657 } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem }
h2 { font-size: 1.2rem; margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem }
table { border-collapse: collapse }
td, th { padding: .25rem 1rem .25rem 0; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
tr.total td { border-top: 1px solid var(--line); font-weight: bold }
.part { margin: .75rem 0; padding-left: .75rem; border-left: 4px solid var(--right) }
.wrong { border-color: var(--wrong) }
.right b { color: var(--right) }
.wrong b { color: var(--wrong) }
pre { background: var(--soft); padding: .6rem .8rem; overflow-x: auto; margin: .4rem 0; white-space: pre-wrap }
pre, code { font: 14px/1.45 ui-monospace, monospace }
.why { margin: .4rem 0; font-weight: 600 }
.note { color: GrayText }
"""
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{style}</style></head>
<body>
{body}
</body></html>
"""
ROW = '<tr><td>{}</td><td class="n">{}</td><td class="n">{}</td><td>{}</td></tr>'


def page(student: str, results: list[Graded], stems: list[str]) -> str:
    """results: the student's own, those included that do not count since another file of the exercise is better"""
    counted = {stem: one for (_, stem), one in best(results).items()}
    lines, points, possible = [], 0, 0
    for stem in stems:
        one = counted.get(stem)
        got, most = one.report.points if one else 0, exercise(stem).points
        points, possible = points + got, possible + most
        name = f"{PREFIX}{stem}"
        state = state_of(one) if one else "not submitted"
        lines.append(ROW.format(f'<a href="#{name}">{name}</a>' if one else name, got, most, state))
    total = ROW.format("total", points, possible, "").replace("<tr>", '<tr class="total">')
    head = '<tr><th>exercise</th><th class="n">points</th><th class="n">of</th><th></th></tr>'
    body = [f"<h1>{escape(student)}: {points} of {possible} points</h1>", "<table>", head, *lines, total, "</table>"]
    for one in results:
        body += _section(one, counted[one.submission.exercise])
    text = PAGE.format(title=escape(student), style=STYLE, body="\n".join(body))
    return text.encode("utf-8", "replace").decode("utf-8")  # a file's name may be no text


def _section(one: Graded, counts: Graded) -> list[str]:
    name, report, file = f"{PREFIX}{one.submission.exercise}", one.report, one.submission.path.name
    header = student_notebook(one.submission.exercise)["metadata"]["minigpt"]
    place = f' id="{name}"' if one is counts else ""
    lines = [
        f"<h2{place}>{name}: {escape(header['title'])}, {report.points} of {report.possible} points</h2>",
        f'<p class="note">{escape(file)}; goes with the notebook {escape(header["notebook"])}</p>',
    ]
    if one is not counts:
        lines.append(f"<p>{escape(counts.submission.path.name)} counts in place of this file.</p>")
    if report.missing:
        lines.append(f'<p class="part wrong"><b>No answer</b>: {_text(report.missing)}</p>')
    elif report.unwritten:
        lines.append(f'<p class="part wrong"><b>Not written yet</b>: {_text(report.unwritten)}</p>')
    else:
        explained: set[str] = set()
        for part in report.parts:
            lines.append(_part(part, part.misconception in explained))
            explained.add(part.misconception)
    if one.notes:
        lines.append('<ul class="note">' + "".join(f"<li>{_text(note)}</li>" for note in one.notes) + "</ul>")
    if one.tried.printed.strip():
        more = f"\n… {one.tried.dropped:,} bytes more" if one.tried.dropped else ""
        printed = f"<pre>{_text(one.tried.printed)}{more}</pre>"
        lines.append(f"<details><summary>What the code printed</summary>{printed}</details>")
    return lines


def _part(part: PartResult, explained: bool) -> str:
    worth = f"{part.points} of {part.possible} point{'s' * (part.possible != 1)}"
    if not part.problem:
        return f'<div class="part right"><b>✓</b> {escape(part.title)} ({worth})</div>'
    text = f'<div class="part wrong"><b>✗</b> {escape(part.title)} ({worth})<pre>{_text(part.problem)}</pre>'
    if part.misconception:
        why = "The same mistake as above." if explained else part.misconception
        text += f'<p class="why">{escape(why)}</p>'
    return text + "</div>"


def _text(text: str) -> str:
    """Escaped, without the characters that no page may hold."""
    return escape(re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "·", text))


def file_names(students: list[str]) -> dict[str, str]:
    """student -> name of the page; letters of all scripts stay, two students never share one"""
    made: dict[str, str] = {}
    taken: set[str] = set()
    for student in students:
        stem = re.sub(r"[^\w-]+", "_", student).strip("_")[:80] or "student"
        number = 1
        while (name := stem if number == 1 else f"{stem}_{number}").casefold() in taken:
            number += 1
        taken.add(name.casefold())
        made[student] = f"{name}.html"
    return made
