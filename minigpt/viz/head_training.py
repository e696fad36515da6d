"""One head through training: its attention map at every checkpoint, beside the loss.

A head does not sharpen evenly: for a long time it looks at all keys alike, then within a few hundred steps it finds
what it will do, often where the loss bends.
"""

import numpy as np

from ..errors import ArgumentError, ShapeError
from .heat import (
    Heat,
    HeatView,
    Scale,
    checked_numbers,
    checked_rises,
    checked_strings,
    floats,
    maps_data,
    masked_later,
    packed,
    scale_data,
    title_or,
    token_axis,
)  # fmt: skip


class HeadTraining(HeatView):
    """Frames of one attention map by checkpoint; a slider moves through them and along the loss.

    frames   (S, T, T) attention weights from 0 to 1, rows are queries
    steps    (S,) training steps of the frames, rising
    tokens   T strings
    loss     {"steps": [...], "losses": [...]} of the same training, or None; a loss that is not finite leaves a gap
    unit     str, of the loss
    head     str, which head it is, such as "layer 1, head 3"
    title    str, or None for a default

    Attributes: `frames` (S, T, T) and `steps` (S,) float64; `tokens`; `loss` dict of float64 arrays, or None; `unit`,
    `scale`, `title`, `note`.
    Raises ArgumentError, ShapeError or NumericsError naming what does not fit.
    """

    script = ("heat.js", "chart.js", "head_training.js")
    scale = Scale(1.0, False, "attention weight, 0 to 1")

    def __init__(self, frames, steps, tokens, loss=None, unit="nats/token", head="", title=None):
        self.frames = checked_numbers("frames", frames, ("checkpoints", "T", "T"))
        S, T, K = self.frames.shape
        if T != K:
            raise ShapeError(f"frames need square maps (checkpoints, T, T), got {self.frames.shape}")
        if self.frames.min() < -1e-6 or self.frames.max() > 1 + 1e-3:
            raise ArgumentError(
                "frames need attention weights from 0 to 1, after the softmax; got numbers from "
                f"{self.frames.min():.3g} to {self.frames.max():.3g}"
            )
        self.steps = checked_rises("steps", steps, S, "frame")
        self.tokens = checked_strings("tokens", tokens, T, "position")
        self.loss = None if loss is None else _checked_loss(loss)
        self.unit = title_or(unit, "")
        self.title = title_or(title, f"One head through training{f': {head}' if head else ''}")
        self.note = f"{S} checkpoints, steps {self.steps[0]:g} to {self.steps[-1]:g}."

    @classmethod
    def of(cls, recording, layer, head: int, prompt=0, title=None):
        """The view of one head of a recording (minigpt.inspect.Recording).

        layer: number of the block, or the name of an attention, such as "encoder.0.attn"; prompt: number or text
        """
        name = layer if isinstance(layer, str) else f"h.{layer}.attn"
        weights = recording[f"{name}.weights", prompt]  # (S, H, T, T)
        if not isinstance(head, int | np.integer) or not 0 <= head < weights.shape[1]:
            raise ArgumentError(f"{name} has heads 0 to {weights.shape[1] - 1}, got {head!r}")
        loss = recording.loss if len(recording.loss["losses"]) else None
        tokens = recording.tokens(prompt)
        return cls(weights[:, head], recording.steps, tokens, loss, head=f"{name}, head {head}", title=title)

    def __repr__(self):
        return f"HeadTraining({len(self.steps)} checkpoints × {len(self.tokens)} tokens)"

    def maps(self):
        """One map for each checkpoint."""
        queries, keys = token_axis(self.tokens, "query"), token_axis(self.tokens, "key")
        frames = masked_later(self.frames)
        return [Heat(f"step {step:g}", queries, keys, frame) for step, frame in zip(self.steps, frames, strict=True)]

    def alt(self):
        text = (
            f"{self.title}. {self.note} Attention maps over {len(self.tokens)} tokens, rows are queries, columns keys; "
            f"colour is the {self.scale.words}."
        )
        if self.loss is not None:
            losses = self.loss["losses"][np.isfinite(self.loss["losses"])]
            text += f" Beside them the loss, from {losses[0]:.3g} to {losses[-1]:.3g} {self.unit}."
        return text

    def data(self):
        """What the page carries: all frames as float32."""
        maps = self.maps()
        return {
            "title": self.title,
            "note": self.note,
            **scale_data(self.scale),
            "maps": maps_data([maps[-1]._replace(name="")]),
            "steps": self.steps.tolist(),
            "frames": packed(np.stack([heat.values for heat in maps])),
            "unit": self.unit,
            "loss": self.loss and {key: floats(values) for key, values in self.loss.items()},
        }

    def fig(self):
        """A strip of up to eight frames, evenly spaced, with the loss below."""
        from . import head_training_figure

        return head_training_figure.draw(self)


def _checked_loss(loss):
    if not isinstance(loss, dict) or set(loss) != {"steps", "losses"}:
        raise ArgumentError(f'loss needs {{"steps": [...], "losses": [...]}}, got {loss!r:.60}')
    losses = np.array(loss["losses"], np.float64)
    if losses.ndim != 1 or not np.isfinite(losses).any():
        raise ShapeError(f"losses need one number for each step, some of them finite; got shape {losses.shape}")
    return {"steps": checked_rises("loss steps", loss["steps"], len(losses), "loss"), "losses": losses}
