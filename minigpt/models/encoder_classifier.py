"""EncoderClassifier: one answer for a whole text, from an encoder that has read both ways.

    hidden = encoder(ids)                       (B, T, C), see encoder.py
    pooled = mean of hidden over the tokens     (B, C); or "first": the vector of the first token
    logits = pooled @ head + bias               (B, K) for K classes

The encoder may have learned to fill blanks before, on text without labels: `EncoderClassifier.from_masked_lm`.
Source: Devlin et al. 2019 ("BERT"), section 3.2, which pools by the first token; here without its layer between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .. import functional as F
from ..errors import ArgumentError, ConfigError, ShapeError
from ..nn import Dropout, Linear
from ..randomness import as_generator
from ..tensor import Tensor
from .budget import check_memory
from .encoder import Encoder, EncoderConfig, MaskedLM
from .folder import TextModel
from .gpt import INIT_STD

POOLINGS = ("mean", "first")


@dataclass(frozen=True)
class ClassifierConfig(EncoderConfig):
    """An EncoderConfig and the classes. Raises ConfigError if they do not fit together.

    classes:       their names, in the order of their numbers 0 … K − 1
    pooling:       "mean" over all tokens but padding, or "first" token
    class_weights: how much an example of each class counts in the loss; None: all the same. For rare classes, use
                   n_examples / (K · n_of_class).
    """

    classes: tuple[str, ...] = ()
    pooling: str = "mean"
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self):
        super().__post_init__()
        named = not isinstance(self.classes, str) and all(isinstance(name, str) for name in self.classes)
        if not named or len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ConfigError(f"classes needs at least two different names, got {self.classes!r}")
        object.__setattr__(self, "classes", tuple(self.classes))  # JSON has lists only
        if self.pooling not in POOLINGS:
            raise ConfigError(f"pooling is one of {', '.join(POOLINGS)}, got {self.pooling!r}")
        if self.class_weights is not None:
            weights = tuple(float(w) for w in self.class_weights)
            if len(weights) != len(self.classes) or not all(0 < w < np.inf for w in weights):
                raise ConfigError(
                    f"class_weights needs a number above 0 for each of {len(self.classes)} classes, got {weights}"
                )
            object.__setattr__(self, "class_weights", weights)

    def n_parameters(self) -> int:
        """Learnable numbers: those of the encoder, and C K + K of the head."""
        return super().n_parameters() + (self.n_embd + 1) * len(self.classes)


class Predictions(NamedTuple):
    """labels: a name for each of B texts; probabilities (B, K) float64, in the order of config.classes"""

    labels: list[str]
    probabilities: np.ndarray


class EncoderClassifier(TextModel):
    """Class of a text. config: a ClassifierConfig; seed: int, Generator or None, from which the weights are drawn"""

    model_type = "minigpt-encoder-classifier"
    config_class = ClassifierConfig

    def __init__(self, config: ClassifierConfig, seed=0):
        self.check_config(config)
        check_memory(config)
        rng = as_generator(seed)
        self.config = config
        self.encoder = Encoder(config, rng)
        self.drop = Dropout(config.dropout, rng=rng)
        self.head = Linear(config.n_embd, len(config.classes), rng=rng, init_std=INIT_STD)

    @classmethod
    def from_masked_lm(
        cls, masked_lm: MaskedLM, classes: Sequence[str], pooling="mean", class_weights=None, seed=0
    ) -> EncoderClassifier:
        """A classifier whose encoder is a copy of a trained one, and whose head is new; the tokenizer comes along."""
        if not isinstance(masked_lm, MaskedLM):
            raise ArgumentError(f"from_masked_lm needs a MaskedLM, got {type(masked_lm).__name__}")
        numbers = {**masked_lm.config.to_dict(), "pooling": pooling, "class_weights": class_weights}
        model = cls(ClassifierConfig(classes=classes, **numbers), seed)  # type: ignore[arg-type]
        model.encoder.load_state_dict(masked_lm.encoder.state_dict())
        model.tokenizer = masked_lm._tokenizer
        return model

    def forward(self, ids, labels=None, mask=None):
        """ids (B, T), labels (B,) class numbers or None, mask (B, T) or None -> (logits Tensor (B, K), loss or None)

        The loss is the mean cross entropy in nats over the texts, weighted by class: sum of w · loss / sum of w.
        """
        ids = self.encoder.check_ids(ids)
        tokens = self.encoder.token_mask(ids, mask)  # (B, T)
        hidden = self.encoder(ids, tokens)  # (B, T, C)
        if self.config.pooling == "first":
            if not tokens[:, 0].all():
                raise ShapeError(
                    'pooling "first" reads the vector of column 0, which is padding here: pad on the right'
                )
            pooled = hidden[:, 0]  # (B, C)
        else:
            share = tokens / tokens.sum(axis=1, keepdims=True)  # (B, T), 1 / number of tokens, 0 at padding
            pooled = (hidden * Tensor(share[..., None].astype(hidden.dtype))).sum(axis=1)  # (B, C)
        logits = self.head(self.drop(pooled))  # (B, K)
        if labels is None:
            return logits, None
        loss, weight = self._weighted(logits, labels)
        return logits, loss / weight

    def loss_sum(self, ids, labels, mask=None) -> tuple[Tensor, float]:
        """(sum of the weighted losses in nats, sum of the weights): without class weights, the number of texts."""
        logits, _ = self(ids, mask=mask)
        return self._weighted(logits, labels)

    def predict(self, texts, tok=None, mask=None) -> Predictions:
        """The likeliest class of each text, and the probabilities of all.

        texts: a list of strings, cut to block_size tokens, or ids (B, T) with a mask; tok: model.tokenizer unless given
        """
        if isinstance(texts, str):
            raise ArgumentError("predict needs a list of texts; for one text: predict([text])")
        if len(texts) and all(isinstance(text, str) for text in texts):
            tok = self.tokenizer if tok is None else tok
            texts, mask = padded([tok.encode(text)[: self.config.block_size] for text in texts])
        with self.evaluating():
            logits = self(texts, mask=mask)[0].numpy().astype(np.float64)  # (B, K)
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        return Predictions([self.config.classes[i] for i in p.argmax(axis=1)], p)

    def _weighted(self, logits, labels):
        labels = np.asarray(labels)
        if labels.shape != (logits.shape[0],):
            raise ShapeError(f"labels must be (B,) = ({logits.shape[0]},) class numbers, got shape {labels.shape}")
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(self.config.classes):
            raise ArgumentError(f"labels must be class numbers, 0 … {len(self.config.classes) - 1}; got {labels}")
        if self.config.class_weights is None:
            return F.cross_entropy(logits, labels, reduction="sum"), len(labels)
        losses = F.cross_entropy(logits, labels, reduction="none")  # (B,)
        weights = np.array(self.config.class_weights)[labels]  # (B,)
        return (losses * Tensor(weights.astype(logits.dtype))).sum(), float(weights.sum())


def padded(rows: Sequence[Sequence[int]], pad_id: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Lists of ids of different lengths -> (ids (B, T) filled up on the right, mask (B, T), True = a token).

    Which id fills up makes no difference, since the mask hides it. Raises ArgumentError for a row without ids.
    """
    empty = [i for i, row in enumerate(rows) if not len(row)]
    if empty or not len(rows):
        what = f"text {empty[0]} is empty" if empty else "there is no text"
        raise ArgumentError(f"{what}: each needs at least one token")
    width = max(len(row) for row in rows)
    mask = np.arange(width) < np.array([len(row) for row in rows])[:, None]  # (B, T)
    ids = np.full(mask.shape, pad_id, np.int64)
    ids[mask] = np.concatenate([np.asarray(row, np.int64) for row in rows])
    return ids, mask
