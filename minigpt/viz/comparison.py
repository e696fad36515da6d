"""Architectures side by side: training loss, how far a gradient reaches, how far back a token is recalled."""

import numpy as np

from ..errors import ArgumentError, ShapeError
from .base import View


class Comparison(View):
    """Three panels with one curve for each model.

    loss      name -> (steps,) nats per token, step 1 first
    gradient  name -> (T,) gradient norm k tokens back, k = 0 first; drawn on a logarithmic axis
    recall    name -> (distances (n,), accuracies (n,) from 0 to 1)
    Raises ArgumentError, ShapeError.
    """

    def __init__(self, loss, gradient, recall, title="Same text, same parameters, same tokens"):
        if not loss or not set(loss) == set(gradient) == set(recall):
            raise ArgumentError(
                "Comparison needs the same names, at least one, in loss, gradient and recall; got "
                f"{sorted(loss)}, {sorted(gradient)}, {sorted(recall)}"
            )
        self.title = title
        self.loss = {name: _curve("loss", name, values) for name, values in loss.items()}
        self.gradient = {name: _curve("gradient", name, values) for name, values in gradient.items()}
        self.recall = {}
        for name, (distances, accuracies) in recall.items():
            pair = _curve("recall", name, distances), _curve("recall", name, accuracies)
            if len(pair[0]) != len(pair[1]):
                raise ShapeError(f"recall of {name!r}: {len(pair[0])} distances, but {len(pair[1])} accuracies")
            self.recall[name] = pair

    def fig(self):
        from .comparison_figure import draw

        return draw(self)

    def alt(self):
        ends = ", ".join(f"{name} {values[-1]:.2f}" for name, values in self.loss.items())
        far = ", ".join(f"{name} {values[-1]:.0%} at {int(ks[-1])}" for name, (ks, values) in self.recall.items())
        return f"Training loss at the end: {ends}. Recall at the longest distance: {far}."


def _curve(kind, name, values) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not array.size:
        raise ShapeError(f"{kind} of {name!r} must be numbers (n,), n at least 1, got shape {array.shape}")
    return array
