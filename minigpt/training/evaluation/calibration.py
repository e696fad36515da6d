"""Calibration: of the tokens that a model is 80 % sure of, are 80 % right?

Predictions are put into bins by confidence, the probability p̂ of the likeliest token. In each bin b stand the mean
confidence conf_b and the share of right tokens acc_b. The expected calibration error (ECE) weighs their distances
by the tokens n_b in the bin:

    ECE = Σ_b n_b / N · |acc_b − conf_b|

Source: Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks", section 2 (bins of equal
width); bins of equal mass: Nguyen & O'Connor 2015, "Posterior calibration and exploratory analysis for natural
language processing models". Chance alone makes |acc − conf| larger than 0, so that no finite sample has ECE 0:
`chance` says what a perfectly calibrated model would show on as many tokens with the same confidences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import ArgumentError, ShapeError
from ...randomness import as_generator
from .intervals import wilson

BINNINGS = ("equal-mass", "equal-width")
CHANCE_DRAWS = 100


@dataclass(frozen=True)
class Calibration:
    """A reliability diagram as arrays, one entry for each bin that holds tokens.

    edges (bins + 1,) of all bins; of the K that hold tokens: confidence, accuracy (K,) means; count (K,) int;
    low, high (K,) Wilson's 95 % interval of the accuracy, tokens taken as independent; ece, chance: see above;
    binning: "equal-mass" or "equal-width".
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    low: np.ndarray
    high: np.ndarray
    ece: float
    chance: float
    binning: str

    def to_dict(self) -> dict:
        """Plain lists and numbers, for JSON."""
        return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in vars(self).items()}


def calibrate(confidence, correct, bins: int = 15, binning: str = "equal-mass", seed=0) -> Calibration:
    """confidence (N,) in [0, 1], correct (N,) booleans -> Calibration.

    Equal mass: as many tokens in each bin (equal confidences stay together, so ties make fewer, larger bins).
    Raises ArgumentError, ShapeError.
    """
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    if confidence.ndim != 1 or confidence.shape != correct.shape or not confidence.size:
        raise ShapeError(
            f"calibrate needs as many confidences as outcomes, (N,) each with N at least 1; got {confidence.shape} and "
            f"{correct.shape}"
        )
    if not (confidence >= 0).all() or confidence.max() > 1 + 1e-9:
        raise ArgumentError("calibrate needs confidences from 0 to 1: probabilities, not logits")
    edges = bin_edges(confidence, bins, binning)
    sums = bin_sums(edges, confidence, correct)  # (bins, 3)
    rng = as_generator(seed)
    calibrated = [
        calibration_error(bin_sums(edges, confidence, rng.random(len(confidence)) < confidence))
        for _ in range(CHANCE_DRAWS)
    ]
    ece = float(calibration_error(sums))
    filled = sums[sums[:, 0] > 0]  # (K, 3)
    count = filled[:, 0].astype(np.int64)
    limits = [wilson(int(right), int(n)) for n, _, right in filled]
    low, high = np.array(limits).T  # (K,) each
    return Calibration(
        edges, filled[:, 1] / count, filled[:, 2] / count, count, low, high, ece, float(np.mean(calibrated)), binning
    )


def bin_edges(confidence: np.ndarray, bins: int, binning: str) -> np.ndarray:
    """Rising edges from 0 to 1, at most bins + 1."""
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 1:
        raise ArgumentError(f"bins needs an integer of at least 1, got {bins!r}")
    if binning not in BINNINGS:
        raise ArgumentError(f"binning is one of {', '.join(BINNINGS)}; got {binning!r}")
    inner = np.arange(1, bins) / bins
    if binning == "equal-mass":
        inner = np.unique(np.quantile(confidence, inner))
        inner = inner[(inner > 0) & (inner < 1)]
    return np.concatenate([[0.0], inner, [1.0]])


def bin_of(edges: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """The bin of each confidence (N,): edges[b] ≤ confidence < edges[b + 1]; 1 belongs to the last."""
    return np.searchsorted(edges[1:-1], confidence, side="right")


def bin_sums(edges: np.ndarray, confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Per bin: tokens, sum of confidences, right ones. (bins, 3)"""
    where, bins = bin_of(edges, confidence), len(edges) - 1
    return np.stack(
        [np.bincount(where, weights, minlength=bins) for weights in (None, confidence, correct)], axis=1
    )  # (bins, 3)


def calibration_error(sums: np.ndarray) -> np.ndarray:
    """ECE from sums per bin (..., bins, 3): Σ |right − sum of confidences| / N, which is the formula above."""
    return np.abs(sums[..., 2] - sums[..., 1]).sum(axis=-1) / sums[..., 0].sum(axis=-1)
