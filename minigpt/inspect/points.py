"""The named points of a model: the output of every module, and what modules label inside (`F.label`).

    h.0.attn            what attention adds to the residual stream      h.0.attn.q .k .v .scores .weights .heads
    h.0.mlp             what the MLP adds                               h.0.mlp.hidden
    h.0                 the residual stream after the block             h.0.mid  between attention and MLP
    drop                the residual stream before the first block      output   the logits
    rnn.l0              what a recurrent layer puts out                 rnn.l0.i .f .g .o .c .h   of an LSTM's steps
                                                                        rnn.l0.r .z .n .h         of a GRU's

Whoever looks at them, or changes them, is a subclass of `NamedPoints` with a method `at`.
"""

from __future__ import annotations

import difflib
import fnmatch

from ..errors import ArgumentError
from ..ops import Label
from ..tensor import Tensor


class NamedPoints:
    """An observer that meets every named point of one model. Fused operations run as separate ones meanwhile."""

    wants_parts = True

    def __init__(self, model):
        self._names = {id(module): name for name, module in model.named_modules()}
        self._stack: list[str | None] = []  # names of the modules that are running; None: of another model

    def at(self, name: str, value: Tensor) -> Tensor:
        """What goes on from here in place of `value`; the value itself leaves the computation as it is."""
        raise NotImplementedError(f"{type(self).__name__} needs a method at(name, value)")

    def at_step(self, name: str, t: int, T: int, value: Tensor) -> Tensor:
        """The same for a point that is met at each of T steps, with the value (B, …) of step t."""
        raise NotImplementedError(f"{type(self).__name__} needs a method at_step(name, t, T, value)")

    def around_module(self, module, args, kwargs, proceed):
        name = self._names.get(id(module))
        self._stack.append(name)
        try:
            output = proceed()
        finally:
            self._stack.pop()
        first = output[0] if isinstance(output, tuple) else output  # a model returns (logits, loss)
        if name is None or not isinstance(first, Tensor):
            return output
        new = self.at(name or "output", first)
        return new if not isinstance(output, tuple) else (new, *output[1:])

    def around_op(self, op, inputs, settings, proceed):
        output = proceed()
        inside = self._stack[-1] if self._stack else None
        if op is Label and inside is not None:
            name = f"{inside}.{settings['name']}" if inside else settings["name"]
            if settings["step"] is None:
                return self.at(name, output)
            t, T = settings["step"]
            return self.at_step(name, t, T, output)
        return output


def matches(name: str, pattern: str) -> bool:
    """Whether a name is the pattern, in which * and ? stand for anything."""
    return fnmatch.fnmatchcase(name, pattern)


def nearest(wanted: str, names) -> str:
    """The names most like the one that was asked for, in words."""
    names = list(names)
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4)
    return f"nearest: {', '.join(close)}" if close else f"there are: {', '.join(names[:8])} …"


def refuse_unmatched(patterns, names) -> None:
    """Raise an ArgumentError if a pattern is no name of the run; all names that the run met are given."""
    for pattern in patterns:
        if not any(matches(name, pattern) for name in names):
            met = nearest(pattern, names) if names else "nothing ran: was the model called?"
            raise ArgumentError(f"no activation is called {pattern!r}; {met}")
