"""Activations of a model by name, recorded while it runs.

    with capture(model) as acts:
        model(ids)
    acts["h.0.attn.weights"]        # (B, H, T, T)

Names are those of the modules (their outputs) and of what modules label inside: for attention `q`, `k`, `v`,
`scores`, `weights`, `heads`, for the MLP `hidden`; for recurrent layers the gates of all steps, `rnn.l0.f` and so on.
"""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

from ..errors import ArgumentError
from ..observe import observing
from .points import NamedPoints, matches, nearest


class Activations(dict):
    """Name -> array, in the order of computation; a later run of the same module replaces its arrays."""

    def __missing__(self, name):
        hint = (
            f"; {nearest(str(name), self)}"
            if self
            else "; nothing was recorded at all, was the model called in the block?"
        )
        raise ArgumentError(f"no activation {name!r} was recorded{hint}")


class _Recorder(NamedPoints):
    """The observer behind capture: keeps the arrays whose names match."""

    def __init__(self, model, patterns, copy):
        super().__init__(model)
        self.patterns, self.copy = patterns, copy
        self.activations = Activations()

    def at(self, name, value):
        if self._wanted(name):
            array = value.numpy()
            self.activations[name] = array.copy() if self.copy else array
        return value

    def at_step(self, name, t, T, value):
        if self._wanted(name):
            array = value.numpy()  # (B, C)
            if t == 0:
                self.activations[name] = np.full((len(array), T, *array.shape[1:]), np.nan, array.dtype)  # (B, T, C)
            self.activations[name][:, t] = array
        return value

    def _wanted(self, name) -> bool:
        return self.patterns is None or any(matches(name, pattern) for pattern in self.patterns)


@contextmanager
def capture(model, names=None, copy=False):
    """Record activations of `model` inside the block; yields a dict from names to NumPy arrays.

    names:   a name or list of them, with wildcards (`"h.*.attn.weights"`); None records everything
    copy:    keep copies; else the arrays are the model's own, which a trainer may use again for something else
    The model's output is called "output". Modules of other models that run in the block are not recorded, nor is what
    runs in other threads.
    Raises:  ArgumentError when a name is asked for that was not recorded, listing the nearest ones
    """
    patterns = [names] if isinstance(names, str) else names
    recorder = _Recorder(model, patterns, copy)
    with observing(recorder):
        yield recorder.activations


def attention_weights(model, ids) -> np.ndarray:
    """Attention weights of a GPT for one sequence of ids (T,) -> (layers, H, T, T); rows sum to 1."""

    with model.evaluating(), capture(model, "h.*.attn.weights") as acts:
        model(np.asarray(ids)[None])
    return np.stack([acts[f"h.{i}.attn.weights"][0] for i in range(len(model.h))])
