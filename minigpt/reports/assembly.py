"""One page about one model and one prompt, with the views that suit the model.

    page = report(model, tokenizer, "The class statement ")
    page.save("report.html")

The page is one file that asks no network for anything. Where scripts are stripped it shows pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import ArgumentError, NumericsError
from ..files import FileGroup
from ..inspect.points import nearest
from ..models import (
    GPT,
    EncoderClassifier,
    EncoderDecoder,
    GPTClassifier,
    MaskedLM,
    RecurrentLM,
    RecurrentSeq2Seq,
)
from ..viz.base import View, checked_path
from . import page
from .encoders import ClassifierSubject, MaskedSubject
from .gpt import GPTSubject
from .recurrent import RecurrentSubject
from .sequences import SequenceSubject
from .subject import NotShownError, Subject, Words

SUBJECTS: dict[type, type[Subject]] = {
    GPT: GPTSubject,
    EncoderDecoder: SequenceSubject,
    RecurrentSeq2Seq: SequenceSubject,
    MaskedLM: MaskedSubject,
    EncoderClassifier: ClassifierSubject,
    GPTClassifier: ClassifierSubject,
    RecurrentLM: RecurrentSubject,
}
PAIRS = (EncoderDecoder, RecurrentSeq2Seq)


@dataclass(frozen=True)
class Section:
    """One view on the page: its words (name, heading, what, how, see, attention), and the view itself."""

    words: Words
    view: View

    @cached_property
    def html(self) -> str:
        """The view as a fragment; drawing its picture takes most of the time of a report."""
        return self.view.to_html()


@dataclass(frozen=True)
class Report:
    """A page, and what it is made of.

    title      str
    facts      dict: model, parameters, shape, tokenizer, prompt
    texts      list of (name, tokens): the prompt, and the target where there is one
    sections   list of Section
    left_out   dict name of a view -> why there is none
    html       str, the whole page
    """

    title: str
    facts: dict[str, str]
    texts: list[tuple[str, list[str]]]
    sections: list[Section]
    left_out: dict[str, str]

    @cached_property
    def html(self) -> str:
        return page.whole(self)

    def view(self, name: str):
        """The view of that name, with its arrays. Raises ArgumentError."""
        known = {section.words.name: section.view for section in self.sections}
        if name not in known:
            raise ArgumentError(f"there is no view {name!r} in this report; {nearest(name, known)}")
        return known[name]

    def save(self, path) -> Path:
        """Write the page; the file appears whole or not at all. Raises ArgumentError, CheckpointError."""
        path = checked_out(path)
        with FileGroup(path.parent) as files:
            files.text(path.name, self.html)
        return path

    def _repr_html_(self):
        """What a notebook shows."""
        return page.body(self)

    def __repr__(self):
        return f"Report({self.title!r}: {', '.join(section.words.name for section in self.sections)})"


def report(
    model, tokenizer, prompt, target=None, views: Iterable[str] | None = None, layers: Iterable[int] | None = None,
    max_tokens: int | None = None, src_tokenizer=None, title: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Report:  # fmt: skip
    """Look at `model` while it reads `prompt`.

    model        any model of minigpt.models
    tokenizer    None: model.tokenizer
    prompt       text, or ids (T,); of an encoder–decoder the source; of a MaskedLM maybe with blanks, ___ or <mask>
    target       text that an encoder–decoder is to be asked about; None: what it answers itself
    views        names of `view_names(model)`, in the order wanted; None: all of them
    layers       numbers of the layers whose attention maps are drawn; None: all, of more than 12 some
    max_tokens   of the prompt that are read, from its start; None: 64
    src_tokenizer   of the source, for an encoder–decoder with two tables
    title        str, or None for a default
    progress     called with the name of each view before it is made

    The model is left as it was. Views that this prompt has no numbers for are left out, and the page says why.
    Raises ArgumentError, ShapeError, TokenizerError.
    """
    kind = subject_class(model)
    chosen = _chosen(kind, model, views)
    if target is not None and not isinstance(model, PAIRS):
        raise ArgumentError(f"a target belongs to an encoder–decoder; this is a {type(model).__name__}")
    extra = {"target": target, "src_tokenizer": src_tokenizer} if isinstance(model, PAIRS) else {}
    subject = kind(model, tokenizer, prompt, max_tokens, layers, **extra)
    sections, left_out = [], {}
    for function in chosen:
        name = function.words.name
        if progress is not None:
            progress(name)
        try:
            view = function(subject)
        except (NotShownError, NumericsError) as reason:  # a model with NaN in its weights still has other views
            left_out[name] = str(reason)
            continue
        sections.append(Section(function.words, view))
    if not sections:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ArgumentError(f"nothing to show of this prompt: {reasons}")
    name = type(model).__name__
    title = title or f"Inside {'an' if name[0] in 'AEIOU' else 'a'} {name}"
    return Report(title, subject.facts(), subject.texts_of_prompt(), sections, left_out)


def subject_class(model) -> type[Subject]:
    """Raises ArgumentError for what is no model of this library."""
    for kind, subject in SUBJECTS.items():
        if isinstance(model, kind):
            return subject
    known = ", ".join(kind.__name__ for kind in SUBJECTS)
    raise ArgumentError(f"a report needs one of {known}, got {type(model).__name__}")


def view_names(model) -> list[str]:
    """Names of all views of that model's report, in their order."""
    return [function.words.name for function in subject_class(model).views_of(model)]


def _chosen(kind, model, views):
    known = {function.words.name: function for function in kind.views_of(model)}
    if views is None:
        return list(known.values())
    views = [views] if isinstance(views, str) else list(dict.fromkeys(views))
    for name in views:
        if name not in known:
            raise ArgumentError(
                f"there is no view {name!r} of a {type(model).__name__}; {nearest(name, known)}. All: "
                f"{', '.join(known)}"
            )
    if not views:
        raise ArgumentError(f"choose at least one view of {', '.join(known)}, or leave views out for all")
    return [known[name] for name in views]


def checked_out(path) -> Path:
    """`path`, if a report can be saved there. Raises ArgumentError before any work is done."""
    path = checked_path(path)
    if path.suffix.lower() != ".html":
        raise ArgumentError(f"a report is a page: name it {path.with_suffix('.html').name!r}, not {path.name!r}")
    return path
