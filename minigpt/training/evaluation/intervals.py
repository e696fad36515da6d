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
