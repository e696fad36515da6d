"""Fill in the blanks of a text with a MaskedLM.

    model.fill("The ___ statement", tok)[0]     [Candidate(token='if', id=…, probability=0.4), Candidate('for', …), …]

A blank is `<mask>` or ___ (three underscores; six are two blanks) and stands for one token: a word of a WordTokenizer,
a character of a CharTokenizer. The blanks of a text are judged one by one, each with the others still blank; so two
side by side that depend on each other may be filled with what does not fit together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, ShapeError, TokenizerError
from ..tokenizers import BPETokenizer
from ..tokenizers.special import MASK, mask_token

BLANK = "___"


class Candidate(NamedTuple):
    """What may stand at a blank: its text, its id, and its probability among all tokens that are not special."""

    token: str
    id: int
    probability: float


def fill_blanks(model, text, tok, k: int = 5) -> list[list[Candidate]]:
    """A list for each blank from left to right: the k likeliest tokens, best first; equal ones in the order of ids.

    text: a string with blanks, or one row of ids (T,) with the id of `<mask>` in it.
    Raises: TokenizerError (no `<mask>` in the tokenizer), ShapeError (ids of another shape, longer than block_size),
            ArgumentError (no blank; nothing but blanks; k below 1 or above the number of tokens that may stand there)
    """
    mask_id = _mask_id(model, tok)
    ids = _ids(text, tok)  # (T,)
    places = np.flatnonzero(ids == mask_id)
    if not len(places):
        raise ArgumentError(f"there is no blank in {_shown(text)}: mark the token to be found with {BLANK} or {MASK}")
    if len(places) == len(ids):
        raise ArgumentError(f"{_shown(text)} is nothing but blanks: a blank is filled from what stands around it")
    ordinary = np.setdiff1d(np.arange(tok.vocab_size), list(tok.special_tokens.values()))
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or not 1 <= k <= len(ordinary):
        raise ArgumentError(f"k is the number of candidates, from 1 to {len(ordinary)}; got {k!r}")
    with model.evaluating():
        logits = model(ids[None])[0].numpy()[0, places]  # (blanks, V)
    logits = logits[:, ordinary].astype(np.float64)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)  # (blanks, ordinary tokens)
    best = np.argsort(-p, axis=1, kind="stable")[:, :k]  # (blanks, k)
    return [
        [Candidate(tok.decode([int(ordinary[i])]), int(ordinary[i]), float(row[i])) for i in chosen]
        for row, chosen in zip(p, best, strict=True)
    ]


def _mask_id(model, tok) -> int:
    mask_id = mask_token(tok)
    if mask_id is None:
        raise TokenizerError(
            f"the tokenizer has no {MASK} token, so the model cannot have learned to fill blanks with it: "
            f"data.Masking.of(tok) adds one, before the model is made and trained"
        )
    if tok.vocab_size > model.config.vocab_size or model.config.mask_id not in (None, mask_id):
        raise TokenizerError(
            f"this tokenizer does not belong to the model: it has {tok.vocab_size} ids and {MASK} is {mask_id}; the "
            f"model has {model.config.vocab_size} ids, mask_id {model.config.mask_id}"
        )
    return mask_id


def _ids(text, tok) -> np.ndarray:
    if isinstance(text, str):
        text = text.replace(BLANK, MASK)
        if isinstance(tok, BPETokenizer):  # its tokens begin with the space before a word: the blank takes it in
            text = text.replace(" " + MASK, MASK)
        ids = np.array(tok.encode(text), np.int64)
    else:
        ids = np.asarray(text)
    if ids.ndim != 1 or not len(ids) or ids.dtype.kind not in "iu":
        raise ShapeError(f"fill needs a text, or one row of ids (T,) with T at least 1; got {ids.dtype} {ids.shape}")
    return ids  # (T,)


def _shown(text) -> str:
    shown = repr(text) if isinstance(text, str) else f"ids {list(text)}"
    return shown if len(shown) <= 60 else shown[:60] + "…"
