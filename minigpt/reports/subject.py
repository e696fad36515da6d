"""What a report is about: a model, its tokenizer, and one prompt as tokens, checked once.

Each family of models has a subclass in its own file, which knows where that model keeps its attention and its streams,
and a tuple `VIEWS` of functions that make a view of a subject, each marked by `@section` with the words around it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..generation.job import tokenizer_for
from ..generation.special import token_text
from ..inspect import capture

MOST_TOKENS = 64  # of a prompt, unless the caller asks for more: maps of more tokens have labels too small to read
MOST_LAYERS = 12  # whose attention maps are drawn, unless the caller names others


class Words(NamedTuple):
    """What stands around a view: its name, a heading, what one sees, how to read it, names of views to look at next."""

    name: str
    heading: str
    what: str
    how: str
    see: tuple[str, ...]
    attention: bool


class NotShownError(Exception):
    """A view that this prompt or this model gives no numbers for; the reason is told on the page."""


def section(name: str, heading: str, what: str, how: str, see: tuple[str, ...] = (), attention=False) -> Callable:
    """Marks a function subject -> View as a section of the report: its `words`."""

    def mark(function):
        function.words = Words(name, heading, what, how, see, attention)
        return function

    return mark


class Subject:
    """A model and a prompt.

    prompt        text, or ids (T,)
    max_tokens    how many tokens of the prompt are read, from its start; None: MOST_TOKENS
    layers        numbers of the layers whose attention maps are drawn; None: all, of more than MOST_LAYERS some

    Attributes: `model`, `tok`; `ids` (T,) int64 as read, `tokens` T strings; `n_prompt`, tokens of the whole prompt.
    Raises ArgumentError, ShapeError, TokenizerError: no token, more than block_size, unknown characters.
    """

    kind = "model"
    views: tuple[Any, ...] = ()  # functions marked by @section
    n_layer = 1

    def __init__(self, model, tok, prompt, max_tokens=None, layers=None):
        self.model, self.tok = model, tokenizer_for(model, tok)
        ids = np.array(self.encode(prompt), np.int64) if isinstance(prompt, str) else np.asarray(prompt)
        if ids.ndim != 1 or (len(ids) and ids.dtype.kind not in "iu"):
            raise ShapeError(f"a report reads one prompt: a text, or its ids (T,); got {ids.dtype} {ids.shape}")
        if not len(ids):
            raise ArgumentError("the prompt is empty: there is nothing to look at; give at least one character")
        block, self.n_prompt = self.most_tokens(), len(ids)
        if max_tokens is not None and max_tokens < 1:
            raise ArgumentError(f"max_tokens is at least 1, got {max_tokens}")
        if block is not None and len(ids) > block and (max_tokens is None or max_tokens > block):
            raise ShapeError(
                f"the prompt has {len(ids)} tokens, but this model reads at most block_size = {block} at once: shorten "
                f"it, or let only its first {block} be read: max_tokens={block} (--max-tokens {block})"
            )
        self.ids = ids[: MOST_TOKENS if max_tokens is None else max_tokens].astype(np.int64)  # (T,)
        self.tokens = self.texts(self.ids, self.prompt_tokenizer())
        self.layers = self._chosen(layers)

    @classmethod
    def views_of(cls, model) -> tuple[Any, ...]:
        """The functions that make the views of such a model, in the order of the page."""
        return cls.views

    def prompt_tokenizer(self):
        return self.tok

    def encode(self, text: str) -> list[int]:
        return self.prompt_tokenizer().encode(text)

    def most_tokens(self) -> int | None:
        """What the model reads at once; None: any number."""
        return getattr(self.model.config, "block_size", None)

    def texts(self, ids, tok=None) -> list[str]:
        """Each id as text; a part of a character as its bytes."""
        return [token_text(tok or self.tok, int(i)) for i in ids]

    def _chosen(self, layers) -> list[int]:
        L = self.n_layer
        if layers is None:
            return sorted({int(k) for k in np.linspace(0, L - 1, min(L, MOST_LAYERS)).round()})
        layers = sorted({int(layer) for layer in layers})
        wrong = [layer for layer in layers if not 0 <= layer < L]
        if wrong or not layers:
            raise ArgumentError(f"this model has layers 0 to {L - 1}, so it cannot show {wrong or 'none of them'}")
        return layers

    def text(self) -> str:
        """The tokens that are read, as one text that has these very tokens. Raises NotShownError if there is none."""
        text = self.tok.decode(self.ids)
        if self.tok.encode(text) != self.ids.tolist():
            raise NotShownError(
                "the tokens that are read, as one text, would be other tokens: the prompt ends within a word"
            )
        return text

    def facts(self) -> dict[str, str]:
        """What the head of the page says of the model."""
        c = self.model.config
        shape = f"{c.n_layer} layers" + (f" × {c.n_head} heads" if hasattr(c, "n_head") else "")
        if self.most_tokens() is not None:
            shape += f", context {self.most_tokens():,} tokens"
        n = sum(p.size for p in self.model.parameters())
        return {
            "model": self.kind,
            "parameters": f"{n:,}",
            "shape": f"{shape}, width {c.n_embd}",
            "tokenizer": f"{type(self.tok).__name__}, {self.tok.vocab_size:,} tokens",
            "prompt": f"{len(self.ids)} tokens"
            + (f", the first of {self.n_prompt}" if self.n_prompt > len(self.ids) else ""),
        }

    def texts_of_prompt(self) -> list[tuple[str, list[str]]]:
        """What the head of the page lists token by token: (name, tokens)."""
        return [("Prompt", self.tokens)]

    def run(self):
        """The model, once, on what the report is about."""
        return self.model(self.ids[None])

    @functools.cached_property
    def acts(self) -> dict[str, Any]:
        """Every named activation of one run without dropout, without its batch axis."""
        with self.model.evaluating(), capture(self.model, copy=True) as acts:
            self.run()
        return {name: array[0] if array.ndim and len(array) == 1 else array for name, array in acts.items()}

    def weights(self, pattern: str, n: int) -> np.ndarray:
        """Attention weights of n layers, (L, H, T, K); pattern: "h.{}.attn.weights"."""
        return np.stack([self.acts[pattern.format(layer)] for layer in range(n)])


def log_softmax(logits) -> np.ndarray:
    """ln p over the last axis, float64."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def best(log_p, k: int) -> np.ndarray:
    """Ids of the k largest over the last axis, the largest first."""
    return np.argsort(-log_p, axis=-1, kind="stable")[..., :k]
