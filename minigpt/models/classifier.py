"""GPTClassifier: a GPT that answers with a class, for a whole text or for each of its tokens.

    x = ln_f(gpt.hidden(ids))                     (B, T, C), what the GPT makes of each token
    level "sequence": pooled over the tokens      (B, C): the "last" token, which has seen all others, or their "mean"
    logits = x @ head + bias                      (B, K), or (B, T, K) at level "token"

Source: Radford et al. 2018 ("GPT"), section 3.2, which reads the class off the last token.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import functional as F
from ..errors import ArgumentError, CheckpointError, ShapeError
from ..files import FileGroup, read_json, read_tensors
from ..nn import Linear, Module
from ..nn.lora import without_adapters
from ..tensor import Tensor
from .gpt import GPT, INIT_STD
from .pretrained import add_model_files

SETTINGS, HEAD = "classifier.json", "classifier.safetensors"
NO_CLASS = -100  # a target that does not count


class GPTClassifier(Module):
    """gpt: the model that reads, which is not copied; classes: names of the K classes

    level:          "sequence" or "token";  pooling: "last" or "mean"
    class_weights:  how much an example of each class counts in the loss, (K,); None: all the same
    causal:         False: each token also sees those after it. The gpt must then learn as a whole, it never did so.
    Raises:         ArgumentError
    """

    def __init__(
        self, gpt: GPT, classes: Sequence[str], level="sequence", pooling="last", class_weights=None, causal=True,
        seed=0,
    ):  # fmt: skip
        if isinstance(classes, str) or len(classes) < 2 or len(set(classes)) < len(classes):
            raise ArgumentError(f"a classifier needs at least two classes of different names, got {classes!r}")
        for name, value, known in (("level", level, ("sequence", "token")), ("pooling", pooling, ("last", "mean"))):
            if value not in known:
                raise ArgumentError(f"{name} is one of {', '.join(known)}, got {value!r}")
        self.gpt, self.class_names = gpt, list(classes)
        self.level, self.pooling, self.causal = level, pooling, causal
        self.class_weights = None if class_weights is None else _checked_weights(class_weights, len(classes))
        self.head = Linear(gpt.config.n_embd, len(classes), rng=seed, init_std=INIT_STD)
        for block in gpt.h:
            block.attn.causal = causal

    @property
    def config(self):
        """The GPTConfig of the gpt."""
        return self.gpt.config

    @property
    def tokenizer(self):
        return self.gpt.tokenizer

    def forward(self, ids, tokens=None) -> Tensor:
        """ids (B, T), tokens (B, T) True where one is no padding, or None -> logits (B, K) or (B, T, K)"""
        tokens = np.ones(np.shape(ids), bool) if tokens is None else np.asarray(tokens)
        if tokens.shape != np.shape(ids) or not tokens.any(axis=-1).all():
            raise ShapeError(f"tokens must be (B, T) as ids {np.shape(ids)}, with at least one True in each row")
        mask = None if self.causal else tokens[:, None, None, :]  # (B, 1, 1, T)
        x = self.gpt.ln_f(self.gpt.hidden(ids, mask=mask))  # (B, T, C)
        if self.level == "token":
            return self.head(x)  # (B, T, K)
        T = tokens.shape[1]
        if self.pooling == "last":
            last = T - 1 - tokens[:, ::-1].argmax(axis=1)  # (B,)
            share = (np.arange(T) == last[:, None]).astype(x.dtype)  # (B, T), one 1 a row
        else:
            share = (tokens / tokens.sum(axis=1, keepdims=True)).astype(x.dtype)  # (B, T), sum 1
        return self.head((x * Tensor(share[..., None])).sum(axis=1))  # (B, K)

    def loss_sum(self, ids, targets, mask=None) -> tuple[Tensor, float]:
        """(sum of w · loss in nats, sum of w) over the targets that count; w = 1 without class weights.

        targets (B, T): a class number at each token that has one, -100 elsewhere; at level "sequence" each row has its
        class at its last token, and what follows is padding. mask: (B, 1, 1, T) as BucketedData makes it, or None.
        """
        targets = np.asarray(targets)
        counts = targets != NO_CLASS  # (B, T)
        T = targets.shape[1]
        if mask is not None:
            tokens = np.asarray(mask).reshape(targets.shape)
        else:  # a row ends with its last target; one without any is not looked at
            end = np.where(counts.any(axis=1), T - counts[:, ::-1].argmax(axis=1), T)  # (B,)
            tokens = np.arange(T) < end[:, None]  # (B, T)
        logits = self(ids, tokens)
        if self.level == "sequence":
            if (counts.sum(axis=1) > 1).any():
                raise ArgumentError("level 'sequence' has one class a row, this batch has rows with several targets")
            targets = targets.max(axis=1)  # (B,)
        if self.class_weights is None:
            return F.cross_entropy(logits, targets, reduction="sum"), int((targets != NO_CLASS).sum())
        weights = np.where(targets == NO_CLASS, 0.0, self.class_weights[np.maximum(targets, 0)])
        losses = F.cross_entropy(logits, targets, reduction="none")
        return (losses * Tensor(weights.astype(logits.dtype))).sum(), float(weights.sum())

    def predict(self, rows: Sequence[Sequence[int]], batch_size: int = 64) -> list:
        """The likeliest class number of each text, or at level "token" an array (T,) of them; rows of ids."""
        found: list = []
        for start in range(0, len(rows), batch_size):
            some = [np.asarray(row, np.int64) for row in rows[start : start + batch_size]]
            tokens = np.arange(max(map(len, some))) < np.array([len(row) for row in some])[:, None]  # (B, T)
            ids = np.zeros(tokens.shape, np.int64)
            ids[tokens] = np.concatenate(some)
            with self.evaluating():
                best = self(ids, tokens).numpy().argmax(axis=-1)  # (B,) or (B, T)
            found += (
                best.tolist() if self.level == "sequence" else [b[: len(r)] for b, r in zip(best, some, strict=True)]
            )
        return found

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the GPT's files, and beside them classifier.json and classifier.safetensors. Raises CheckpointError."""
        with FileGroup(folder) as files:
            self.add_files(files)

    def add_files(self, files: FileGroup) -> None:
        """The model's files as part of a group that changes together."""
        add_model_files(files, self.gpt)
        head = without_adapters(self).head
        files.tensors(HEAD, {name: p.numpy() for name, p in head.named_parameters()})
        weights = None if self.class_weights is None else self.class_weights.tolist()
        files.json(
            SETTINGS,
            {
                "classes": self.class_names, "level": self.level, "pooling": self.pooling, "class_weights": weights,
                "causal": self.causal,
            },
        )  # fmt: skip

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> GPTClassifier:
        """What save_pretrained wrote, in evaluation mode. Raises CheckpointError."""
        folder = Path(folder)
        settings = read_json(folder / SETTINGS)
        try:
            model = cls(GPT.from_pretrained(folder), **settings)
        except (TypeError, ArgumentError) as error:
            raise CheckpointError(f"{folder / SETTINGS} is damaged: {error}") from None
        model.head.load_state_dict(read_tensors(folder / HEAD))
        return model.eval()

    def extra_repr(self):
        return f"{self.level}, {len(self.class_names)} classes"


def _checked_weights(weights, n_classes: int) -> np.ndarray:
    array = np.asarray(weights, np.float64)
    if array.shape != (n_classes,) or not (np.isfinite(array).all() and (array >= 0).all() and array.any()):
        raise ArgumentError(f"class_weights needs a number from 0 up for each of {n_classes} classes, got {weights!r}")
    return array


def balanced_weights(targets, n_classes: int) -> np.ndarray:
    """Weights with which every class counts as much as every other: w_k = N / (K · n_k), (K,) float64.

    targets: class numbers, any shape; -100 does not count. Raises ArgumentError for a class without examples.
    """
    numbers = np.asarray(targets)
    counts = np.bincount(numbers[numbers != NO_CLASS], minlength=n_classes)
    if len(counts) > n_classes or (counts == 0).any():
        raise ArgumentError(f"every one of {n_classes} classes needs an example, got {counts.tolist()} of each")
    return counts.sum() / (n_classes * counts)
