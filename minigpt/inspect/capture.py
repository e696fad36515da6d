"""Activations of a model by name, recorded while it runs.

    with capture(model) as acts:
        model(ids)
    acts["h.0.attn.weights"]        # (B, H, T, T)

Names are those of the modules (their outputs) and of what modules label inside: for attention `q`, `k`, `v`,
`scores`, `weights`, `heads`, for the MLP `hidden`.
"""

from __future__ import annotations

import difflib
import fnmatch
from contextlib import contextmanager

import numpy as np

from ..errors import ArgumentError
from ..observe import observing
from ..ops import Label
from ..tensor import Tensor


class Activations(dict):
    """Name -> array, in the order of computation; a later run of the same module replaces its arrays."""

    def __missing__(self, name):
        close = difflib.get_close_matches(str(name), list(self), n=3, cutoff=0.4)
        if not self:
            hint = "; nothing was recorded at all, was the model called in the block?"
        else:
            hint = f"; nearest: {', '.join(close)}" if close else f"; recorded: {', '.join(list(self)[:8])} …"
        raise ArgumentError(f"no activation {name!r} was recorded{hint}")


class _Recorder:
    """The observer behind capture: keeps a stack of module names, and the arrays that match."""

    wants_parts = True  # fused operations run as separate ones, so that attention weights exist

    def __init__(self, model, patterns):
        self.names = {id(module): name for name, module in model.named_modules()}
        self.patterns = patterns
        self.stack: list[str | None] = []  # names of the modules that are running; None: of another model
        self.activations = Activations()

    def _record(self, name, value):
        wanted = self.patterns is None or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns)
        if wanted and isinstance(value, Tensor):
            self.activations[name] = value.numpy()

    def around_module(self, module, args, kwargs, proceed):
        name = self.names.get(id(module))
        self.stack.append(name)
        try:
            output = proceed()
        finally:
            self.stack.pop()
        if name is None:  # a module of another model
            return output
        first = output[0] if isinstance(output, tuple) else output  # a model returns (logits, loss)
        self._record(name or "output", first)
        return output

    def around_op(self, op, inputs, settings, proceed):
        output = proceed()
        inside = self.stack[-1] if self.stack else None
        if op is Label and inside is not None:
            self._record(f"{inside}.{settings['name']}" if inside else settings["name"], output)
        return output


@contextmanager
def capture(model, names=None):
    """Record activations of `model` inside the block; yields a dict from names to NumPy arrays.

    names:   a name or list of them, with wildcards (`"h.*.attn.weights"`); None records everything
    The arrays are the model's own, not copies. The model's output is called "output".
    Raises:  ArgumentError when a name is asked for that was not recorded, listing the nearest ones
    """
    patterns = [names] if isinstance(names, str) else names
    recorder = _Recorder(model, patterns)
    with observing(recorder):
        yield recorder.activations


def attention_weights(model, ids) -> np.ndarray:
    """Attention weights of a GPT for one sequence of ids (T,) -> (layers, H, T, T); rows sum to 1."""

    with model.evaluating(), capture(model, "h.*.attn.weights") as acts:
        model(np.asarray(ids)[None])
    return np.stack([acts[f"h.{i}.attn.weights"][0] for i in range(len(model.h))])
