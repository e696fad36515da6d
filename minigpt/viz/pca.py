"""Vectors on a plane: the two directions in which a table of embeddings varies most.

    X centred (N, C) = U S Vᵀ;   coordinates of row i: U_i S;   share of variance of component k: S_k² / Σ S²

Two components of a large table often hold a few per cent of its variance: what looks near here may be far apart, and
the shares say how much is not shown.
"""

import numpy as np

from ..errors import ArgumentError, NumericsError
from . import html
from .base import View
from .heat import checked_numbers, checked_strings, floats, title_or

MOST_POINTS = 3000  # in a page
MOST_GROUPS = 6  # as many as there are colours


class EmbeddingPCA(View):
    """N vectors as labelled points on their first two principal components.

    vectors   (N, C): an embedding table or rows of it, activations, …
    labels    N strings
    groups    N strings, at most MOST_GROUPS different ones: colour and marker; or None
    title     str, or None for a default

    Attributes: `points` (N, 2) float64; `explained` (min(N, C),) shares of the variance, largest first; `labels`,
    `groups` (list of N), `names` of the groups, `title`, `note`. The sign of a component is chosen so that its largest
    coordinate is positive: the same vectors give the same picture.
    Raises ShapeError, ArgumentError; NumericsError if all vectors are the same.
    """

    script = ("heat.js", "chart.js", "pca.js")

    def __init__(self, vectors, labels, groups=None, title=None):
        vectors = checked_numbers("vectors", vectors, ("points", "channels"))
        N, C = vectors.shape
        if N < 2 or C < 2:
            raise ArgumentError(f"a plane needs at least 2 vectors of 2 numbers, got {N} of {C}")
        self.labels = checked_strings("labels", labels, N, "vector")
        self.groups = ["" for _ in range(N)] if groups is None else checked_strings("groups", groups, N, "vector")
        self.names = list(dict.fromkeys(self.groups))
        if len(self.names) > MOST_GROUPS:
            raise ArgumentError(f"at most {MOST_GROUPS} groups can be told apart, got {len(self.names)}")
        self.points, self.explained = principal_components(vectors)
        self.title = title_or(title, "Embeddings on two principal components")
        first, second = self.explained[:2]
        self.note = (
            f"{N} vectors of {C} numbers. Shown: {first:.1%} and {second:.1%} of the variance; "
            f"{max(0.0, 1 - first - second):.1%} is not."
        )

    def __repr__(self):
        return f"EmbeddingPCA({len(self.labels)} points; {self.explained[0]:.1%}, {self.explained[1]:.1%})"

    def axis(self, k):
        """The name of component k with its share."""
        return f"component {k + 1}: {self.explained[k]:.1%} of the variance"

    def alt(self):
        ends = []
        for k in range(2):
            low, high = self.points[:, k].argmin(), self.points[:, k].argmax()
            ends.append(f"Component {k + 1} runs from {html.visible(self.labels[low])} to {html.visible(self.labels[high])}.")
        return f"{self.title}. {self.note} {' '.join(ends)}"

    def data(self):
        """What the page carries: the points as float32, the shares of the first ten components."""
        if len(self.labels) > MOST_POINTS:
            raise ArgumentError(
                f"a page of {len(self.labels):,} points would choke a browser, at most {MOST_POINTS:,}: choose some of "
                "them, such as the most frequent tokens, or draw the picture alone with .fig()."
            )
        return {
            "title": self.title,
            "note": self.note,
            "axes": [self.axis(0), self.axis(1)],
            "labels": [html.visible(label) for label in self.labels],
            "groups": [self.names.index(group) for group in self.groups],
            "names": [html.one_line(name) for name in self.names],
            "points": floats(self.points),
            "explained": [float(f"{share:.4g}") for share in self.explained[:10]],
        }

    def fig(self):
        """The points with as many labels as fit, and the shares of the components, as a new matplotlib Figure."""
        from . import pca_figure

        return pca_figure.draw(self)


def principal_components(vectors):
    """vectors (N, C) -> points (N, 2), shares of the variance (min(N, C),), float64.

    Raises NumericsError if the vectors do not vary.
    """
    centred = vectors - vectors.mean(axis=0)
    U, S, _ = np.linalg.svd(centred, full_matrices=False)
    total = (S**2).sum()
    if total <= 1e-24 * max(1.0, (vectors**2).sum()):
        raise NumericsError("all vectors are the same: there is no direction in which they vary")
    points = U[:, :2] * S[:2]
    largest = np.abs(points).argmax(axis=0)
    points = points * np.where(points[largest, [0, 1]] < 0, -1.0, 1.0)
    return points, S**2 / total
