"""What all views share: `.fig()`, the picture in a notebook, and `.save(path)`.

A view holds plain NumPy arrays, checked once in its constructor, and draws them whenever it is asked to.
A new view is a subclass with `fig`, `alt` and, for a live page, `data` and the name of its `script`.
"""

import io
from abc import ABC, abstractmethod
from pathlib import Path

from ..errors import ArgumentError
from ..files import FileGroup
from . import html

SUFFIXES = (".html", ".png", ".svg", ".pdf")
FALLBACK_DPI = (80, 70, 60)  # the picture inside the HTML: small, because it is only seen where scripts are stripped,
FALLBACK_BYTES = 38_000  # and with fewer dots as long as it takes more than these, so that a page has 100 KB at most
FALLBACK_COLOURS = 64
PICTURE_DPI = 200  # pictures saved to files


class View(ABC):
    """One picture of some arrays. Subclasses keep the arrays as public attributes.

    title     str, one line
    script    name of the JavaScript file that makes the HTML live, or a tuple of names, the last of them that file and
              the others what it shares with other views; None for a picture only
    """

    title: str
    script: str | tuple[str, ...] | None = None

    @abstractmethod
    def fig(self):
        """A new matplotlib.figure.Figure; it belongs to the caller and to no pyplot state."""

    @abstractmethod
    def alt(self):
        """The picture in one or two sentences, for those who do not see it."""

    def data(self):
        """What the script needs: a dict of numbers, strings and lists (arrays as base64 text)."""
        return {}

    def to_html(self):
        """The view as one self-contained HTML fragment: no network, no ids, readable without scripts."""
        fig = self.fig()
        for dpi in FALLBACK_DPI:
            png = smaller(self._picture("png", dpi, fig))
            if len(png) <= FALLBACK_BYTES:
                break
        return html.fragment(self.title, self.alt(), png, self.data() if self.script else None, self.script)

    def _repr_html_(self):
        """What a notebook shows."""
        return self.to_html()

    def save(self, path):
        """Write the view to `path`: .html is a complete page, .png, .svg and .pdf are pictures.

        The file appears whole or not at all: it is written beside its place under another name and then
        renamed. The same view gives the same bytes. Returns the path as a `pathlib.Path`.

        Raises ArgumentError for an unknown suffix, a missing folder, or a path that is a folder; CheckpointError if it
        cannot be written (disk full, no permission), and what was there before is then untouched.
        """
        path = checked_path(path)
        kind = path.suffix.lower()
        if kind == ".html":
            content = html.page(self.title, self.to_html()).encode("utf-8")
        else:
            content = self._picture(kind[1:], PICTURE_DPI)
        with FileGroup(path.parent) as files:
            files.bytes(path.name, content)
        return path

    def _picture(self, kind, dpi, fig=None):
        """The figure (None: a new one) as bytes of a PNG, SVG or PDF file."""
        from .figure import house_style

        undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
        buffer = io.BytesIO()
        with house_style():
            (fig or self.fig()).savefig(buffer, format=kind, dpi=dpi, metadata=undated)
        return buffer.getvalue()


def only_strings(name, strings):
    """A list of strings, or an ArgumentError that says where something else is."""
    strings = list(strings)
    for k, string in enumerate(strings):
        if not isinstance(string, str):
            raise ArgumentError(
                f"{name} need to be strings; got {type(string).__name__} at position {k}. "
                "Of token ids make [tokenizer.decode([i]) for i in ids]."
            )
    return strings


def checked_path(path):
    """`path` as a pathlib.Path, if a view can be saved there; else an ArgumentError, before any work is done."""
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ArgumentError(
            f"save() chooses the format by the suffix, one of {', '.join(SUFFIXES)}; got {path.name!r}. "
            f"For a live page use {path.with_suffix('.html').name if path.name else 'view.html'!r}."
        )
    if not path.parent.is_dir():
        raise ArgumentError(
            f"cannot save {path.name!r}: the folder {str(path.parent)!r} does not exist. "
            "Create it first, e.g. pathlib.Path(path).parent.mkdir(parents=True)."
        )
    if path.is_dir():
        raise ArgumentError(f"save() needs a file name, but {str(path)!r} is a folder.")
    return path


def smaller(png):
    """The same picture with a palette of few colours: about a third of the bytes."""
    from PIL import Image  # Matplotlib depends on it

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    # maximum coverage: a median cut drops colours of small areas, such as one end of a colour bar, and makes them grey
    picture = picture.quantize(FALLBACK_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
