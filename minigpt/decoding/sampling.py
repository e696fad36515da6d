"""From logits to one token id per row."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, NumericsError
from ..randomness import as_generator


def check_sampling(vocab_size, temperature=1.0, top_k=None, top_p=None):
    """Refuse settings that make no sense, with an ArgumentError that says which do."""
    if not _is_number(temperature) or not 0 <= temperature < np.inf:
        raise ArgumentError(f"temperature is a number from 0 (always the likeliest token) up, got {temperature!r}")
    if top_k is not None:
        is_integer = isinstance(top_k, int | np.integer) and not isinstance(top_k, bool)
        if not is_integer or not 1 <= top_k <= vocab_size:
            raise ArgumentError(f"top_k is an integer from 1 to the vocabulary size {vocab_size}, got {top_k!r}")
    if top_p is not None and (not _is_number(top_p) or not 0 < top_p <= 1):
        raise ArgumentError(f"top_p is a probability in (0, 1], got {top_p!r}")


def _is_number(x) -> bool:
    return isinstance(x, int | float | np.number) and not isinstance(x, bool)


def check_logits(logits) -> np.ndarray:
    """logits (B, V) as float64. Raises NumericsError where a row gives no token a chance."""
    logits = np.asarray(logits, dtype=np.float64)  # (B, V)
    if np.isnan(logits).any() or not np.isfinite(logits.max(axis=-1)).all():
        raise NumericsError(
            "the logits hold NaN or Inf, or nothing but -Inf: the model's weights are damaged, or its training diverged"
        )
    return logits


def filter_logits(logits, temperature=1.0, top_k=None, top_p=None) -> np.ndarray:
    """logits (B, V) / temperature, with -inf for tokens that the filters remove; float64.

    top_k:  keeps the k largest of each row (and what ties with the k-th)
    top_p:  keeps the fewest largest whose probabilities sum to at least top_p
    Raises: ArgumentError (temperature 0 has no logits: take the largest instead), NumericsError
    Source: top-k: Fan, Lewis & Dauphin 2018; top-p: Holtzman et al. 2020, section 3.1
    """
    logits = check_logits(logits)
    check_sampling(logits.shape[-1], temperature, top_k, top_p)
    if temperature == 0:
        raise ArgumentError("filter_logits divides by the temperature, which is 0; for the likeliest token use argmax")
    with np.errstate(over="ignore"):  # a tiny temperature may send what is below 0 to -inf
        logits = logits / temperature  # (B, V)
    if top_k is not None:
        kth = np.partition(logits, -top_k, axis=-1)[:, -top_k, None]  # (B, 1)
        logits = np.where(logits < kth, -np.inf, logits)
    if top_p is not None:
        order = np.argsort(-logits, axis=-1, kind="stable")  # (B, V) largest first
        probabilities = softmax(np.take_along_axis(logits, order, axis=-1))
        before = np.cumsum(probabilities, axis=-1) - probabilities  # probability of all that come earlier
        remove = np.zeros_like(before, dtype=bool)
        np.put_along_axis(remove, order, before >= top_p, axis=-1)
        logits = np.where(remove, -np.inf, logits)
    return logits


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    e = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def sample(logits, rng, temperature=1.0, top_k=None, top_p=None) -> np.ndarray:
    """One id per row of logits (B, V) -> (B,) int64; temperature 0 takes the largest logit, the first of equals.

    rng: a Generator or an int seed. Raises ArgumentError, NumericsError
    """
    if temperature == 0:
        return np.argmax(check_logits(logits), axis=-1)
    logits = check_logits(logits)
    shifted = logits - logits.max(axis=-1, keepdims=True)  # changes no probability, and a tiny temperature gives no inf
    probabilities = softmax(filter_logits(shifted, temperature, top_k, top_p))  # (B, V)
    cumulative = np.cumsum(probabilities, axis=-1)
    threshold = as_generator(rng).random((len(probabilities), 1)) * cumulative[:, -1:]  # (B, 1)
    return np.sum(cumulative <= threshold, axis=-1).astype(np.int64)  # first token whose cumulative exceeds it
