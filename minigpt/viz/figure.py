"""Matplotlib without pyplot: figures that belong to nobody else, and fonts that have the letters.

The only file of `viz` that imports Matplotlib at its top; views import it when they draw.
"""

import io
from functools import lru_cache

import matplotlib.style
import numpy as np
from matplotlib import colormaps, font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

# Families tried in this order for characters that the one before lacks. DejaVu Sans comes with Matplotlib;
# the others are what Linux, Windows and macOS install for Chinese, then monochrome symbols. Fonts of coloured
# emoji are left out: Matplotlib cannot draw them.
FAMILIES = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "SimHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti TC",
    "Arial Unicode MS",
    "Droid Sans Fallback",
    "Noto Emoji",
    "Symbola",
    "Segoe UI Symbol",
    "Apple Symbols",
)
INK, SOFT = "#222222", "#555555"  # of letters
MASKED = "#d9d9dd"  # a key that the query may not see
VERBATIM = {"parse_math": False, "usetex": False}  # a token "$x$" is text, not a formula
_UNSEEN = ("\u200d", "\ufe0e", "\ufe0f")  # joiner and emoji style selectors: nothing to draw on their own


class ViewFigure(Figure):
    """A Figure that shows itself in a notebook, although pyplot does not know it."""

    def _repr_png_(self):
        buffer = io.BytesIO()
        with house_style():
            self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


def house_style():
    """A context in which Matplotlib uses its defaults and our fonts, whatever style the caller has set."""
    ours = {
        "font.family": _installed(),
        "svg.hashsalt": "minigpt",  # the same figure gives the same SVG
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    return matplotlib.style.context(["default", ours])


def new_figure(width, height):
    """An empty white figure, in inches. Call it, and add to it, inside `house_style()`."""
    figure = ViewFigure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def drawable(text):
    """Text with each character that no font here can draw written as an escape: "🚀" -> "\\U0001f680"."""
    shown = []
    for ch in text:
        if any(ord(ch) in _characters(family) for family in _installed()):
            shown.append(ch)
        elif ch not in _UNSEEN:
            shown.append(ch.encode("unicode_escape").decode("ascii"))
    return "".join(shown)


def colour_table():
    """The colour of a weight k/255, k = 0 … 255: (256, 3) uint8, the same for figures and scripts.

    Viridis: even to the eye, and safe for colour-blind readers. It follows the square root of the weight,
    because with many tokens most weights are small, and 0.02 should not look like 0.
    """
    return (colormaps["viridis"](np.sqrt(np.arange(256) / 255))[:, :3] * 255).round().astype(np.uint8)


def weight_colours():
    """`colour_table` as a Matplotlib colour map over 0 to 1; masked cells are grey."""
    return ListedColormap(colour_table() / 255).with_extremes(bad=MASKED)


@lru_cache(maxsize=1)
def _installed():
    """Those of FAMILIES that this machine has."""
    present = {entry.name for entry in font_manager.fontManager.ttflist}
    return [family for family in FAMILIES if family in present]


@lru_cache(maxsize=len(FAMILIES))
def _characters(family):
    """The code points that a family has glyphs for."""
    path = font_manager.findfont(font_manager.FontProperties(family=[family]))
    return frozenset(font_manager.get_font(path).get_charmap())
