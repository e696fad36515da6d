"""One small example of every view, with fixed arrays: the pictures of `docs/views.md`.

    python -m minigpt.viz docs/views

Each file named in PARTS holds a dict EXAMPLES: the name of a view -> a function without arguments that makes one.
"""

import io
import re
from importlib import import_module
from pathlib import Path

from ...errors import ArgumentError
from ...files import FileGroup
from .. import html

PARTS = ("attention", "insides", "others")
PICTURE_DPI = 100
WIDEST = 1100  # pixels; a wider picture is drawn with fewer dots


def examples():
    """Name of a view -> function that makes its example, over all parts, in their order."""
    found = {}
    for part in PARTS:
        found.update(import_module(f"{__name__}.{part}").EXAMPLES)
    return found


def file_name(name):
    """AttentionGrid -> attention_grid.png"""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() + ".png"


def write(folder, names=()):
    """Draw the pictures of the named views (none: of all) into a folder. Returns their paths.

    Raises ArgumentError for a view that has no example, or a missing folder.
    """
    folder, chosen = Path(folder), _chosen(names)
    if not folder.is_dir():
        raise ArgumentError(f"the folder {str(folder)!r} does not exist; create it first")
    with FileGroup(folder) as files:
        for name, make in chosen.items():
            files.bytes(file_name(name), picture(make()))
    return [folder / file_name(name) for name in chosen]


def page(names=()):
    """One live page with the named views (none: all of them), as text."""
    return html.page("The views of minigpt", *(make().to_html() for make in _chosen(names).values()))


def picture(view):
    """A small PNG: few dots, few colours."""
    from ..base import smaller
    from ..figure import house_style

    buffer = io.BytesIO()
    with house_style():
        fig = view.fig()
        fig.savefig(buffer, format="png", dpi=min(PICTURE_DPI, WIDEST / fig.get_size_inches()[0]))
    return smaller(buffer.getvalue())


def _chosen(names):
    known = examples()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ArgumentError(f"no example of {', '.join(unknown)}; there are {', '.join(known)}")
    return {name: make for name, make in known.items() if name in names or not names}
