"""What a model of single words reaches on a classification task: the figure to beat.

    p(class | text) = softmax(b + sum of w[word] over the words of the text)

Logistic regression on which words occur: the order of words, and what one does to another ("not" before "good"),
cannot make a difference, whatever the weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import ArgumentError

STEPS, LEARNING_RATE, DECAY = 300, 2.0, 1e-4  # of gradient descent on the mean loss


class BagOfWords:
    """Logistic regression from words to classes, fitted when it is made.

    texts, labels: as many of one as of the other; words are runs of letters, digits and apostrophes in lower case
    weights (V, K) float64 for V words and K classes, bias (K,); a word never seen counts nothing
    Source: Hastie, Tibshirani & Friedman 2009, section 4.4
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[str]):
        if len(texts) != len(labels) or not len(texts):
            raise ArgumentError(f"needs a label for each text and at least one, got {len(texts)} and {len(labels)}")
        self.classes = sorted(set(labels))
        self.words = {word: i for i, word in enumerate(sorted({word for text in texts for word in _words(text)}))}
        x = self._features(texts)  # (N, V)
        y = np.eye(len(self.classes))[[self.classes.index(label) for label in labels]]  # (N, K)
        self.weights, self.bias = np.zeros((x.shape[1], y.shape[1])), np.zeros(y.shape[1])
        for _ in range(STEPS):
            dscores = (_softmax(x @ self.weights + self.bias) - y) / len(y)  # (N, K)
            self.weights -= LEARNING_RATE * (x.T @ dscores + DECAY * self.weights)
            self.bias -= LEARNING_RATE * dscores.sum(axis=0)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The likeliest class of each text."""
        scores = self._features(texts) @ self.weights + self.bias  # (N, K)
        return [self.classes[k] for k in scores.argmax(axis=1)]

    def accuracy(self, texts: Sequence[str], labels: Sequence[str]) -> float:
        """Share of texts that get their own label."""
        return float(np.mean([a == b for a, b in zip(self.predict(texts), labels, strict=True)]))

    def _features(self, texts: Iterable[str]) -> np.ndarray:
        rows = [{self.words[word] for word in _words(text) if word in self.words} for text in texts]
        x = np.zeros((len(rows), len(self.words)))  # (N, V), 1 where the word occurs
        for row, present in zip(x, rows, strict=True):
            row[list(present)] = 1.0
        return x


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def _softmax(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
