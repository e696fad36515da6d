"""Two models on the same text: is one better, or was it luck?

Both read the same text, and hard passages are hard for both. The difference of their losses on one passage therefore
varies far less than either loss: pairing. The text is cut into pieces of equal length in bytes, each model's sums are
taken over the tokens that end in a piece, and the bootstrap draws pieces, the same for both models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import DataError
from .intervals import CONFIDENCE, DRAWS, bootstrap, percentiles, sums_by_group
from .text import TOP, Measure, TextEvaluation


@dataclass(frozen=True)
class Comparison:
    """differences: name -> Measure of second − first, on the same pieces of text; same_tokens: see `compare`."""

    differences: dict[str, Measure]
    pieces: int
    piece_bytes: int
    same_tokens: bool
    seed: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "second_minus_first": {
                name: {"value": m.value, "interval": m.interval} for name, m in self.differences.items()
            },
            "pieces": self.pieces,
            "bytes_per_piece": self.piece_bytes,
            "same_tokens": self.same_tokens,
            "intervals": self._method(),
        }

    def table(self) -> str:
        """The differences in columns: name, value, interval, what it says."""
        lines = [f"  {'second minus first':<20}{'value':>10}   {CONFIDENCE:.0%} interval"]
        for name, (value, interval) in self.differences.items():
            if interval is None:
                lines.append(f"  {name:<20}{value:>+10.4f}   too few pieces of text")
                continue
            low, high = interval
            better = "first" if (low > 0) != name.endswith("accuracy") else "second"
            verdict = f"the {better} is better" if low > 0 or high < 0 else "no difference shown: 0 lies within"
            lines.append(f"  {name:<20}{value:>+10.4f}   {low:+.4f} … {high:+.4f}   {verdict}")
        lines.append(f"  {self._method()}")
        if not self.same_tokens:
            lines.append("  different tokenizers: only bits per byte can be compared, a token is not the same to both")
        return "\n".join(lines)

    def _method(self) -> str:
        return (
            f"{CONFIDENCE:.0%} intervals: paired percentile bootstrap over {self.pieces:,} pieces of "
            f"{self.piece_bytes:,} bytes, {DRAWS:,} draws, seed {self.seed}"
        )


def compare(first: TextEvaluation, second: TextEvaluation, seed: int = 0) -> Comparison:
    """Differences second − first of two evaluations of one text.

    Of bits per byte always; of nats per token and accuracies only where both predicted the same tokens.
    Raises DataError if they read different texts.
    """
    if first.text_hash != second.text_hash:
        raise DataError(
            "these evaluations are of different texts (or a tokenizer does not give its text back unchanged), so their "
            "difference says nothing: evaluate both on one text"
        )
    same_tokens = np.array_equal(first.predictions.targets, second.predictions.targets)
    piece_bytes = max(1, *(round(e.bytes / (int(e.predictions.windows[-1]) + 1)) for e in (first, second)))
    sums = np.stack([_piece_sums(e, piece_bytes) for e in (first, second)], axis=1)  # (W, 2, 5)
    measures = {"bits per byte": lambda s: s[..., 0] / math.log(2) / s[..., 2]}
    if same_tokens:
        measures |= {
            "nats per token": lambda s: s[..., 0] / s[..., 1],
            "top-1 accuracy": lambda s: s[..., 3] / s[..., 1],
            f"top-{TOP} accuracy": lambda s: s[..., 4] / s[..., 1],
        }
    differences = {}
    for name, measure in measures.items():

        def difference(totals, measure=measure):
            both = measure(totals.reshape(-1, 2, 5))  # (draws, 2)
            return both[:, 1] - both[:, 0]

        value = float(difference(sums.sum(axis=0))[0])
        differences[name] = Measure(value, percentiles(bootstrap(sums.reshape(len(sums), -1), difference, seed)))
    return Comparison(differences, len(sums), piece_bytes, same_tokens, seed)


def _piece_sums(e: TextEvaluation, piece_bytes: int) -> np.ndarray:
    """Losses, tokens, bytes, top-1 and top-k hits of the tokens that end in each piece of the text. (W, 5)"""
    ends = e.first_bytes + np.cumsum(e.token_bytes)  # (N,): where each token ends in the text
    pieces = np.maximum(ends - 1, 0) // piece_bytes  # (N,)
    p = e.predictions
    return sums_by_group(pieces, p.losses, np.ones(e.tokens), e.token_bytes, p.ranks == 0, p.ranks < TOP)
