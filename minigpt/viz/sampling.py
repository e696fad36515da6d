"""How each token was drawn: its candidates, and what temperature, top-k and top-p made of their probabilities.

One table per generated token: candidates down, stages across, the colour is the probability. A candidate that a
stage removed is grey from there on; the one drawn is framed. The rest of the vocabulary is summed up in one line.
"""

import numpy as np

from ..errors import ArgumentError, NumericsError, ShapeError
from . import html
from .base import View

LARGEST_PAGE = 500_000  # probabilities


class SamplingSteps(View):
    """The candidates of every token of a text, stage by stage.

    stages         S names, such as ["model", "T 0.8", "top-k 40"]: what happened one after the other
    candidates     T lists of K strings, the tokens shown
    probabilities  (T, S, K), each in [0, 1]; 0 means removed. Their sum over K is at most 1: the rest of the vocabulary
    drawn          (T,) which of the K candidates was drawn
    prompt         str, the text before
    ids            (T, K) integers, the ids of the candidates, or None; kept as data, not drawn
    text           str, what was written; None: the drawn tokens joined. Kept as data, not drawn
    title          str, or None for a default

    Attributes: the same, arrays as read-only copies; `rest` (T, S), probability of all tokens not shown.
    Raises ShapeError, ArgumentError or NumericsError when these do not fit together.
    """

    script = "sampling.js"

    def __init__(self, stages, candidates, probabilities, drawn, prompt="", ids=None, text=None, title=None):
        self.stages, self.candidates = list(stages), [list(row) for row in candidates]
        self.probabilities = _checked(probabilities)
        T, S, K = self.probabilities.shape
        self.drawn = np.array(drawn)
        if len(self.stages) != S or [len(row) for row in self.candidates] != [K] * T or self.drawn.shape != (T,):
            raise ShapeError(
                f"probabilities are (tokens, stages, candidates) = {(T, S, K)}, got {len(self.stages)} stages, "
                f"{len(self.candidates)} lists of candidates and drawn {self.drawn.shape}"
            )
        if self.drawn.dtype.kind not in "iu" or self.drawn.min() < 0 or self.drawn.max() >= K:
            raise ArgumentError(f"drawn holds integers from 0 to {K - 1}, which of the candidates; got {drawn!r}")
        for name, strings in (
            ("stages", self.stages),
            *((f"candidates[{k}]", c) for k, c in enumerate(self.candidates)),
        ):
            if not all(isinstance(s, str) for s in strings):
                raise ArgumentError(f"{name} must be strings, got {strings!r}; of ids make tok.decode([i])")
        self.ids = None if ids is None else np.array(ids)
        if self.ids is not None and self.ids.shape != (T, K):
            raise ShapeError(f"ids must be (tokens, candidates) = {(T, K)}, got {self.ids.shape}")
        rest = 1 - self.probabilities.sum(axis=-1)  # (T, S)
        self.rest = np.where(rest < 1e-9, 0.0, rest)  # what is left by rounding is nothing
        self.prompt = str(prompt)
        chosen = (row[k] for row, k in zip(self.candidates, self.drawn, strict=True))
        self.text = "".join(chosen) if text is None else str(text)
        self.title = html.one_line(title) if title is not None else "How each token was drawn"

    def __repr__(self):
        T, S, K = self.probabilities.shape
        return f"SamplingSteps({T} tokens × {S} stages × {K} candidates)"

    def table(self, step: int) -> str:
        """One token's candidates as text, in a fixed-width table; > marks the one drawn, - what was removed."""
        lines = [" " * 18 + "".join(f"{html.clip(name, 13):>14}" for name in self.stages)]
        for k, token in enumerate(self.candidates[step]):
            cells = "".join(f"{shown(p):>14}" for p in self.probabilities[step, :, k])
            lines.append(f"{'>' if k == self.drawn[step] else ' '} {html.clip(html.visible(token), 15):<16}{cells}")
        rest = "".join(f"{shown(p):>14}" for p in self.rest[step])
        return "\n".join([*lines, f"  {'all others':<16}{rest}"])

    def alt(self):
        T, S, K = self.probabilities.shape
        drawn = ", ".join(html.visible(row[k]) for row, k in zip(self.candidates, self.drawn, strict=True))
        return (
            f"{self.title}. For each of {T} tokens a table of {K} candidates (rows) by {S} stages (columns: "
            f"{', '.join(self.stages)}); the colour is the probability. Drawn were: {html.clip(drawn, 300)}."
        )

    def data(self):
        """What the page carries: probabilities with four decimals."""
        from .figure import colour_table

        if self.probabilities.size > LARGEST_PAGE:
            raise ArgumentError(
                f"a page of {self.probabilities.size:,} probabilities would choke a browser: at most {LARGEST_PAGE:,}. "
                "Show fewer candidates or fewer tokens."
            )
        return {
            "title": self.title,
            "prompt": html.visible(self.prompt) if self.prompt else "",
            "stages": [html.one_line(name) for name in self.stages],
            "tokens": [[html.visible(token) for token in row] for row in self.candidates],
            "drawn": self.drawn.tolist(),
            "colours": html.base64_text(colour_table()),
            "probabilities": html.base64_text(self.probabilities.astype("<f4")),
            "rest": html.base64_text(self.rest.astype("<f4")),
        }

    def fig(self):
        """One table per token, as a new matplotlib Figure; the first `sampling_figure.MOST_STEPS` of a long text."""
        from . import sampling_figure

        return sampling_figure.draw(self)


def shown(p) -> str:
    """A probability with three digits; what is removed is a dash, what is too small to show is not."""
    return "-" if p == 0 else "<.001" if p < 0.0005 else f"{p:.3f}"


def _checked(probabilities):
    """A read-only (T, S, K) float64 copy."""
    try:
        array = np.array(probabilities, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"probabilities must be an array (tokens, stages, candidates): {error}") from error
    if array.ndim != 3 or 0 in array.shape:
        raise ShapeError(f"probabilities must be (tokens, stages, candidates), none of them 0; got {array.shape}")
    if not np.isfinite(array).all():
        raise NumericsError("probabilities hold NaN or Inf")
    if array.min() < 0 or array.sum(axis=-1).max() > 1 + 1e-4:
        raise ArgumentError(
            "probabilities are at least 0 and sum to at most 1 over the candidates; these look like logits: "
            "apply a softmax over the whole vocabulary first"
        )
    array.flags.writeable = False
    return array
