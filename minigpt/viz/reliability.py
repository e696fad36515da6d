"""Is a model right as often as it is sure?

The reliability diagram: predictions in bins by confidence; each bin at its mean confidence (across) and its share of
right predictions (up). On the diagonal the two agree. Below it the model is surer than it should be, above it less
sure. Below the axes stands how many predictions each bin holds. Source: Niculescu-Mizil & Caruana 2005, "Predicting
good probabilities with supervised learning"; Guo et al. 2017, "On calibration of modern neural networks".
"""

import numpy as np

from ..errors import ArgumentError, ShapeError
from . import html
from .base import View
from .loss import COLOURS

WANTED = ("confidence", "accuracy", "count", "low", "high", "edges")


class ReliabilityDiagram(View):
    """The calibration of one or several models.

    models   dict name -> {"confidence", "accuracy", "low", "high" (K,) in [0, 1], "count" (K,): one entry for each bin
             that holds predictions; "edges" (bins + 1,) of all bins; maybe "ece", the expected calibration error}
    title    str, or None for a default
    note     str, a line below the title: what the bins are

    Attributes, all plain: `models` with arrays (float64, count int64) and "ece" (float; computed if it was not
    given); `title`, `note` str.

    Raises ArgumentError or ShapeError naming the model and what it lacks.
    """

    script = ("chart.js", "reliability.js")

    def __init__(self, models, title=None, note=""):
        if not isinstance(models, dict) or not models:
            raise ArgumentError(
                f'models needs a dict such as {{"my model": {{"confidence": [...], "accuracy": [...], …}}}}; got '
                f"{type(models).__name__}{' without entries' if isinstance(models, dict) else ''}."
            )
        self.models = {str(name): _checked(str(name), model) for name, model in models.items()}
        self.title = html.one_line(title) if title is not None else "Right as often as sure?"
        self.note = html.one_line(note)

    def __repr__(self):
        return f"ReliabilityDiagram({', '.join(self.models)})"

    def label(self, name):
        """`my model: calibration error 0.012, surer than right by 0.004 on average`"""
        model = self.models[name]
        share = model["count"] / model["count"].sum()
        gap = float(share @ (model["confidence"] - model["accuracy"]))
        how = "as sure as right" if abs(gap) < 5e-4 else f"{'surer' if gap > 0 else 'less sure'} than right"
        by = "" if abs(gap) < 5e-4 else f" by {abs(gap):.3f}"
        name = html.clip(html.one_line(name), 40)
        return f"{name}: calibration error {model['ece']:.3f}, {how}{by} on average"

    def alt(self):
        text = f"{self.title} Reliability diagram: share of right predictions against confidence, beside the diagonal."
        return text + "".join(f" {self.label(name)}." for name in self.models)

    def data(self):
        """What the page carries: the arrays themselves, which are short."""
        return {
            "title": self.title,
            "note": self.note,
            "models": [
                {
                    "name": html.one_line(name),
                    "label": self.label(name),
                    "colour": COLOURS[k % len(COLOURS)],
                    **{key: np.round(model[key], 6).tolist() for key in WANTED},
                }
                for k, (name, model) in enumerate(self.models.items())
            ],
        }

    def fig(self):
        """All models on one pair of axes, the numbers of predictions below, as a new matplotlib Figure."""
        from . import reliability_figure

        return reliability_figure.draw(self)


def _checked(name, model):
    if not isinstance(model, dict) or not set(WANTED) <= set(model):
        lacking = sorted(set(WANTED) - set(model)) if isinstance(model, dict) else type(model).__name__
        raise ArgumentError(f"model {name!r} needs a dict with {', '.join(WANTED)}; lacking: {lacking}.")
    arrays = {}
    for key in WANTED:
        array = np.asarray(model[key])
        if array.ndim != 1 or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise ArgumentError(f"{name}: {key} needs a row of finite numbers; got {array.dtype} {array.shape}.")
        arrays[key] = array.astype(np.int64 if key == "count" else np.float64)
    K = len(arrays["confidence"])
    shapes = {key: len(arrays[key]) for key in WANTED if key != "edges"}
    if K == 0 or set(shapes.values()) != {K} or len(arrays["edges"]) < 2:
        raise ShapeError(f"{name} needs one entry for each bin, at least one, and at least 2 edges; got {shapes}.")
    for key in ("confidence", "accuracy", "low", "high", "edges"):
        if arrays[key].min() < -1e-9 or arrays[key].max() > 1 + 1e-9:
            raise ArgumentError(f"{name}: {key} needs shares from 0 to 1, not per cent; got {arrays[key].max():g}.")
    if (arrays["count"] < 1).any():
        raise ArgumentError(f"{name}: count needs at least 1 in each bin; leave empty bins out.")
    error = float(np.abs(arrays["accuracy"] - arrays["confidence"]) @ arrays["count"] / arrays["count"].sum())
    return {**arrays, "ece": float(model.get("ece", error))}
