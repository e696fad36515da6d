"""How well a model predicts a text: every measure with its interval, as a table and as JSON."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...errors import ArgumentError, DataError
from .calibration import Calibration, bin_of, calibrate, calibration_error
from .intervals import CONFIDENCE, DRAWS, FEWEST_WINDOWS, bootstrap, percentiles, sums_by_group
from .predictions import Predictions, predict

TOP = 5
METHOD = f"{CONFIDENCE:.0%} intervals: percentile bootstrap over windows, {DRAWS:,} draws, seed {{seed}}"


class Measure(NamedTuple):
    """A number and its interval (low, high), None where there are too few windows for one."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class TextEvaluation:
    """What `evaluate_text` found.

    measures     name -> Measure: "nats per token", "perplexity", "bits per byte", "top-1 accuracy",
                 "top-5 accuracy", "calibration error"
    calibration  the reliability diagram as arrays
    predictions  the raw material, N tokens
    token_bytes  (N,) int64: bytes of text that each token adds
    first_bytes  of the text's first token, which is read but not predicted
    window       tokens in a window
    text_hash    of the text's bytes: two evaluations of one text share it, whatever their tokenizers
    """

    measures: dict[str, Measure]
    calibration: Calibration
    predictions: Predictions
    token_bytes: np.ndarray
    first_bytes: int
    window: int
    text_hash: str
    seed: int

    @property
    def tokens(self) -> int:
        return len(self.predictions.targets)

    @property
    def bytes(self) -> int:
        """Of the predicted text, in UTF-8."""
        return int(self.token_bytes.sum())

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single predictions, for JSON."""
        return {
            "tokens": self.tokens,
            "bytes": self.bytes,
            "windows": int(self.predictions.windows[-1]) + 1,
            "tokens_per_window": self.window,
            "text_sha256": self.text_hash,
            "intervals": METHOD.format(seed=self.seed),
            "measures": {name: {"value": m.value, "interval": m.interval} for name, m in self.measures.items()},
            "calibration": self.calibration.to_dict(),
        }

    def table(self) -> str:
        """The measures in columns: name, value, interval."""
        lines = [f"  {'measure':<20}{'value':>10}   {CONFIDENCE:.0%} interval"]
        for name, (value, interval) in self.measures.items():
            between = f"{interval[0]:.4f} … {interval[1]:.4f}" if interval else "too few windows"
            lines.append(f"  {name:<20}{value:>10.4f}   {between}")
        c = self.calibration
        lines.append(f"  {METHOD.format(seed=self.seed)}")
        lines.append(
            f"  calibration error: {len(c.count)} bins of {c.binning.replace('-', ' ')}, by the likeliest token; "
            f"a perfectly calibrated model would show {c.chance:.4f} by chance"
        )
        if self.measures["nats per token"].interval is None:
            lines.append(f"  (an interval needs {FEWEST_WINDOWS} windows of {self.window} tokens: use a longer text)")
        return "\n".join(lines)


def evaluate_text(
    model, tok, ids, max_tokens=None, bins=15, binning="equal-mass", seed=0, progress=False
) -> TextEvaluation:
    """Predict every token of ids (N + 1,) but the first, in windows of block_size, and measure.

    nats per token L = mean of −ln p(token);  perplexity = e^L;  bits per byte = sum of −log2 p / bytes of the predicted
    text, which can be compared across tokenizers;  top-k accuracy: the token is among the k likeliest.
    max_tokens: stop after that many. bins, binning: see `calibrate`. seed: of the intervals.
    Raises ArgumentError, DataError (fewer than 2 tokens, or no text in them), NumericsError.
    """
    ids = np.asarray(ids)
    if max_tokens is not None:
        if isinstance(max_tokens, bool) or not isinstance(max_tokens, int | np.integer) or max_tokens < 1:
            raise ArgumentError(f"max_tokens needs an integer of at least 1, or None; got {max_tokens!r}")
        ids = ids[: max_tokens + 1]
    if ids.ndim != 1 or len(ids) < 2:
        raise DataError(f"a text of at least 2 tokens is needed, one and the next; got shape {ids.shape}")
    token_bytes = bytes_added(tok, ids)  # (N,)
    if token_bytes.sum() < 1:
        raise DataError("these tokens hold no text at all, only special tokens: bits per byte have no meaning")
    p = predict(model, ids, None, progress)
    c = calibrate(p.confidence, p.ranks == 0, bins, binning, seed)
    return TextEvaluation(
        measures=_measures(p, token_bytes, c, seed),
        calibration=c,
        predictions=p,
        token_bytes=token_bytes,
        first_bytes=len(tok.decode_bytes(ids[:1], skip_special_tokens=True)),
        window=int(np.bincount(p.windows).max()),
        text_hash=hashlib.sha256(tok.decode_bytes(ids, skip_special_tokens=True)).hexdigest(),
        seed=seed,
    )


def _measures(p: Predictions, token_bytes: np.ndarray, c: Calibration, seed) -> dict[str, Measure]:
    """Each measure is a function of sums over windows, so that it can be taken of the windows of a bootstrap draw."""
    ones = np.ones(len(p.targets))
    sums = sums_by_group(p.windows, p.losses, ones, token_bytes, p.ranks == 0, p.ranks < TOP)  # (W, 5)
    ratios = {
        "nats per token": lambda s: s[..., 0] / s[..., 1],
        "perplexity": lambda s: np.exp(s[..., 0] / s[..., 1]),
        "bits per byte": lambda s: s[..., 0] / math.log(2) / s[..., 2],
        "top-1 accuracy": lambda s: s[..., 3] / s[..., 1],
        f"top-{TOP} accuracy": lambda s: s[..., 4] / s[..., 1],
    }
    measures = {
        name: Measure(float(ratio(sums.sum(axis=0))), percentiles(bootstrap(sums, ratio, seed)))
        for name, ratio in ratios.items()
    }
    bins = len(c.edges) - 1
    cells = p.windows * bins + bin_of(c.edges, p.confidence)  # (N,): window and bin in one number
    cells = np.append(cells, (p.windows[-1] + 1) * bins - 1)  # the last cell, so that the sums have its size; adds 0
    columns = (np.append(column, 0) for column in (ones, p.confidence, p.ranks == 0))
    per_bin = sums_by_group(cells, *columns).reshape(-1, bins * 3)  # (W, bins * 3)
    error = percentiles(bootstrap(per_bin, lambda s: calibration_error(s.reshape(-1, bins, 3)), seed))
    measures["calibration error"] = Measure(c.ece, error)
    return measures


def bytes_added(tok, ids: np.ndarray) -> np.ndarray:
    """How many bytes of UTF-8 text each token but the first adds, ids (N + 1,) -> (N,) int64.

    Token b after token a adds bytes(decode(a b)) − bytes(decode(a)), which counts what a tokenizer puts between two
    pieces; a special token is no text and adds nothing. Each pair that occurs is looked at once.
    """
    pairs = np.stack([ids[:-1], ids[1:]], axis=1).astype(np.int64)  # (N, 2)
    different, which = np.unique(pairs, axis=0, return_inverse=True)  # (K, 2), (N,)
    alone = {a: len(tok.decode_bytes([a], skip_special_tokens=True)) for a in np.unique(different[:, 0]).tolist()}
    added = [len(tok.decode_bytes(pair, skip_special_tokens=True)) - alone[pair[0]] for pair in different.tolist()]
    return np.array(added, np.int64)[which.ravel()]  # (N,)
