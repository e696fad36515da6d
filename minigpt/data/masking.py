"""Blanks to learn from: some tokens of a text are hidden, and a model that sees the rest says what stood there.

    of each row 15 % of the tokens are chosen; of the chosen 80 % become <mask>, 10 % a random token, 10 % stay
    ids      the cat sat on the mat        what the model reads:   the cat <mask> on the mat
    targets                                                         -100 -100 sat  -100 -100 -100

The 10 % that stay and the 10 % that lie make a model look at every token, since any may be wrong; and a text without
blanks, which is all a classifier ever reads, is then nothing strange to it.
Source: Devlin et al. 2019 ("BERT"), section 3.1; spans: Joshi et al. 2020 ("SpanBERT"), section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError, ConfigError, ShapeError
from ..randomness import as_generator
from ..tokenizers import Tokenizer
from ..tokenizers.special import add_mask_token
from .rendered import NO_LOSS
from .tokens import Batch, TokenData


@dataclass(frozen=True)
class Masking:
    """How tokens are chosen, and what becomes of them. Raises ConfigError for numbers that make no sense.

    mask_id:     the id that stands for a blank
    vocab_size:  random tokens are drawn from 0 … vocab_size − 1, special_ids left out
    special_ids: never chosen, nor is mask_id; padding belongs here
    rate:        share of the tokens of a row that are chosen, at least one: max(1, round(rate · tokens that may be))
    hide, swap:  shares of the chosen that become mask_id and a random token; the others stay
    span_p:      None: each token on its own; else runs, of lengths from the geometric distribution
                 P(l) = span_p (1 − span_p)^(l−1), cut at max_span. SpanBERT has 0.2 and 10: 3.8 tokens on average. One
                 lot falls for a whole run: all of it is hidden, or swapped, or stays.
    """

    mask_id: int
    vocab_size: int
    special_ids: tuple[int, ...] = ()
    rate: float = 0.15
    hide: float = 0.8
    swap: float = 0.1
    span_p: float | None = None
    max_span: int = 10

    def __post_init__(self):
        object.__setattr__(self, "special_ids", tuple(sorted({int(i) for i in self.special_ids} | {self.mask_id})))
        if not 0 < self.rate < 1:
            more = ": with every token hidden nothing is left to guess from" if self.rate == 1 else ""
            raise ConfigError(f"rate is a share between 0 and 1, got {self.rate!r}{more}")
        if min(self.hide, self.swap) < 0 or self.hide + self.swap > 1 + 1e-9:
            raise ConfigError(
                f"hide and swap are shares from 0 up with a sum of at most 1, got {self.hide!r} and {self.swap!r}"
            )
        if self.span_p is not None and not 0 < self.span_p <= 1:
            raise ConfigError(f"span_p is a probability above 0, or None for single tokens; got {self.span_p!r}")
        if self.max_span < 1:
            raise ConfigError(f"max_span is at least 1 token, got {self.max_span!r}")
        if not 0 <= self.mask_id < self.vocab_size:
            raise ConfigError(f"mask_id {self.mask_id} is not in the vocabulary, 0 … {self.vocab_size - 1}")
        if len(self.ordinary_ids()) == 0:
            raise ConfigError(f"all {self.vocab_size} ids are special: there is nothing to mask")

    @classmethod
    def of(cls, tokenizer: Tokenizer, **changes) -> Masking:
        """For the ids of a tokenizer, which gets a `<mask>` if it has none yet; its special ids are left alone."""
        mask_id = add_mask_token(tokenizer)
        return cls(mask_id, tokenizer.vocab_size, tuple(tokenizer.special_tokens.values()), **changes)

    def ordinary_ids(self) -> np.ndarray:
        """What a random token may be."""
        return np.setdiff1d(np.arange(self.vocab_size), self.special_ids)

    def apply(self, rng: np.random.Generator | int | None, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ids (B, T) -> (what the model reads (B, T), targets (B, T): the id where chosen, −100 elsewhere), int64.

        The same seed gives the same. Raises ShapeError; ArgumentError for a row of special tokens only.
        """
        rng = as_generator(rng)
        ids = np.asarray(ids)
        if ids.ndim != 2 or ids.dtype.kind not in "iu":
            raise ShapeError(f"masking needs integer ids (B, T), got shape {ids.shape} of {ids.dtype}")
        allowed = ~np.isin(ids, self.special_ids)  # (B, T)
        empty = np.flatnonzero(~allowed.any(axis=1))
        if empty.size:
            raise ArgumentError(
                f"row {empty[0]} holds nothing that may be masked, only special tokens and padding: leave such rows out"
            )
        wanted = np.maximum(1, np.round(self.rate * allowed.sum(axis=1))).astype(int)  # (B,)
        if self.span_p is None:
            chosen, lots = self._single(rng, allowed, wanted)  # (B, T) each
        else:
            chosen, lots = self._spans(rng, allowed, wanted)
        hidden = chosen & (lots < self.hide)
        swapped = chosen & ~hidden & (lots < self.hide + self.swap)
        random_ids = rng.choice(self.ordinary_ids(), ids.shape)  # (B, T)
        seen = np.where(hidden, self.mask_id, np.where(swapped, random_ids, ids))  # (B, T)
        return seen.astype(np.int64), np.where(chosen, ids, NO_LOSS).astype(np.int64)

    def _single(self, rng, allowed, wanted):
        """(chosen, lots): of each row the `wanted` allowed tokens that drew the smallest numbers."""
        draws = np.where(allowed, rng.random(allowed.shape), np.inf)  # (B, T)
        rank = draws.argsort(axis=1).argsort(axis=1)  # (B, T)
        return rank < wanted[:, None], rng.random(allowed.shape)

    def _spans(self, rng, allowed, wanted):
        """(chosen, lots): runs that begin at a token not chosen yet, until `wanted` tokens are; the last is cut."""
        B, T = allowed.shape
        chosen, lots = np.zeros((B, T), bool), np.zeros((B, T))
        for b in range(B):
            left = wanted[b]
            while left:
                free = allowed[b] & ~chosen[b]  # (T,)
                start = rng.choice(np.flatnonzero(free))
                length = min(rng.geometric(self.span_p), self.max_span)
                run = start + np.flatnonzero(free[start : start + length])[:left]  # of a run the allowed tokens
                chosen[b, run], lots[b, run] = True, rng.random()
                left -= len(run)
        return chosen, lots


