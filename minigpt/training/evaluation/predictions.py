"""What a model says of every token of a text: the raw material of all measures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...data import TokenData
from ...errors import NumericsError
from .reading import reading, rows_at_once


@dataclass(frozen=True)
class Predictions:
    """One entry for each of N predicted tokens, in the order of the text.

    targets     (N,) int64, the token that came
    losses      (N,) float64, nats: −ln p(target)
    ranks       (N,) int64: how many tokens the model held likelier than the target; 0: greedy decoding takes it
    confidence  (N,) float64: the probability of the likeliest token
    windows     (N,) int64: number of the window that the token was read in
    """

    targets: np.ndarray
    losses: np.ndarray
    ranks: np.ndarray
    confidence: np.ndarray
    windows: np.ndarray


def predict(model, ids, max_tokens: int | None = None, progress: bool = False) -> Predictions:
    """Ask for every token of ids (N + 1,) but the first, in windows of block_size that do not overlap.

    These are the windows of `TokenData.val_batches`, so the mean of the losses is the trainer's validation loss.
    A text shorter than block_size is one window. Raises NumericsError if the logits are not finite.
    """
    from tqdm import tqdm

    T = max(1, min(model.config.block_size, len(ids) - 1))
    data = TokenData(ids, ids, block_size=T)
    total = min(len(ids) - 1, max_tokens or len(ids))
    parts: list[tuple] = []
    first_window = 0
    # delay: what is done within two seconds needs no bar
    with reading(model) as read, tqdm(total=total, unit="token", delay=2, disable=not progress, desc="reading") as bar:
        for batch in data.val_batches(rows_at_once(model, T), max_tokens):
            targets = batch["targets"]  # (B, T)

            def keep(logits, rows, targets=targets):
                wanted = targets[rows].ravel()
                return score_logits(logits.reshape(wanted.size, -1), wanted)

            scored = (np.concatenate(column) for column in zip(*read(batch["ids"], keep), strict=True))
            window = np.broadcast_to(first_window + np.arange(len(targets))[:, None], targets.shape)  # (B, T)
            parts.append((targets.ravel(), *scored, window.ravel()))
            first_window += len(targets)
            bar.update(targets.size)
    return Predictions(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def score_logits(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """logits (N, V), targets (N,) -> losses, ranks, confidence, (N,) each.

    Of equal logits the one with the smaller id counts as likelier, as greedy decoding takes it.
    """
    logits = logits.astype(np.float64)
    if not np.isfinite(logits).all():
        raise NumericsError("the logits hold NaN or Inf: the model's weights are damaged, or its training diverged")
    highest = logits.max(axis=-1)  # (N,)
    log_total = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=-1))  # (N,)
    of_target = np.take_along_axis(logits, targets[:, None], axis=-1)  # (N, 1)
    earlier = np.arange(logits.shape[1]) < targets[:, None]  # (N, V)
    ranks = ((logits > of_target) | ((logits == of_target) & earlier)).sum(axis=-1)  # (N,)
    return log_total - of_target[:, 0], ranks.astype(np.int64), np.exp(highest - log_total)
