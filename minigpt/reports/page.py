"""A report as HTML: a head, a table of contents, a section for every view with its words and links."""

from __future__ import annotations

import functools
from importlib import resources

from ..viz import html, visible
from ..viz.html import attribute

CAUTION = (
    "Attention is not explanation: it shows where a head reads, not why the model answers as it does. Other weights "
    "often give the same answer (Jain & Wallace 2019, “Attention is not explanation”); whether that matters depends on "
    "what an explanation is for (Wiegreffe & Pinter 2019, “Attention is not not explanation”). Ask with an ablation or "
    "an occlusion before you believe a picture."
)


def whole(report) -> str:
    """The complete page."""
    return html.page(report.title, body(report))


def body(report) -> str:
    """What stands between <body> and </body>; also what a notebook shows."""
    names = [section.words.name for section in report.sections]
    attention = any(section.words.attention for section in report.sections)
    parts = [
        f'<div class="mg-report" id="top">\n<style>\n{_style()}\n</style>',
        f'<a class="skip" href="#{names[0]}">Skip to the first view</a>',
        f"<header><h1>{attribute(report.title)}</h1>\n{_facts(report)}</header>",
        _contents(report),
        *([f'<p class="caution" id="caution" role="note">{attribute(CAUTION)}</p>'] if attention else []),
        "<main>",
        *(_section(section, report.sections) for section in report.sections),
        "</main>\n</div>",
    ]
    return "\n".join(parts)


@functools.cache
def _style() -> str:
    return resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8").strip()


def _facts(report) -> str:
    rows = "".join(f"<dt>{attribute(name)}</dt><dd>{attribute(value)}</dd>" for name, value in report.facts.items())
    texts = "".join(
        f'<p class="prompt-tokens"><b>{attribute(name)}</b> '
        + " ".join(
            f'<span title="token {k}">{attribute(visible(token))}</span>' for k, token in enumerate(tokens)
        )
        + "</p>"
        for name, tokens in report.texts
    )  # fmt: skip
    return f"<dl>{rows}</dl>\n{texts}"


def _contents(report) -> str:
    items = "".join(
        f'<li><a href="#{section.words.name}">{attribute(section.words.heading)}</a> '
        f"<small>{section.words.name}</small></li>"
        for section in report.sections
    )
    left_out = "".join(
        f"<li><b>{attribute(name)}</b>: {attribute(reason)}</li>" for name, reason in report.left_out.items()
    )
    note = f'<p>Left out:</p><ul class="left-out">{left_out}</ul>' if left_out else ""
    return f'<nav aria-label="Contents"><h2>Contents</h2><ol>{items}</ol>{note}</nav>'


def _section(section, sections) -> str:
    words = section.words
    headings = {other.words.name: other.words.heading for other in sections}
    see = [f'<a href="#{name}">{attribute(headings[name])}</a>' for name in words.see if name in headings]
    links = [*([f"See also: {', '.join(see)}"] if see else [])]
    if words.attention:
        links.append('<a href="#caution">Attention is not explanation</a>')
    links.append('<a href="#top">Contents</a>')
    return (
        f'<section id="{words.name}" aria-labelledby="{words.name}-heading">\n'
        f'<h2 id="{words.name}-heading">{attribute(words.heading)}</h2>\n'
        f"<p>{attribute(words.what)}</p>\n<p>{attribute(words.how)}</p>\n"
        f"{section.html}\n"
        f'<p class="links">{" · ".join(links)}</p>\n</section>'
    )
