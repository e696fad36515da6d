"""From logits to one token id per row.

`filter_logits` is the definition, on whole rows. `draw` gives the same tokens faster: with a vocabulary of 50,000 it
first narrows the row down to the few candidates that the filters leave, and only then sorts and exponentiates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError, NumericsError
from ..randomness import as_generator

FEW = 64  # candidates tried first for top_p: enough for a model that is fairly sure


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    temperature         divides the logits; 0 always takes the likeliest
    top_k, top_p        see filter_logits
    repetition_penalty  see penalise_repetition; 1 changes nothing
    min_new_tokens      so many tokens are written before the end token is allowed
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    min_new_tokens: int = 0

    def check(self, vocab_size: int) -> None:
        """Raises ArgumentError for a setting that makes no sense."""
        check_sampling(vocab_size, self.temperature, self.top_k, self.top_p)
        if not _is_number(self.repetition_penalty) or not 0 < self.repetition_penalty < np.inf:
            raise ArgumentError(
                "repetition_penalty is a number above 0 (1: none; 1.2 makes repeated tokens less likely), "
                f"got {self.repetition_penalty!r}"
            )
        check_count("min_new_tokens", self.min_new_tokens)

    def scores(self, logits, reader, new: int, eos_id) -> np.ndarray:
        """The logits after the repetition penalty, the end token forbidden if fewer than min_new_tokens are written."""
        if self.repetition_penalty != 1:
            logits = penalise_repetition(logits, map(reader.tokens, range(len(logits))), self.repetition_penalty)
        if eos_id is not None and new < self.min_new_tokens:
            logits = np.array(logits)
            logits[:, eos_id] = -np.inf
        return logits

    def draw(self, scores, u) -> np.ndarray:
        """One id per row; u (B,) uniform in [0, 1), not looked at for temperature 0."""
        if self.temperature == 0:
            return np.argmax(check_logits(scores), axis=-1)
        return draw(scores, u, self.temperature, self.top_k, self.top_p)


def check_sampling(vocab_size, temperature=1.0, top_k=None, top_p=None):
    """Refuse settings that make no sense, with an ArgumentError that says which do."""
    if not _is_number(temperature) or not 0 <= temperature < np.inf:
        raise ArgumentError(f"temperature is a number from 0 (always the likeliest token) up, got {temperature!r}")
    if top_k is not None and (not _is_integer(top_k) or not 1 <= top_k <= vocab_size):
        raise ArgumentError(f"top_k is an integer from 1 to the vocabulary size {vocab_size}, got {top_k!r}")
    if top_p is not None and (not _is_number(top_p) or not 0 < top_p <= 1):
        raise ArgumentError(f"top_p is a probability in (0, 1], got {top_p!r}")


def check_count(name: str, value, least: int = 0):
    """A count is an integer of at least `least`, or an ArgumentError that names it."""
    if not _is_integer(value) or value < least:
        raise ArgumentError(f"{name} is an integer from {least} up, got {value!r}")


def _is_number(x) -> bool:
    return isinstance(x, int | float | np.number) and not isinstance(x, bool)


def _is_integer(x) -> bool:
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


def check_logits(logits) -> np.ndarray:
    """logits (B, V) as they are, if each row gives some token a chance. Raises NumericsError."""
    logits = np.asarray(logits)  # (B, V)
    if not np.isfinite(logits.max(axis=-1)).all():  # the largest of a row with NaN is NaN
        raise NumericsError(
            "the logits hold NaN or Inf, or nothing but -Inf: the model's weights are damaged, or its training diverged"
        )
    return logits


def penalise_repetition(logits, texts, penalty) -> np.ndarray:
    """A copy of logits (B, V) in which tokens that occur in their row's text are less likely, for a penalty above 1.

    A positive logit is divided by the penalty, a negative one multiplied, so that both move down.
    texts: one array of ids per row, prompt and continuation
    Source: Keskar et al. 2019, section 4.1, which divides; the rule for the sign is that of Hugging Face's generate
    """
    logits = np.array(logits)
    for row, ids in zip(logits, texts, strict=True):
        ids = ids[ids < len(row)]  # a prompt may hold ids that must not follow
        old = row[ids]
        row[ids] = np.where(old > 0, old / penalty, old * penalty)
    return logits


def filter_logits(logits, temperature=1.0, top_k=None, top_p=None) -> np.ndarray:
    """logits (B, V) / temperature, with -inf for tokens that the filters remove; float64.

    top_k:  keeps the k largest of each row (and what ties with the k-th)
    top_p:  keeps the fewest largest whose probabilities sum to at least top_p; of equals, the first ones
    Raises: ArgumentError (temperature 0 has no logits: take the largest instead), NumericsError
    Source: top-k: Fan, Lewis & Dauphin 2018; top-p: Holtzman et al. 2020, section 3.1
    """
    logits = check_logits(logits).astype(np.float64)  # (B, V)
    check_sampling(logits.shape[-1], temperature, top_k, top_p)
    if temperature == 0:
        raise ArgumentError("filter_logits divides by the temperature, which is 0; for the likeliest token use argmax")
    with np.errstate(over="ignore"):  # a tiny temperature may send what is below 0 to -inf
        logits = logits / temperature  # (B, V)
    if top_k is not None:
        kth = np.partition(logits, -top_k, axis=-1)[:, -top_k, None]  # (B, 1)
        logits = np.where(logits < kth, -np.inf, logits)
    if top_p is not None and top_p < 1:
        z = logits - logits.max(axis=-1, keepdims=True)
        logits = np.where(_outside_nucleus(z, top_p * _mass(z)), -np.inf, logits)
    return logits


def _mass(z):
    """Sum of exp(z) over each row, (B, 1): what its probabilities are relative to."""
    return np.exp(z).sum(axis=-1, keepdims=True)


def _outside_nucleus(z, enough):
    """True for what top_p removes from z (B, K): tokens before which, in order of size, lies at least `enough`."""
    order = np.argsort(-z, axis=-1, kind="stable")  # (B, K) largest first
    e = np.exp(np.take_along_axis(z, order, axis=-1))
    before = np.cumsum(e, axis=-1) - e  # of all that come earlier
    outside = np.zeros(z.shape, dtype=bool)
    np.put_along_axis(outside, order, before >= enough, axis=-1)
    return outside


def largest(z, k):
    """The k largest of each row (and what ties with the k-th): ids (B, K) rising, and z of them, -inf for the rest."""
    V = z.shape[-1]
    if k >= V:
        return np.broadcast_to(np.arange(V), z.shape), z
    ids = np.argpartition(z, V - k, axis=-1)  # (B, V)
    kth = np.take_along_axis(z, ids[:, V - k, None], axis=-1)  # (B, 1)
    K = int(np.count_nonzero(z >= kth, axis=-1).max(initial=k))
    if K > k:
        ids = np.argpartition(z, V - K, axis=-1)  # (B, V)
    ids = np.sort(ids[:, V - K :], axis=-1)  # (B, K)
    z = np.take_along_axis(z, ids, axis=-1)  # (B, K)
    return ids, np.where(z < kth, -np.inf, z) if K > k else z


def draw(logits, u, temperature=1.0, top_k=None, top_p=None) -> np.ndarray:
    """The first token of each row at which the cumulative probability exceeds u; logits (B, V), u (B,) -> (B,) int64

    The probabilities are softmax(filter_logits(...)). Raises NumericsError.
    """
    logits = check_logits(logits)
    z = logits.astype(np.float64)  # (B, V)
    z -= logits.max(axis=-1, keepdims=True)  # changes no probability, and a tiny temperature gives no inf
    with np.errstate(over="ignore"):
        z /= temperature
    ids = None  # all of them
    if top_k is not None:
        ids, z = largest(z, top_k)  # (B, K)
    if top_p is not None and top_p < 1:
        enough, k = top_p * _mass(z), FEW
        if ids is None:
            ids, few = largest(z, k)
            while k < z.shape[1] and (_mass(few) < enough).any():
                k *= 8
                ids, few = largest(z, k)
            z = few  # (B, K)
        z = np.where(_outside_nucleus(z, enough), -np.inf, z)
    cumulative = np.cumsum(np.exp(z, out=z), axis=-1)  # (B, K)
    threshold = np.asarray(u)[:, None] * cumulative[:, -1:]  # (B, 1)
    chosen = np.sum(cumulative <= threshold, axis=-1)
    return chosen if ids is None else np.take_along_axis(ids, chosen[:, None], axis=-1)[:, 0]


def sample(logits, rng, temperature=1.0, top_k=None, top_p=None) -> np.ndarray:
    """One id per row of logits (B, V) -> (B,) int64; temperature 0 takes the largest logit, the first of equals.

    rng: a Generator or an int seed. Raises ArgumentError, NumericsError
    """
    logits = np.asarray(logits)
    check_sampling(logits.shape[-1], temperature, top_k, top_p)
    u = as_generator(rng).random(len(logits)) if temperature else None
    return Sampling(temperature, top_k, top_p).draw(logits, u)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    e = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def log_softmax(logits) -> np.ndarray:
    """Log-probabilities over the last axis in nats, float64."""
    z = np.asarray(logits, np.float64)
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(_mass(z))
