"""How `TokenScores` becomes a Matplotlib figure: cells of equal width, one line for each score, below each other.

A long text is cut into stretches; in each, the lines of all scores stand together, so that one token can be followed
down through all of them.
"""

from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from . import figure, html
from .figure import INK, SOFT, VERBATIM
from .token_scores import AGAINST, FOR, STRONGEST

POINTS = 8.5
LINE, GAP = 0.34, 0.22  # inches: height of a line of cells, between stretches
LEFT, RIGHT, TOP, BOTTOM = 0.15, 0.15, 0.5, 0.1
WIDEST = 10.0  # inches of cells in a row
NOTE = 120  # characters in a line of the note


def draw(view):
    """A new figure of a TokenScores view."""
    labels = [figure.drawable(html.clip(html.visible(token), 14)) for token in view.tokens]
    names = [f"{figure.drawable(html.clip(name, 40))}: up to {view.scales[name]:.3g}" for name in view.scores]
    # A character is about 0.6 of its size wide, a CJK one twice that.
    widest = max(sum(1 + (ord(ch) >= 0x2E80) for ch in label) for label in labels)
    cell = 0.1 + widest * 0.62 * POINTS / 72
    across = max(1, min(len(labels), int(WIDEST / cell)))
    side = max(len(name) for name in names) * 0.55 * POINTS / 72 + 0.15  # room for the names
    stretches = [range(k, min(k + across, len(labels))) for k in range(0, len(labels), across)]
    notes = _lines(view.note)
    head = TOP + 0.17 * len(notes)
    width = max(LEFT + side + across * cell + RIGHT, 7.5)
    height = head + len(stretches) * (len(names) * LINE + GAP) + BOTTOM
    with figure.house_style():
        fig = figure.new_figure(width, height)
        ax = fig.add_axes((0, 0, 1, 1), label="tokens")
        ax.set_axis_off()
        ax.set(xlim=(0, width), ylim=(0, height))
        ax.text(LEFT, height - 0.32, figure.drawable(html.clip(view.title, 80)), fontsize=12, color=INK, **VERBATIM)
        for k, line in enumerate(notes):
            ax.text(LEFT, height - 0.56 - 0.17 * k, line, fontsize=8, color=SOFT, **VERBATIM)
        y = height - head
        for stretch in stretches:
            for name, label in zip(view.scores, names, strict=True):
                y -= LINE
                ax.text(LEFT, y + LINE / 2, label, fontsize=POINTS, color=INK, va="center", **VERBATIM)
                strength = view.strength(name)
                for column, k in enumerate(stretch):
                    _cell(ax, LEFT + side + column * cell, y, cell, labels[k], strength[k])
            y -= GAP
    return fig


def _cell(ax, x, y, width, label, strength):
    """One token on its colour; the letters are dark or light, whichever can be read."""
    share = STRONGEST * abs(strength)
    colour = [1 - share + share * part for part in to_rgb(FOR if strength >= 0 else AGAINST)]
    ax.add_patch(
        Rectangle((x, y + 0.03), width - 0.02, LINE - 0.06, facecolor=colour, edgecolor="#d4d4dc", linewidth=0.5)
    )
    light = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] < 0.5
    ink = "white" if light else INK
    ax.text(x + width / 2 - 0.01, y + LINE / 2, label, fontsize=POINTS, color=ink, ha="center", va="center", **VERBATIM)


def _lines(note):
    """The note in lines that fit."""
    lines: list[str] = []
    for word in figure.drawable(note).split():
        if lines and len(lines[-1]) + len(word) < NOTE:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
