"""How alike vectors are in direction: cosines of all pairs, of position embeddings above all.

    cosine_ij = v_i · v_j / (|v_i| |v_j|)

Neighbouring positions that look alike, and stripes along the diagonal, are how learnt positions tell a model about
distance; sinusoidal ones show it by construction.
"""

import numpy as np

from ..errors import NumericsError
from .heat import Axis, Heat, HeatView, Scale, checked_numbers, checked_strings, title_or, token_axis


class PositionCosine(HeatView):
    """Cosine similarity between T vectors, as a T × T map from −1 to 1.

    vectors  (T, C): rows of wpe, of another embedding, or activations by position
    labels   T strings, or None to number them from 0
    title    str, or None for a default

    Attributes: `cosine` (T, T) float64, `labels`, `title`, `note`, `scale`.
    Raises ShapeError, ArgumentError; NumericsError for a vector of length 0, which has no direction.
    """

    scale = Scale(1.0, True, "cosine, −1 to 1")

    def __init__(self, vectors, labels=None, title=None):
        vectors = checked_numbers("vectors", vectors, ("positions", "channels"))
        self.cosine = cosines(vectors)
        T = len(vectors)
        self.labels = None if labels is None else checked_strings("labels", labels, T, "position")
        self.title = title_or(title, "Cosine between positions")
        self.note = f"{T} vectors of {vectors.shape[1]} numbers; 1: the same direction, 0: at right angles, −1: opposite."

    def __repr__(self):
        return f"PositionCosine({len(self.cosine)} positions)"

    def maps(self):
        axis = token_axis(self.labels) if self.labels else Axis("position", [str(k) for k in range(len(self.cosine))])
        return [Heat("", axis, axis, self.cosine)]


def cosines(vectors):
    """vectors (T, C) -> (T, T) float64. Raises NumericsError for a vector of length 0."""
    lengths = np.linalg.norm(vectors, axis=1)
    if not lengths.all():
        raise NumericsError(f"vector {int((lengths == 0).argmax())} has length 0, so it has no direction to compare")
    unit = vectors / lengths[:, None]
    return (unit @ unit.T).clip(-1, 1)
