"""Cross entropy of softmax(logits) against class numbers, in nats.

    loss_n = lse_n - (1 - s) * logit[n, target_n] - s * mean_v logit[n, v],   lse_n = log sum_v exp(logit[n, v])

s is the label smoothing (Szegedy et al. 2016, section 7): the target distribution is (1 - s) on the right class
plus s / V on every class. Rows whose target is ignore_index have loss 0 and gradient 0.
"""

import numpy as np


def cross_entropy_forward(logits, targets, ignore_index=-100, label_smoothing=0.0):  # (N, V), (N,)
    """Losses (N,), and m and log sum_v exp(logit - m), (N,) each, for backward.

    All is reckoned from logit - m, m the row's maximum: m + log(sum) would lose the digits of the sum when m is large.
    """
    m = np.max(logits, axis=-1)  # (N,)
    shifted = logits - m[:, None]  # (N, V)
    log_sum = np.log(np.sum(np.exp(shifted), axis=-1))  # (N,)
    kept = targets != ignore_index
    picked = shifted[np.arange(len(targets)), np.where(kept, targets, 0)]  # (N,)
    loss = log_sum - (1 - label_smoothing) * picked
    if label_smoothing:
        loss = loss - label_smoothing * np.mean(shifted, axis=-1)
    return np.where(kept, loss, np.zeros_like(loss)), m, log_sum


def cross_entropy_backward(dloss, logits, targets, m, log_sum, ignore_index=-100, label_smoothing=0.0):
    """dlogits = (softmax(logits) - target distribution) * dloss"""
    kept = targets != ignore_index
    dlogits = np.exp(logits - m[:, None] - log_sum[:, None])  # (N, V) softmax
    dlogits[np.arange(len(targets)), np.where(kept, targets, 0)] -= 1 - label_smoothing
    dlogits -= label_smoothing / logits.shape[-1]
    dlogits *= (dloss * kept)[:, None]
    return dlogits
