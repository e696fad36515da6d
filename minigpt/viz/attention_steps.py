"""One head of attention, one operation at a time, with the real numbers.

    products = Q Kᵀ                                        (Tq, Tk)
    scores   = products / √d                               (Tq, Tk)
    masked   = scores where the query may look, else −∞    (Tq, Tk)
    shifted  = masked − the largest number of its row      (Tq, Tk)  at most 0, so that exp cannot overflow
    exps     = exp(shifted)                                (Tq, Tk)
    weights  = exps / the sum of its row                   (Tq, Tk)  0 in a row that may look at nothing
    output   = weights V                                   (Tq, Dv)
    projected = output W_O                                 (Tq, C)   the head's part of what attention adds

Source: Vaswani et al. 2017, "Attention is all you need", section 3.2.1. What a head reads is not why the model
answers as it does.
"""

from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, NumericsError, ShapeError
from . import html
from .base import View
from .heat import ABOVE, BELOW, LARGEST_PAGE, Axis, Heat, Scale, checked_numbers, checked_strings, title_or, token_axis

INPUTS = ("q", "k", "v")


class Step(NamedTuple):
    """One operation.

    name    as a reader calls it: "÷ √d"
    parts   the names of the arrays that it takes, of AttentionSteps
    makes   the names of the arrays that it makes, mostly one
    shapes  what goes in and what comes out, in words
    says    one sentence on what it does and why
    """

    name: str
    parts: tuple[str, ...]
    makes: tuple[str, ...]
    shapes: str
    says: str


