"""Recurrent layers step by step, in separate ops: the same formulas as the fused ones, with all that lies between.

Run while an observer wants parts (`observe.py`), as attention runs in parts to show its weights. At every step t the
observer sees, and may replace, arrays (B, hidden) under the names

    l0.i .f .g .o    gates of an LSTM's layer 0: input, forget, candidate, output;  .c its cell,  .h its state
    l0.r .z .n       gates of a GRU: reset, update, candidate;                      .h its state
    l0.h             the state of a plain RNN

What is put in place of a value goes on from there: a state without its forget gate at step 3 changes every later gate.
After a row's length its state stays what it was; the gates there are computed, but lead nowhere.
"""

from __future__ import annotations

from .. import functional as F
from ..ops.rnn import check_layer, check_lengths
from ..tensor import Tensor


def lstm(name, a, w_hh, h, c, lengths=None) -> tuple[Tensor, Tensor, Tensor]:
    """As F.lstm: a (B, T, 4 hidden), w_hh (4 hidden, hidden), h, c (B, hidden) -> (y, h_n, c_n)"""
    check_layer("lstm", 4, a, w_hh, h0=h, c0=c)
    steps = _Steps(name, "lstm", a, lengths)
    for t in range(steps.T):
        i, f, g, o = _split(a[:, t] + h @ w_hh.T, 4)  # (B, hidden) each
        i, f = steps.see(t, "i", F.sigmoid(i)), steps.see(t, "f", F.sigmoid(f))
        g, o = steps.see(t, "g", F.tanh(g)), steps.see(t, "o", F.sigmoid(o))
        new_c = steps.see(t, "c", f * c + i * g)
        new_h = steps.see(t, "h", o * F.tanh(new_c))
        h, c = steps.running(t, new_h, h), steps.running(t, new_c, c)
        steps.write(t, new_h)
    return steps.y(), h, c


def gru(name, a, w_hh, b_hh, h, lengths=None) -> tuple[Tensor, Tensor]:
    """As F.gru: a (B, T, 3 hidden), w_hh (3 hidden, hidden), b_hh (3 hidden,), h (B, hidden) -> (y, h_n)"""
    check_layer("gru", 3, a, w_hh, h0=h)
    steps = _Steps(name, "gru", a, lengths)
    for t in range(steps.T):
        a_r, a_z, a_n = _split(a[:, t], 3)  # (B, hidden) each
        p_r, p_z, p_n = _split(h @ w_hh.T + b_hh, 3)
        r, z = steps.see(t, "r", F.sigmoid(a_r + p_r)), steps.see(t, "z", F.sigmoid(a_z + p_z))
        n = steps.see(t, "n", F.tanh(a_n + r * p_n))
        new_h = steps.see(t, "h", (1 - z) * n + z * h)
        h = steps.running(t, new_h, h)
        steps.write(t, new_h)
    return steps.y(), h


def rnn(name, a, w_hh, h, lengths=None, nonlinearity="tanh") -> tuple[Tensor, Tensor]:
    """As F.rnn: a (B, T, hidden), w_hh (hidden, hidden), h (B, hidden) -> (y, h_n)"""
    check_layer("rnn", 1, a, w_hh, h0=h)
    steps = _Steps(name, "rnn", a, lengths)
    bend = F.tanh if nonlinearity == "tanh" else F.relu
    for t in range(steps.T):
        new_h = steps.see(t, "h", bend(a[:, t] + h @ w_hh.T))
        h = steps.running(t, new_h, h)
        steps.write(t, new_h)
    return steps.y(), h


class _Steps:
    """What the three have in common: names of the steps, rows that have ended, and y."""

    def __init__(self, name, op, a, lengths):
        self.name, self.T = name, a.shape[1]
        self.lengths = check_lengths(op, lengths, a)
        self._written: list[Tensor] = []

    def see(self, t, part, x) -> Tensor:
        return F.label(x, f"{self.name}.{part}", step=(t, self.T))

    def running(self, t, new, old) -> Tensor:
        """`new` where the row has a step t, else `old`"""
        return new if self.lengths is None else F.where((t < self.lengths)[:, None], new, old)

    def write(self, t, h):
        self._written.append(self.running(t, h, 0.0))

    def y(self) -> Tensor:
        return F.stack(self._written, axis=1)  # (B, T, hidden)


def _split(x, parts) -> list[Tensor]:
    """x (B, parts hidden) -> (B, hidden) each"""
    H = x.shape[1] // parts
    return [x[:, k * H : (k + 1) * H] for k in range(parts)]
