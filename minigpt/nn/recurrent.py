"""Recurrent layers: RNN, LSTM, GRU. They read a text from left to right and carry a state along.

    lstm = nn.LSTM(input_size, hidden_size, num_layers=2)
    y, state = lstm(x)              # x (B, T, input) -> y (B, T, hidden), the last layer's h of every step
    y, state = lstm(more, state)    # goes on where it stopped

State: h (layers, B, hidden); for the LSTM the pair (h, c). Names, shapes and order of gates of the parameters are those
of PyTorch, so its weights can be loaded. One step down: `functional.lstm` -> `ops/lstm.py` -> `kernels/reference/`;
while somebody looks at the gates, step by step: `recurrent_parts.py`.

Truncated back-propagation through time (Williams & Peng 1990): cut the text into pieces, and hand the state on without
the graph, so that gradients end at the piece's first step while the memory goes on.

    for x, targets in pieces:
        y, state = lstm(x, state)
        loss(y, targets).backward()
        state = nn.detached(state)
"""

from __future__ import annotations

import numpy as np

from .. import functional as F
from ..backend import current_row, row_of
from ..errors import ArgumentError, ShapeError
from ..observe import parts_wanted
from ..ops.axes import named
from ..ops.dropout import check_probability
from ..randomness import as_generator
from ..tensor import Tensor
from . import recurrent_parts
from .linear import check_size, uniform
from .module import Module, Parameter


