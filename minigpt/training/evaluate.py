"""Loss on text that the model was not trained on."""

from __future__ import annotations

import math


def evaluate(model, data, batch_size=32, max_tokens=None, loss_sum=None) -> float:
    """Mean loss in nats per token over the validation part, each token predicted once.

    data:  has `val_batches(n, max_tokens)`, which yields keyword arguments for model.loss_sum
    loss_sum(**batch) -> (sum of losses, count) may be given in place of the model's own, to share out the work.
    Dropout is off meanwhile; the model's mode is restored.
    """
    loss_sum = loss_sum or model.loss_sum
    losses, tokens = [], 0
    with model.evaluating():
        for batch in data.val_batches(batch_size, max_tokens):
            loss, count = loss_sum(**batch)
            losses.append(float(loss))
            tokens += count
    return math.fsum(losses) / max(tokens, 1)


def bits_per_byte(nats_per_token: float, tokens: int, n_bytes: int) -> float:
    """Nats per token -> bits per byte of UTF-8, which can be compared across tokenizers: L / ln 2 * tokens / bytes."""
    return nats_per_token / math.log(2) * tokens / n_bytes
