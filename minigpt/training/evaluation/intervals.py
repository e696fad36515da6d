"""How sure a measured number is.

Shares of independent trials (is the answer right?) get Wilson's interval. Means over a text get the bootstrap over
windows: neighbouring tokens are not independent, whole windows nearly are, so windows are drawn again with
replacement and the measure computed anew from each draw; the middle 95 % of those values are the interval
(percentile method: Efron & Tibshirani 1993, chapter 13).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from ...errors import ArgumentError
from ...randomness import as_generator

CONFIDENCE = 0.95
DRAWS = 1000
FEWEST_WINDOWS = 10  # with fewer the bootstrap draws the same few over and over and looks far too sure
_AT_ONCE = 4_000_000  # counts held in memory at a time


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval for the share behind `successes` of n independent trials, within [0, 1] also near its ends.

    centre ± half with z the normal quantile, p = successes / n:
        centre = (p + z²/2n) / (1 + z²/n),  half = z/(1 + z²/n) · sqrt(p(1 − p)/n + z²/4n²)
    No trials: (0, 1). Raises ArgumentError.  Source: E. B. Wilson 1927, "Probable inference, the law of succession,
    and statistical inference", JASA 22.
    """
    if not 0 <= successes <= n or not 0 < confidence < 1:
        raise ArgumentError(
            f"wilson needs 0 ≤ successes ≤ n and a confidence within (0, 1); got {successes} of {n}, {confidence}"
        )
    if n == 0:
        return 0.0, 1.0
    z, p = NormalDist().inv_cdf((1 + confidence) / 2), successes / n
    scale = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)  # exactly so; rounding would leave 1e-17
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def paired_difference(both: int, first: int, second: int, neither: int) -> tuple[float, float]:
    """Interval for p2 − p1, the shares that two models get right of the same n questions.

    both, first, second, neither: how many both got right, the first alone, the second alone, none; their sum is n.
    With Wilson's (l, u) of each share, and φ how far the two go together (Pearson's correlation of right and wrong,
    with a correction for continuity):
        down² = (p2 − l2)² − 2φ (p2 − l2)(u1 − p1) + (u1 − p1)²
        up²   = (u2 − p2)² − 2φ (u2 − p2)(p1 − l1) + (p1 − l1)²        interval: p2 − p1 − down … p2 − p1 + up
    Raises ArgumentError.  Source: R. G. Newcombe 1998, "Improved confidence intervals for the difference between
    binomial proportions based on paired data", Statistics in Medicine 17, method 10.
    """
    n = both + first + second + neither
    if min(both, first, second, neither) < 0 or n == 0:
        raise ArgumentError(f"counts from 0 up of at least one question, got {(both, first, second, neither)}")
    p1, p2 = (both + first) / n, (both + second) / n
    (l1, u1), (l2, u2) = wilson(both + first, n), wilson(both + second, n)
    spread = math.sqrt(p1 * (1 - p1) * p2 * (1 - p2)) * n * n
    excess = both * neither - first * second
    corrected = max(excess - n / 2, 0) if excess > 0 else excess
    phi = corrected / spread if spread > 0 else 0.0  # one model got all right, or all wrong: nothing goes together
    down = (p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2
    up = (u2 - p2) ** 2 - 2 * phi * (u2 - p2) * (p1 - l1) + (p1 - l1) ** 2
    return p2 - p1 - math.sqrt(max(down, 0.0)), p2 - p1 + math.sqrt(max(up, 0.0))


def sums_by_group(groups: np.ndarray, *columns) -> np.ndarray:
    """Sums over equal groups: groups (N,) of 0 … W−1, columns (N,) each -> (W, number of columns) float64."""
    W = int(groups.max()) + 1
    return np.stack([np.bincount(groups, np.asarray(c, np.float64), minlength=W) for c in columns], axis=1)  # (W, m)


def bootstrap(sums: np.ndarray, measure: Callable, seed=0, draws: int = DRAWS) -> np.ndarray | None:
    """`measure` of the totals of W windows drawn with replacement, `draws` times; None with too few windows.

    sums (W, m) per window; measure(totals (draws, m)) -> (draws,) or (draws, k).
    """
    W = len(sums)
    if W < FEWEST_WINDOWS:
        return None
    rng = as_generator(seed)
    at_once = max(1, _AT_ONCE // W)
    totals = []
    for start in range(0, draws, at_once):
        times = rng.multinomial(W, np.full(W, 1 / W), size=min(at_once, draws - start))  # (…, W): how often each
        totals.append(times @ sums)  # (…, m)
    return measure(np.concatenate(totals))


def percentiles(values: np.ndarray | None, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """The middle share `confidence` of the values (draws,), or None where there are none."""
    if values is None:
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
