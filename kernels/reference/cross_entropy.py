"""Cross entropy of softmax(logits) against class numbers, in nats.

    loss_n = lse_n - (1 - s) * logit[n, target_n] - s * mean_v logit[n, v],   lse_n = log sum_v exp(logit[n, v])

s is the label smoothing (Szegedy et al. 2016, section 7): the target distribution is (1 - s) on the right class
plus s / V on every class. Rows whose target is ignore_index have loss 0 and gradient 0.
"""

import numpy as np


def cross_entropy_forward(logits, targets, ignore_index=-100, label_smoothing=0.0):  # (N, V), (N,)
    m = np.max(logits, axis=-1, keepdims=True)  # (N, 1)
    lse = (m + np.log(np.sum(np.exp(logits - m), axis=-1, keepdims=True)))[:, 0]  # (N,)
    kept = targets != ignore_index
    rows = np.arange(len(targets))
    picked = logits[rows, np.where(kept, targets, 0)]  # (N,)
    loss = lse - (1 - label_smoothing) * picked
    if label_smoothing:
        loss = loss - label_smoothing * np.mean(logits, axis=-1)
    return np.where(kept, loss, np.zeros_like(loss)), lse


def cross_entropy_backward(dloss, logits, targets, lse, ignore_index=-100, label_smoothing=0.0):
    """dlogits = (softmax(logits) - target distribution) * dloss"""
    kept = targets != ignore_index
    rows = np.arange(len(targets))
    dlogits = np.exp(logits - lse[:, None])  # (N, V) softmax
    dlogits[rows, np.where(kept, targets, 0)] -= 1 - label_smoothing
    dlogits -= label_smoothing / logits.shape[-1]
    dlogits *= (dloss * kept)[:, None]
    return dlogits