class AttentionSteps(View):
    """softmax(Q Kᵀ / √d) V of one head; a slider moves from operation to operation.

    q            (Tq, D) queries of one head, or (T, D)
    k            (Tk, D) keys
    v            (Tk, Dv) values
    tokens       Tq strings, one for each query
    keys         Tk strings for cross-attention; None: the same tokens
    mask         boolean, True = may attend, broadcasts to (Tq, Tk); None: every query may look everywhere
    causal       also hide later keys: query i sees key j if j ≤ i + Tk − Tq
    w_o          (Dv, C): the rows of the output projection that belong to this head, or None
    title, note  str, or None for defaults

    Attributes: `q`, `k`, `v`, `w_o`, `products`, `scores`, `masked`, `largest` (Tq, 1), `shifted`, `exps`,
    `sums` (Tq, 1), `weights`, `output`, `projected` (None without w_o): float64, of the numbers exactly as they were
    given; `seen` (Tq, Tk) bool; `tokens`, `keys` lists of str; `steps` a list of Step; `title`, `note`.
    Raises ShapeError, ArgumentError or NumericsError naming what does not fit.
    """

    script = ("heat.js", "chart.js", "exact.js", "attention_steps.js")

    def __init__(
        self, q, k, v, tokens, keys=None, mask=None, causal=False, w_o=None, title=None, note=None
    ):  # fmt: skip
        self.q, self.k, self.tokens, self.keys, self.seen = checked_head(q, k, tokens, keys, mask, causal)
        self.v = checked_numbers("v", v, ("keys", "channels"))
        if len(self.v) != len(self.k):
            raise ShapeError(f"v needs one row for each of the {len(self.k)} keys, got shape {self.v.shape}")
        self.w_o = None if w_o is None else checked_numbers("w_o", w_o, ("channels of the head", "channels"))
        if self.w_o is not None and len(self.w_o) != self.v.shape[1]:
            raise ShapeError(
                f"w_o needs one row for each of the {self.v.shape[1]} channels of v, got shape {self.w_o.shape}. "
                "Of the whole output projection (C, C) pass the rows of this head: c_proj[head * D : (head + 1) * D]."
            )
        self._compute()
        Tq, D = self.q.shape
        self.steps = _steps(self)
        self.title = title_or(title, "Attention, step by step")
        self.note = title_or(note, f"One head: {Tq} queries look at {len(self.k)} keys; d = {D} channels.")

    def _compute(self):
        self.products = product("Q Kᵀ", self.q, self.k.T)  # (Tq, Tk)
        self.scores = self.products / np.sqrt(self.q.shape[1])
        self.masked = np.where(self.seen, self.scores, -np.inf)
        alive = self.seen.any(axis=1, keepdims=True)  # (Tq, 1)
        self.largest = self.masked.max(axis=1, keepdims=True)  # (Tq, 1), −∞ where nothing may be seen
        self.shifted = self.masked - np.where(alive, self.largest, 0.0)
        self.exps = np.exp(self.shifted)
        self.sums = self.exps.sum(axis=1, keepdims=True)  # (Tq, 1)
        self.weights = self.exps / np.where(alive, self.sums, 1.0)
        self.output = product("weights V", self.weights, self.v)  # (Tq, Dv)
        self.projected = None if self.w_o is None else product("output W_O", self.output, self.w_o)  # (Tq, C)

    def __repr__(self):
        Tq, D = self.q.shape
        return f"AttentionSteps({Tq} queries × {len(self.k)} keys, d = {D}, {len(self.steps)} steps)"

    def heat(self, name):
        """One of the arrays as a map with its labels."""
        tokens, keys = token_axis(self.tokens, "query"), token_axis(self.keys, "key")
        rows = keys if name in ("k", "v") else channels(self.v.shape[1]) if name == "w_o" else tokens
        values = getattr(self, name)
        if name in ("largest", "sums"):
            columns = Axis("", ["max" if name == "largest" else "sum"])
        else:
            pairs = ("products", "scores", "masked", "shifted", "exps", "weights")
            columns = keys if name in pairs else channels(values.shape[1])
        return Heat(NAMES[name], rows, columns, values)

    def scale(self, name):
        """What the colours of one of the arrays stand for."""
        words = {"exps": "exp of the shifted score, 0 to 1", "weights": "attention weight, 0 to 1"}
        if name in words:
            return Scale(1.0, False, words[name])
        values = getattr(self, name)
        high = np.abs(values[np.isfinite(values)]).max(initial=0.0)
        return Scale(float(high) or 1.0, name != "sums", NAMES[name])

    def alt(self):
        Tq, D = self.q.shape
        query, key = np.unravel_index(int(self.weights.argmax()), self.weights.shape)
        rows, columns = self.heat("weights")[1:3]
        dead = int((~self.seen.any(axis=1)).sum())
        return (
            f"{self.title}. {len(self.steps)} steps from {Tq} queries and {len(self.k)} keys of {D} channels to the "
            f"output: {', '.join(step.name for step in self.steps)}; each a heat map with its numbers. The largest "
            f"weight, {self.weights[query, key]:.3g}, is that of {rows.at(query)} on {columns.at(key)}."
            + (f" {dead} of the queries may look at nothing and get zeros." if dead else "")
        )

    def data(self):
        """What the page carries: q, k, v and w_o with all their digits; the script computes the rest as above."""
        from .figure import colour_table

        names = [name for step in self.steps for name in (*step.parts, *step.makes)]
        shown = {name: self.heat(name) for name in dict.fromkeys(names)}
        size = sum(heat.values.size for heat in shown.values())
        if size > LARGEST_PAGE:
            raise ArgumentError(
                f"a page of {size:,} numbers would choke a browser, at most {LARGEST_PAGE:,}: show fewer tokens or "
                "leave out w_o, or draw the picture alone with .fig()."
            )
        given = [*INPUTS, *(["w_o"] if self.w_o is not None else [])]
        return {
            "title": self.title,
            "note": self.note,
            "inputs": {name: exact(getattr(self, name)) for name in given},
            "seen": html.base64_text(np.packbits(self.seen)),
            "tokens": [html.visible(token) for token in self.tokens],
            "keys": [html.visible(token) for token in self.keys],
            "steps": [step._asdict() for step in self.steps],
            "maps": {name: {"name": heat.name, "size": heat.values.shape} for name, heat in shown.items()},
            "scales": {name: self.scale(name)._asdict() for name in shown},
            "colours": {"even": html.base64_text(colour_table()), "differences": [ABOVE, BELOW]},
        }

    def fig(self):
        """All arrays in their order, as a new matplotlib Figure."""
        from . import attention_steps_figure

        return attention_steps_figure.draw(self)


NAMES = {
    "q": "Q",
    "k": "K",
    "v": "V",
    "products": "QKᵀ",
    "scores": "QKᵀ ÷ √d",
    "masked": "masked",
    "largest": "row maximum",
    "shifted": "− row maximum",
    "exps": "exp",
    "sums": "row sum",
    "weights": "weights",
    "output": "weights · V",
    "w_o": "W_O",
    "projected": "· W_O",
}


