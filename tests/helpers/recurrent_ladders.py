"""How the rungs of the recurrent kernels are called, and on what: for tests/kernels/cpu/test_ladder.py."""

import numpy as np

from kernels import reference

LSTM, GRU, RNN = reference.lstm, reference.gru, reference.rnn


def blank(shape, dtype):
    return np.full(shape, np.nan, dtype)


def back(x):
    """(T, n, B), as rungs keep it, to the reference's (B, T, n)."""
    return x.transpose(2, 0, 1)


def kept(x):
    return np.ascontiguousarray(x.transpose(1, 2, 0))


def shapes(rng, gates):
    """(a, w_hh, h0, c0, lengths) for batches of one and many, rows that end early and one of a single step."""

    def make(B, T, n, lengths=None):
        sizes = (B, T, gates * n), (gates * n, n), (B, n), (B, n)
        arrays = [rng.normal(size=size) for size in sizes]
        return *arrays, np.full(B, T) if lengths is None else np.array(lengths)

    yield make(1, 1, 1)
    yield make(3, 4, 5)
    yield make(5, 6, 17, [6, 1, 3, 6, 2])
    yield make(0, 3, 2)
    yield make(9, 2, 33)
    a, w, *rest = make(2, 3, 4)
    yield 300 * a, w, *rest  # gates open and shut


def as_type(dtype, arguments):
    return tuple(a.astype(dtype) if getattr(a, "dtype", None) == np.float64 else a for a in arguments)


# --- the element-wise half of a step ----------------------------------------------------------------------------


def cell_inputs(rng, dtype):
    for B, n in [(1, 1), (3, 5), (0, 2), (2, 33)]:
        yield as_type(dtype, (rng.normal(size=(B, 4 * n)), rng.normal(size=(B, n))))
    yield as_type(dtype, (rng.choice([-1e4, -90.0, 0.0, 1e-30, 90.0, 1e4], (3, 8)), rng.normal(size=(3, 2))))


def run_cell(step, a, c_prev):
    h, c, gates = blank(c_prev.shape, a.dtype), blank(c_prev.shape, a.dtype), blank(a.shape, a.dtype)
    step.function(a, c_prev, h, c, gates)
    return h, c, gates


def cell_backward_inputs(rng, dtype):
    for a, c_prev in cell_inputs(rng, dtype):
        _, c, gates = LSTM.lstm_cell_forward(a, c_prev)
        yield (*as_type(dtype, (rng.normal(size=c.shape), rng.normal(size=c.shape))), gates, c_prev, c)


def run_cell_backward(step, dh, dc, gates, c_prev, c):
    da, dc_prev = blank(gates.shape, c.dtype), blank(c.shape, c.dtype)
    step.function(dh, dc, gates, c_prev, c, da, dc_prev)
    return da, dc_prev


# --- layers -----------------------------------------------------------------------------------------------------


def lstm_inputs(rng, dtype):
    return (as_type(dtype, given) for given in shapes(rng, 4))


