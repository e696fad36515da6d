"""What kind of head is it? Scores by layer and head, at the end of training or all through it.

The usual three, each the mean attention weight on one key: previous-token (the one before), duplicate-token (an
earlier copy of the query's token), induction (the token after that copy). A head with 1 does nothing else, one with
0 never does it; a head that spreads its weight evenly over T keys still gets about 1/T. Source: Olsson et al. 2022,
"In-context learning and induction heads".
"""

import numpy as np

from ..errors import ArgumentError, ShapeError
from .heat import (
    Axis, Heat, HeatView, Scale, checked_numbers, checked_rises, floats, layer_axis, maps_data, scale_data, title_or,
)  # fmt: skip


class HeadScores(HeatView):
    """One map of layers × heads for each kind of score; over training steps a scrubber and curves.

    scores   dict name -> (L, H), or (S, L, H) over S checkpoints; numbers from 0 up, all of one shape
    steps    (S,) the training steps of the checkpoints, rising; needed if there are any
    words    str, what all scores are, with the unit
    title    str, or None for a default

    Attributes: `scores` dict name -> (S, L, H) float64, read-only (S = 1 without steps); `steps` (S,) or None;
    `scale`, `title`, `note`.
    Raises ArgumentError, ShapeError or NumericsError naming the score.
    """

    script = ("heat.js", "chart.js", "head_scores.js")

    def __init__(self, scores, steps=None, words="mean attention weight, 0 to 1", title=None):
        if not isinstance(scores, dict) or not scores:
            raise ArgumentError(f'scores needs a dict such as {{"induction": (L, H)}}; got {type(scores).__name__}')
        axes = ("layers", "heads") if steps is None else ("steps", "layers", "heads")
        self.scores = {}
        for name, values in scores.items():
            array = checked_numbers(str(name), values, axes)
            if array.min() < 0:
                raise ArgumentError(f"{name}: scores are numbers from 0 up, the smallest here is {array.min():.3g}")
            self.scores[title_or(name, "")] = array if steps is not None else array[None]  # (S, L, H)
        shapes = {name: array.shape for name, array in self.scores.items()}
        if len(set(shapes.values())) > 1:
            raise ShapeError(f"all scores need the same shape, got {shapes}")
        S, self.layers, self.heads = next(iter(shapes.values()))
        self.steps = None if steps is None else checked_rises("steps", steps, S, "checkpoint")
        largest = max(array.max() for array in self.scores.values())
        self.scale = Scale(1.0 if 0 < largest <= 1 else float(largest) or 1.0, False, title_or(words, ""))
        self.title = title_or(title, "Scores of each head")
        self.note = "" if self.steps is None else f"{S} checkpoints, steps {self.steps[0]:g} to {self.steps[-1]:g}; maps: the last."

    def __repr__(self):
        S = "" if self.steps is None else f"{len(self.steps)} steps × "
        return f"HeadScores({', '.join(self.scores)}; {S}{self.layers} layers × {self.heads} heads)"

    def strongest(self, name):
        """(layer, head, score) of the largest score at the last step."""
        layer, head = np.unravel_index(int(self.scores[name][-1].argmax()), (self.layers, self.heads))
        return int(layer), int(head), float(self.scores[name][-1, layer, head])

    def maps(self):
        """The maps at the last step."""
        rows, columns = layer_axis(self.layers), Axis("head", [str(head) for head in range(self.heads)])
        return [Heat(name, rows, columns, array[-1]) for name, array in self.scores.items()]

    def data(self):
        """What the page carries: all scores at all steps as float32."""
        return {
            "title": self.title,
            "note": self.note,
            **scale_data(self.scale),
            "maps": maps_data(self.maps()),
            "steps": None if self.steps is None else self.steps.tolist(),
            "scores": [floats(array) for array in self.scores.values()],
        }

    def fig(self):
        """The maps at the last step; below them the scores over the steps, the strongest head named."""
        from . import head_scores_figure

        return head_scores_figure.draw(self)