def _steps(view):
    """The steps of one AttentionSteps: masking only if something is hidden, W_O only if it is there."""
    Tq, D = view.q.shape
    Tk, Dv = view.v.shape
    square = f"({Tq}, {Tk})"
    hidden, dead = int((~view.seen).sum()), int((~view.seen.any(axis=1)).sum())
    steps = [
        Step(
            "tokens → q, k, v", (), INPUTS, f"{Tq} tokens → Q ({Tq}, {D}); {Tk} tokens → K ({Tk}, {D}), V ({Tk}, {Dv})",
            "Each token has a query (what it looks for), a key (what it offers to be found by) and a value (what it "
            "hands over).",
        ),
        Step(
            "QKᵀ", ("q", "k"), ("products",), f"({Tq}, {D}) · ({D}, {Tk}) → {square}",
            "Every query meets every key: row i of Q times row j of K (column j of Kᵀ), channel by channel, summed.",
        ),
        Step(
            "÷ √d", ("products",), ("scores",), f"{square} → {square}",
            f"A sum of {D} products grows like √{D}: divided by it, scores stay of one size whatever d is, and the "
            "softmax does not saturate.",
        ),
        Step(
            "mask", ("scores",), ("masked",), f"{square} → {square}",
            f"{hidden} of {Tq * Tk} scores become −∞: those keys may not be seen.",
        ),
        Step(
            "− row maximum", ("masked", "largest"), ("shifted",), f"{square} − ({Tq}, 1) → {square}",
            "The weights do not change, since the same factor is above and below the line, but exp can no longer "
            "overflow.",
        ),
        Step(
            "exp", ("shifted",), ("exps",), f"{square} → {square}",
            "All numbers become positive, the largest of each row 1; −∞ becomes 0.",
        ),
        Step(
            "÷ row sum", ("exps", "sums"), ("weights",), f"{square} ÷ ({Tq}, 1) → {square}",
            "Each row now sums to 1: these are the attention weights."
            + (f" {dead} of the rows may look at nothing and get zeros." if dead else ""),
        ),
        Step(
            "· V", ("weights", "v"), ("output",), f"{square} · ({Tk}, {Dv}) → ({Tq}, {Dv})",
            "Each query gets the mean of the values, weighted by row i of the weights.",
        ),
    ]  # fmt: skip
    if not hidden:
        steps = [step._replace(parts=("scores", "largest")) if "masked" in step.parts else step for step in steps]
        steps = [step for step in steps if step.name != "mask"]
    if view.w_o is not None:
        C = view.w_o.shape[1]
        says = "The head's output goes back to the width of the residual stream; all heads' parts are added there."
        shapes = f"({Tq}, {Dv}) · ({Dv}, {C}) → ({Tq}, {C})"
        steps.append(Step("· W_O", ("output", "w_o"), ("projected",), shapes, says))
    return steps


def channels(n):
    """Channels numbered from 0."""
    return Axis("channel", [str(c) for c in range(n)])


def product(name, a, b):
    """a @ b, or a NumericsError if that overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        result = a @ b
    if not np.isfinite(result).all():
        raise NumericsError(f"{name} overflows: its numbers are too large for float64")
    return result


def exact(values):
    """An array for the script with all its digits: float32 where that is enough, else float64."""
    single = values.astype("<f4", copy=True) if np.abs(values).max() < np.finfo("<f4").max else None
    double = single is None or not np.array_equal(single, values)
    return {"double": double, "numbers": html.base64_text(values.astype("<f8") if double else single)}


def checked_head(q, k, tokens, keys, mask, causal):
    """(q, k, tokens, keys, seen) of one head, checked: (Tq, D), (Tk, D) float64, strings, (Tq, Tk) bool."""
    for name, array in (("q", q), ("k", k)):
        if np.ndim(array) in (3, 4):
            raise ShapeError(
                f"{name} needs the queries or keys of one head, (T, D); got shape {np.shape(array)}. Of a capture "
                'take one example and one head: acts["h.0.attn.q"][0, head].'
            )
    q, k = checked_numbers("q", q, ("queries", "channels")), checked_numbers("k", k, ("keys", "channels"))
    (Tq, D), (Tk, E) = q.shape, k.shape
    if D != E:
        raise ShapeError(f"q and k need the same number of channels, got q {q.shape} and k {k.shape}")
    tokens = checked_strings("tokens", tokens, Tq, "query")
    if keys is None and Tq != Tk:
        raise ShapeError(f"q has {Tq} rows and k has {Tk}: of other tokens looked at pass their strings as keys=")
    keys = tokens if keys is None else checked_strings("keys", keys, Tk, "key")
    seen = np.tri(Tq, Tk, Tk - Tq, dtype=bool) if causal else np.ones((Tq, Tk), dtype=bool)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.dtype != bool:
            raise ArgumentError(
                f"mask is boolean, True = may attend; got dtype {mask.dtype}. Of one that is added, 0 and −∞, make "
                "mask == 0; of ids make ids != pad_id."
            )
        try:
            seen = seen & np.broadcast_to(mask, (Tq, Tk))
        except ValueError as error:
            raise ShapeError(
                f"mask needs a shape that broadcasts to (queries, keys) = {(Tq, Tk)}, got {mask.shape}"
            ) from error
    return q, k, tokens, keys, seen