class MaskedData:
    """Windows of a text with blanks: what a Trainer feeds to a MaskedLM.

    tokens: the TokenData of the text. The windows are those that a GPT would read, less their last targets; with the
            same seed the first batch has the same ones.
    seed:   of the blanks of the validation part, which are the same in every evaluation and for every batch size
    """

    def __init__(self, tokens: TokenData, masking: Masking, seed: int = 0):
        self.tokens, self.masking, self.seed = tokens, masking, seed

    @property
    def has_val(self) -> bool:
        """Whether there is a validation part."""
        return self.tokens.has_val

    def with_block_size(self, block_size: int) -> MaskedData:
        """The same text in windows of block_size tokens."""
        return MaskedData(self.tokens.with_block_size(block_size), self.masking, self.seed)

    def check(self, vocab_size: int) -> None:
        """Raise DataError for ids of the text, ConfigError for a mask_id, outside 0 … vocab_size − 1."""
        self.tokens.check(vocab_size)
        if self.masking.vocab_size > vocab_size:
            raise ConfigError(
                f"the masking knows {self.masking.vocab_size} ids, the model {vocab_size}: make the model after the "
                "<mask> token was added, with vocab_size=tokenizer.vocab_size"
            )

    def batch(self, rng: np.random.Generator | int | None, n: int) -> Batch:
        """n random windows of the training part: {"ids": (n, T) with blanks, "targets": (n, T)}, int64."""
        rng = as_generator(rng)
        ids, targets = self.masking.apply(rng, self.tokens.batch(rng, n)["ids"])
        return {"ids": ids, "targets": targets}

    def val_batches(self, n: int, max_tokens: int | None = None) -> Iterator[Batch]:
        """The validation part in order, n windows a batch; max_tokens stops after that many tokens read."""
        row = 0
        for batch in self.tokens.val_batches(n, max_tokens):
            pairs = []
            for window in batch["ids"]:
                pairs.append(self.masking.apply(np.random.default_rng([self.seed, row]), window[None]))
                row += 1
            ids, targets = (np.concatenate(part) for part in zip(*pairs, strict=True))  # (n, T) each
            yield {"ids": ids, "targets": targets}
