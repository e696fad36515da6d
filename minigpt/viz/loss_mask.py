"""Which tokens of a dialogue carry loss: what a model is to learn, among what it is only to read."""

import unicodedata

import numpy as np

from ..errors import ArgumentError, ShapeError
from . import html
from .base import View

COLUMNS = 80  # characters in a line, of the figure and of a terminal
LEARNED = "#0072B2"  # blue of Okabe & Ito's palette, for colour-blind readers; underlined too, so that grey suffices
_ANSI_LEARNED, _ANSI_SPECIAL, _ANSI_END = "\x1b[1;4;97;44m", "\x1b[2m", "\x1b[0m"


class LossMask(View):
    """Tokens in reading order: those that carry loss blue and underlined, special tokens framed, white space shown.

    tokens      list of T strings
    loss_mask   (T,) boolean, True where the token is to be learned
    special     (T,) boolean, True for special tokens; None: those written <|…|>

    Attributes, all plain: `tokens` list of str as given, `shown` list of str as drawn, `loss_mask` and `special`
    (T,) bool, `title` str. In a terminal: `print(view.text(colour=True))`.

    Raises ArgumentError or ShapeError if the three do not fit together.
    """

    script = "loss_mask.js"

    def __init__(self, tokens, loss_mask, special=None, title=None):
        if isinstance(tokens, str) or not all(isinstance(token, str) for token in tokens) or not len(tokens):
            raise ArgumentError("tokens needs a list of strings, such as [tok.decode([i]) for i in ids], at least one")
        self.tokens = list(tokens)
        if special is None:
            special = [token.startswith("<|") and token.endswith("|>") for token in self.tokens]
        self.loss_mask = _checked_flags("loss_mask", loss_mask, len(self.tokens))
        self.special = _checked_flags("special", special, len(self.tokens))
        self.shown = [html.visible(token) for token in self.tokens]
        self.title = html.one_line(title) if title is not None else "Tokens that carry loss"

    def __repr__(self):
        return f"LossMask({self.summary()})"

    def summary(self):
        """How many tokens carry loss, in words."""
        return f"{int(self.loss_mask.sum())} of {len(self.tokens)} tokens carry loss"

    def alt(self):
        marked = "".join(f"[{t}]" if loss else t for t, loss in zip(self.shown, self.loss_mask, strict=True))
        return f"{self.title}: {self.summary()}, here in brackets: {html.clip(marked, 1000)}"

    def lines(self, columns=COLUMNS):
        """Token numbers line by line, at most `columns` characters wide each; a line break in a token ends its line."""
        lines: list[list[int]] = [[]]
        used = 0
        for i, shown in enumerate(self.shown):
            if lines[-1] and used + width_of(shown) > columns:
                lines.append([])
                used = 0
            lines[-1].append(i)
            used += width_of(shown)
            if "\n" in self.tokens[i]:
                lines.append([])
                used = 0
        return [line for line in lines if line]

    def text(self, colour=False, columns=COLUMNS):
        """For a terminal: with ANSI colours, or without any and a row of ^ below the tokens that carry loss."""
        rows = [self.summary()]
        for line in self.lines(columns):
            if colour:
                rows.append("".join(self._ansi(i) for i in line))
                continue
            rows.append("".join(self.shown[i] for i in line))
            rows.append("".join(("^" if self.loss_mask[i] else " ") * width_of(self.shown[i]) for i in line).rstrip())
        return "\n".join(rows)

    def _ansi(self, i):
        start = _ANSI_LEARNED if self.loss_mask[i] else _ANSI_SPECIAL if self.special[i] else ""
        return f"{start}{self.shown[i]}{_ANSI_END}" if start else self.shown[i]

    def data(self):
        return {
            "title": self.title,
            "summary": self.summary(),
            "colour": LEARNED,
            "lines": [[self._token(i) for i in line] for line in self.lines()],
        }

    def _token(self, i):
        return [self.shown[i], int(self.loss_mask[i]), int(self.special[i]), i]

    def fig(self):
        """The tokens as boxes, line by line, as a new matplotlib Figure."""
        from . import loss_mask_figure

        return loss_mask_figure.draw(self)


def width_of(text):
    """Columns that a terminal gives to a text: two to Chinese characters, none to accents that combine."""
    wide = sum(unicodedata.east_asian_width(ch) in "WF" for ch in text)
    return len(text) + wide - sum(unicodedata.combining(ch) > 0 for ch in text)


def _checked_flags(name, flags, T):
    flags = np.asarray(flags)
    if flags.shape != (T,):
        raise ShapeError(f"{name} needs one entry for each of the {T} tokens, shape ({T},); got shape {flags.shape}")
    if flags.dtype.kind != "b":
        raise ArgumentError(f"{name} needs True or False for each token, got dtype {flags.dtype}")
    return flags.copy()