class Recurrent(Module):
    """Layers on top of each other; layer l has weight_ih_l (G hidden, in), weight_hh_l (G hidden, hidden) and biases.

    m(x (B, T, input), state=None, lengths=None) -> (y (B, T, hidden), state). No state: zeros.
    lengths (B,): how many steps of each row count; y is 0 after them, and the state is that of a row's last one, as in
    PyTorch's packed sequences. dropout acts on y of every layer but the last.
    Init:   uniform in ±1 / sqrt(hidden)
    Raises: ShapeError, ArgumentError
    """

    gates = 1
    states: tuple[str, ...] = ("h",)

    def __init__(self, input_size, hidden_size, num_layers=1, rng=None, dropout=0.0):
        check_size(type(self).__name__, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.dropout = check_probability(f"{type(self).__name__} dropout", dropout)
        self.rng = rng = as_generator(rng)
        rows, bound = self.gates * hidden_size, hidden_size**-0.5
        for layer in range(num_layers):
            width = hidden_size if layer else input_size
            setattr(self, f"weight_ih_l{layer}", Parameter(uniform(rng, bound, (rows, width))))
            setattr(self, f"weight_hh_l{layer}", Parameter(uniform(rng, bound, (rows, hidden_size))))
            setattr(self, f"bias_ih_l{layer}", Parameter(uniform(rng, bound, (rows,))))
            setattr(self, f"bias_hh_l{layer}", Parameter(uniform(rng, bound, (rows,))))

    def forward(self, x, state=None, lengths=None):
        x = x if isinstance(x, Tensor) else Tensor(x)
        self._check(x)
        states = self._split(state, x)
        last = []
        for layer in range(self.num_layers):
            parameters = [
                getattr(self, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ]
            part = f"l{layer}"
            x, *ends = self.layer(part, x, *parameters, *(s[layer] for s in states), lengths)  # (B, T, hidden), …
            x = F.label(x, part)
            last.append(ends)
            if layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.rng, self.training)
        final = tuple(F.stack(ends) for ends in zip(*last, strict=True))  # (layers, B, hidden) each
        return x, final if len(final) > 1 else final[0]

    def layer(self, name, x, weight_ih, weight_hh, bias_ih, bias_hh, *state_and_lengths):
        """One layer over all steps: (y, the states after the last step). name: what observers know it by"""
        raise NotImplementedError(f"{type(self).__name__} needs a method layer(...)")

    def _check(self, x):
        if x.ndim != 3 or x.shape[-1] != self.input_size:
            hint = "; one text alone: x[None]" if x.ndim == 2 else ""
            raise ShapeError(
                f"{type(self).__name__}: x has shape {named(x.shape)}, needs (B, T, C) with C = input_size = "
                f"{self.input_size}{hint}"
            )
        if 0 in x.shape[:2]:
            raise ShapeError(
                f"{type(self).__name__}: x has shape {x.shape}: nothing to read, B and T must be at least 1"
            )

    def _split(self, state, x) -> list:
        """The states (layers, B, hidden), zeros where none were given."""
        wanted = (self.num_layers, x.shape[0], self.hidden_size)
        if state is None:
            row = row_of(x.data) or current_row()
            return [Tensor(row.zeros(wanted, x.dtype)) for _ in self.states]
        parts = list(state) if len(self.states) > 1 and isinstance(state, tuple | list) else [state]
        if len(parts) != len(self.states):
            raise ArgumentError(
                f"{type(self).__name__}: the state is the pair ({', '.join(self.states)}), got {type(state).__name__} "
                f"of {len(parts)}"
            )
        parts = [part if isinstance(part, Tensor) else Tensor(part) for part in parts]
        for name, part in zip(self.states, parts, strict=True):
            if part.shape != wanted:
                raise ShapeError(
                    f"{type(self).__name__}: state {name} has shape {part.shape}, needs (layers, B, hidden) = {wanted}"
                )
        return parts

    def extra_repr(self):
        layers = f", {self.num_layers} layers" if self.num_layers > 1 else ""
        return f"{self.input_size} -> {self.hidden_size}{layers}{f', dropout {self.dropout}' if self.dropout else ''}"


class RNN(Recurrent):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh); nonlinearity="relu" in place of tanh (Elman 1990)."""

    def __init__(self, input_size, hidden_size, num_layers=1, rng=None, dropout=0.0, nonlinearity="tanh"):
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNN: nonlinearity is 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, num_layers, rng, dropout)
        self.nonlinearity = nonlinearity

    def layer(self, name, x, weight_ih, weight_hh, bias_ih, bias_hh, h, lengths):
        a = F.linear(x, weight_ih, bias_ih + bias_hh, transposed=True)  # (B, T, hidden)
        if parts_wanted():
            return recurrent_parts.rnn(name, a, weight_hh, h, lengths, self.nonlinearity)
        return F.rnn(a, weight_hh, h, lengths, self.nonlinearity)


class LSTM(Recurrent):
    """i, f, g, o from x_t and h_{t-1};  c_t = f c_{t-1} + i g;  h_t = o tanh(c_t)   (Hochreiter & Schmidhuber 1997)

    The cell c is changed by addition alone, so that gradients pass many steps. State: (h, c).
    """

    gates = 4
    states = ("h", "c")

    def layer(self, name, x, weight_ih, weight_hh, bias_ih, bias_hh, h, c, lengths):
        a = F.linear(x, weight_ih, bias_ih + bias_hh, transposed=True)  # (B, T, 4 hidden)
        if parts_wanted():
            return recurrent_parts.lstm(name, a, weight_hh, h, c, lengths)
        return F.lstm(a, weight_hh, h, c, lengths)


class GRU(Recurrent):
    """r, z, n from x_t and h_{t-1};  h_t = (1 - z) n + z h_{t-1}   (Cho et al. 2014; r acts after the product)"""

    gates = 3

    def layer(self, name, x, weight_ih, weight_hh, bias_ih, bias_hh, h, lengths):
        a = F.linear(x, weight_ih, bias_ih, transposed=True)  # (B, T, 3 hidden)
        if parts_wanted():
            return recurrent_parts.gru(name, a, weight_hh, bias_hh, h, lengths)
        return F.gru(a, weight_hh, bias_hh, h, lengths)


def detached(state):
    """The same state without the graph: gradients end here. A Tensor, or a tuple of them; None stays None."""
    if isinstance(state, tuple):
        return tuple(detached(part) for part in state)
    return None if state is None else state.detach()


def selected(state, rows):
    """The state of some rows of the batch: row i becomes what row rows[i] was, without the graph."""
    if isinstance(state, tuple):
        return tuple(selected(part, rows) for part in state)
    return state.detach()[:, np.asarray(rows)]  # (layers, B', hidden)
