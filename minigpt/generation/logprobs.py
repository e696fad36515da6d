"""Log-probabilities of the tokens of a completion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..decoding.sampling import check_count, log_softmax
from ..errors import ArgumentError
from .special import token_text


@dataclass
class LogProbs:
    """One entry per token, in nats: the model's own log-probabilities, before temperature, filters and penalties.

    A prompt's first token has None, since nothing comes before it; so have those that lie before the context.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]  # where the token's text begins


def check_logprobs(k, vocab_size):
    if k is None:
        return
    check_count("logprobs, the number of alternatives,", k)
    if k > vocab_size:
        raise ArgumentError(f"logprobs is a number of alternatives from 0 to the vocabulary size {vocab_size}, got {k}")


class LogProbsRecord:
    """The tokens of one continuation as they arrive; k alternatives for each."""

    def __init__(self, tok, k: int):
        self.tok, self.k = tok, k
        self.prompt: list[tuple] = []
        self.written: list[tuple] = []  # (token text, log-probability, alternatives, offset in the continuation)

    def add(self, token_id: int, logits, start: int) -> None:
        """A token drawn from logits (V,), whose text begins after `start` characters of the continuation."""
        self.written.append(self._entry(token_id, log_softmax(logits), start))

    def add_prompt(self, model, ids: list[int], text: str) -> None:
        """The prompt's own tokens, for echo: one reading of its last block_size tokens."""
        if not text:
            return  # it began with a token that is no part of the text
        first = max(0, len(ids) - model.config.block_size)
        with model.evaluating():
            logits = model(np.array([ids[first:]]))[0].numpy()[0, :, : self.tok.vocab_size]  # (T, V)
        offset = 0
        for k, token_id in enumerate(ids):
            if k > first:
                self.prompt.append(self._entry(token_id, log_softmax(logits[k - 1 - first]), offset))
            else:
                self.prompt.append((token_text(self.tok, token_id), None, None, offset))
            offset = len(self.tok.decode(ids[: k + 1]).rstrip("\N{REPLACEMENT CHARACTER}"))

    def _entry(self, token_id, log_probabilities, offset):
        best = np.argsort(-log_probabilities, kind="stable")[: self.k].tolist()
        top = {token_text(self.tok, i): float(log_probabilities[i]) for i in best}
        return token_text(self.tok, token_id), float(log_probabilities[token_id]), top, offset

    def between(self, start: int, end: int, with_prompt: bool, shift: int) -> LogProbs:
        """Tokens that begin in [start, end) of the continuation, which begins at `shift`; before them the prompt's."""
        entries = list(self.prompt) if with_prompt else []
        entries += [(*rest, offset + shift) for *rest, offset in self.written if start <= offset < end]
        columns = list(zip(*entries, strict=True)) if entries else [(), (), (), ()]
        return LogProbs(*(list(column) for column in columns))
