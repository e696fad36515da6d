"""The plain recurrent layer over all steps, and what all recurrent layers check."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, ShapeError
from .op import Op


class RNN(Op):
    """h_t = tanh(a_t + h_{t-1} @ W_hh^T), or relu in place of tanh

    Backward: da_t = (dy_t + dh_t) * (1 - h_t^2), dh_{t-1} = da_t @ W_hh, dW_hh = sum_t da_t^T @ h_{t-1}
    Shapes:   a (B, T, hidden), w_hh (hidden, hidden), h0 (B, hidden) -> y (B, T, hidden), h_n (B, hidden)
    Settings: nonlinearity "tanh" or "relu"; lengths (B,) integers from 1 to T, or None: from its length on, y of a row
              is 0 and its state stays what it was
    Raises:   ShapeError, ArgumentError
    Source:   Elman 1990
    """

    float_inputs = 3

    @staticmethod
    def forward(ctx, a, w_hh, h0, lengths=None, nonlinearity="tanh"):
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"rnn: nonlinearity is 'tanh' or 'relu', got {nonlinearity!r}")
        check_layer("rnn", 1, a, w_hh, h0=h0)
        ctx.settings = check_lengths("rnn", lengths, a), nonlinearity
        y, h_n = ctx.row.rnn_forward(a, w_hh, h0, *ctx.settings)
        ctx.save(w_hh, h0, y)
        return y, h_n

    @staticmethod
    def backward(ctx, dy, dh_n):
        return ctx.row.rnn_backward(dy, dh_n, *ctx.saved, *ctx.settings)


def check_layer(name, gates, a, w_hh, **states):
    """a (B, T, gates * hidden), w_hh (gates * hidden, hidden), states (B, hidden), or a ShapeError."""
    wide = f"{gates} hidden" if gates > 1 else "hidden"
    if a.ndim != 3 or w_hh.ndim != 2 or w_hh.shape != (a.shape[2], a.shape[2] // gates) or a.shape[2] % gates:
        raise ShapeError(
            f"{name}: a has shape {a.shape} and w_hh {w_hh.shape}; they must be (B, T, {wide}) and ({wide}, hidden)"
        )
    for state, array in states.items():
        if array.shape != (a.shape[0], w_hh.shape[1]):
            raise ShapeError(
                f"{name}: {state} has shape {array.shape}, needs (B, hidden) = {(a.shape[0], w_hh.shape[1])}"
            )


def check_lengths(name, lengths, a) -> np.ndarray | None:
    """Lengths of the rows as int64 (B,); None where all are T."""
    if lengths is None:
        return None
    B, T = a.shape[:2]
    try:
        lengths = np.asarray(lengths)
    except ValueError:
        raise ShapeError(
            f"{name}: lengths must be {B} integers, one for each row of the batch; these are lists"
        ) from None
    if lengths.shape != (B,) or lengths.dtype.kind not in "iu":
        raise ShapeError(
            f"{name}: lengths must be {B} integers, one for each row of the batch, got {lengths.dtype} {lengths.shape}"
        )
    wrong = np.flatnonzero((lengths < 1) | (lengths > T))
    if wrong.size:
        k = int(wrong[0])
        raise ArgumentError(
            f"{name}: lengths[{k}] is {lengths[k]}, but a length is from 1 to T = {T}, the steps that x has"
        )
    return None if (lengths == T).all() else lengths.astype(np.int64)
