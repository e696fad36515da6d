"""A text several times over, its tokens coloured by one score each time.

Blue: the token speaks for something, orange: against it; the stronger, the further from 0. Every score has a scale of
its own, because shares and nats cannot be compared; the numbers can be read off.
"""

import numpy as np

from ..errors import ArgumentError, NumericsError, ShapeError
from . import html
from .base import View

FOR, AGAINST = "#0072B2", "#D55E00"  # Okabe & Ito's blue and vermilion: told apart by colour-blind readers
STRONGEST = 0.8  # share of the colour in the strongest token; the rest is paper, so that letters stay readable


class TokenScores(View):
    """Scores of the tokens of one text.

    tokens   T strings, in order
    scores   dict name -> (T,) array of finite numbers
    title    str, or None for a default
    note     str, a line below the title: what to keep in mind

    Attributes, all plain: `tokens` list of str; `scores` with float64 arrays; `scales` dict name -> the largest
    absolute score, which gets the strongest colour; `title`, `note` str.

    Raises ArgumentError, ShapeError or NumericsError naming the score.
    """

    script = "token_scores.js"

    def __init__(self, tokens, scores, title=None, note=""):
        self.tokens = list(tokens)
        if not self.tokens or not all(isinstance(token, str) for token in self.tokens):
            raise ArgumentError("tokens needs at least one string; of ids make [tokenizer.decode([i]) for i in ids].")
        if not isinstance(scores, dict) or not scores:
            raise ArgumentError(f'scores needs a dict such as {{"occlusion": [...]}}; got {type(scores).__name__}.')
        self.scores = {html.one_line(name): _checked(name, row, len(self.tokens)) for name, row in scores.items()}
        self.scales = {name: float(np.abs(row).max()) for name, row in self.scores.items()}
        self.title = html.one_line(title) if title is not None else "Scores of each token"
        self.note = html.one_line(note)

    def __repr__(self):
        return f"TokenScores({len(self.tokens)} tokens; {', '.join(self.scores)})"

    def strongest(self, name):
        """(number of the token, its score): the largest in absolute value."""
        k = int(np.abs(self.scores[name]).argmax())
        return k, float(self.scores[name][k])

    def strength(self, name):
        """Scores divided by their scale, from −1 to 1; all 0 if all scores are. (T,)"""
        return self.scores[name] / (self.scales[name] or 1.0)

    def alt(self):
        text = f"{self.title}. The text “{html.clip(html.one_line(''.join(self.tokens)), 200)}”, coloured by token."
        for name in self.scores:
            k, value = self.strongest(name)
            number = html.minus(f"{value:+.3g}")
            text += f" {name}: strongest is token {k}, “{html.visible(self.tokens[k])}”, with {number}."
        return f"{text} {self.note}".rstrip()

    def data(self):
        """What the page carries: scores to four digits, and how strongly each token is coloured."""
        return {
            "title": self.title,
            "note": self.note,
            "tokens": [html.visible(token) for token in self.tokens],
            "colours": [FOR, AGAINST],
            "scores": [
                {
                    "name": name,
                    "scale": float(f"{self.scales[name]:.3g}"),
                    "signed": bool((row < 0).any()),
                    "values": [float(f"{value:.4g}") for value in row],
                    "shade": np.round(100 * STRONGEST * self.strength(name), 1).tolist(),  # per cent
                }
                for name, row in self.scores.items()
            ],
        }

    def fig(self):
        """The text in lines of tokens, below each other once for every score, as a new matplotlib Figure."""
        from . import token_scores_figure

        return token_scores_figure.draw(self)


def _checked(name, row, T):
    if not isinstance(name, str):
        raise ArgumentError(f"names of scores are strings, got {name!r}.")
    array = np.asarray(row)
    if array.dtype.kind not in "fiu":
        raise ArgumentError(f"{name} needs numbers; got dtype {array.dtype}. Of a Tensor take .numpy().")
    if array.shape != (T,):
        raise ShapeError(f"{name} needs one score for each of the {T} tokens, shape ({T},); got {array.shape}.")
    if not np.isfinite(array).all():
        k = int(np.flatnonzero(~np.isfinite(array))[0])
        raise NumericsError(f"{name} has {array[k]} at token {k}; only finite scores can be coloured.")
    return array.astype(np.float64)
