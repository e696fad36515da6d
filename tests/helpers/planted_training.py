"""A student's batches, optimizer and training loops, each right, or with one bug planted."""

import numpy as np

from minigpt import functional as F
from minigpt import optim


def batch(text, starts, T, bug=""):
    """ids and targets (B, T) cut out of a text of ids"""
    ids = np.stack([text[s : s + T] for s in starts])
    shift = 0 if bug == "targets not shifted" else 1
    targets = np.stack([text[s + shift : s + shift + T] for s in starts])
    return ids, targets


class MyAdam:
    """Adam without weight decay"""

    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-8, bug=""):
        self.params, self.lr, self.betas, self.eps, self.bug = list(params), lr, betas, eps, bug
        self.m, self.v = ([np.zeros_like(p.data) for p in self.params] for _ in range(2))
        self.t = 0

    def step(self):
        beta1, beta2 = self.betas
        self.t += 1
        for p, m, v in zip(self.params, self.m, self.v, strict=True):
            m[...] = beta1 * m + (1 - beta1) * p.grad
            v[...] = beta2 * v + (1 - beta2) * p.grad**2
            m_hat = m / (1 - beta1**self.t)
            v_hat = v / (1 - (beta1 if self.bug == "bias correction" else beta2) ** self.t)
            p.data -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


def adamw(model, bug=""):
    """AdamW with weight decay for matrices and tables only"""
    params = list(model.parameters())
    if bug == "norms decayed":
        return optim.AdamW(params, lr=0.01, weight_decay=0.1)
    return optim.AdamW(
        [
            {"params": [p for p in params if p.ndim >= 2], "weight_decay": 0.1},
            {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=0.01,
    )


def accumulate(model, parts, bug=""):
    """Gradients of the mean loss over all parts, one part after the other"""
    model.zero_grad()
    for ids, targets in parts:
        loss = model(ids, targets)[1]
        (loss if bug == "not scaled" else loss / len(parts)).backward()


def train(model, ids, targets, steps, bug=""):
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        loss = model(ids, targets)[1]
        if bug != "gradients not zeroed":
            model.zero_grad()
        loss.backward()
        optimizer.step()


def negative_log_likelihood(logits, targets, bug=""):
    """logits (N, V), targets (N,) -> mean loss in nats"""
    logs = F.softmax(logits).log() if bug == "log of softmax" else F.log_softmax(logits)
    return -logs[np.arange(len(targets)), targets].mean()