def run_lstm(step, a, w_hh, h0, c0, lengths):
    B, T, G = a.shape
    y, h_n, c_n = blank((B, T, G // 4), a.dtype), blank(h0.shape, a.dtype), blank(h0.shape, a.dtype)
    gates, cells = blank((T, G, B), a.dtype), blank((T, G // 4, B), a.dtype)
    step.function(a, w_hh, h0, c0, lengths, y, h_n, c_n, gates, cells)
    return y, h_n, c_n, back(gates), back(cells)


def lstm_backward_inputs(rng, dtype):
    for a, w_hh, h0, c0, lengths in lstm_inputs(rng, dtype):
        y, _, _, gates, cells = LSTM.lstm_forward(a, w_hh, h0, c0, lengths)
        upstream = as_type(dtype, (rng.normal(size=y.shape), rng.normal(size=h0.shape), rng.normal(size=h0.shape)))
        yield (*upstream, w_hh, h0, c0, y, gates, cells, lengths)


def run_lstm_backward(step, dy, dh_n, dc_n, w_hh, h0, c0, y, gates, cells, lengths):
    da, dh0, dc0 = blank(gates.shape, dy.dtype), blank(h0.shape, dy.dtype), blank(h0.shape, dy.dtype)
    step.function(dy, dh_n, dc_n, w_hh, c0, kept(gates), kept(cells), lengths, da, dh0, dc0)
    return da, dh0, dc0


def reference_lstm_backward(*arguments):
    da, _, dh0, dc0 = LSTM.lstm_backward(*arguments)
    return da, dh0, dc0


def gru_inputs(rng, dtype):
    for a, w_hh, h0, _, lengths in shapes(rng, 3):
        yield as_type(dtype, (a, w_hh, rng.normal(size=len(w_hh)), h0, lengths))


def run_gru(step, a, w_hh, b_hh, h0, lengths):
    B, T, G = a.shape
    y, h_n = blank((B, T, G // 3), a.dtype), blank(h0.shape, a.dtype)
    gates, p_n = blank((T, G, B), a.dtype), blank((T, G // 3, B), a.dtype)
    step.function(a, w_hh, b_hh, h0, lengths, y, h_n, gates, p_n)
    return y, h_n, back(gates), back(p_n)


def gru_backward_inputs(rng, dtype):
    for a, w_hh, b_hh, h0, lengths in gru_inputs(rng, dtype):
        y, _, gates, p_n = GRU.gru_forward(a, w_hh, b_hh, h0, lengths)
        upstream = as_type(dtype, (rng.normal(size=y.shape), rng.normal(size=h0.shape)))
        yield (*upstream, w_hh, h0, y, gates, p_n, lengths)


def run_gru_backward(step, dy, dh_n, w_hh, h0, y, gates, p_n, lengths):
    da, dp, dh0 = blank(gates.shape, dy.dtype), blank(gates.shape, dy.dtype), blank(h0.shape, dy.dtype)
    step.function(dy, dh_n, w_hh, h0, y, kept(gates), kept(p_n), lengths, da, dp, dh0)
    return da, dp.sum(axis=(0, 1)), dh0


def reference_gru_backward(*arguments):
    da, _, db_hh, dh0 = GRU.gru_backward(*arguments)
    return da, db_hh, dh0


def rnn_inputs(rng, dtype):
    for a, w_hh, h0, _, lengths in shapes(rng, 1):
        for relu in (False, True):
            if not relu or np.abs(a).max(initial=0) < 100:
                yield as_type(dtype, (a, w_hh, h0, lengths, "relu" if relu else "tanh"))


def run_rnn(step, a, w_hh, h0, lengths, nonlinearity):
    y, h_n = blank(a.shape, a.dtype), blank(h0.shape, a.dtype)
    step.function(a, w_hh, h0, lengths, nonlinearity == "relu", y, h_n)
    return y, h_n


def rnn_backward_inputs(rng, dtype):
    for a, w_hh, h0, lengths, nonlinearity in rnn_inputs(rng, dtype):
        y, _ = RNN.rnn_forward(a, w_hh, h0, lengths, nonlinearity)
        upstream = as_type(dtype, (rng.normal(size=y.shape), rng.normal(size=h0.shape)))
        yield (*upstream, w_hh, h0, y, lengths, nonlinearity)


def run_rnn_backward(step, dy, dh_n, w_hh, h0, y, lengths, nonlinearity):
    da, dh0 = blank(y.shape, dy.dtype), blank(h0.shape, dy.dtype)
    step.function(dy, dh_n, w_hh, y, lengths, nonlinearity == "relu", da, dh0)
    return da, dh0


def reference_rnn_backward(*arguments):
    da, _, dh0 = RNN.rnn_backward(*arguments)
    return da, dh0


# ladder -> (how a rung is called, the same in the reference, inputs)
RECURRENT_LADDERS = {
    "lstm_cell_forward": (run_cell, LSTM.lstm_cell_forward, cell_inputs),
    "lstm_cell_backward": (run_cell_backward, LSTM.lstm_cell_backward, cell_backward_inputs),
    "lstm_forward": (run_lstm, LSTM.lstm_forward, lstm_inputs),
    "lstm_backward": (run_lstm_backward, reference_lstm_backward, lstm_backward_inputs),
    "gru_forward": (run_gru, GRU.gru_forward, gru_inputs),
    "gru_backward": (run_gru_backward, reference_gru_backward, gru_backward_inputs),
    "rnn_forward": (run_rnn, RNN.rnn_forward, rnn_inputs),
    "rnn_backward": (run_rnn_backward, reference_rnn_backward, rnn_backward_inputs),
}
