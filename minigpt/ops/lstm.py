"""The LSTM: the element-wise half of one step, and a layer over all steps."""

from __future__ import annotations

from ..errors import ShapeError
from .op import Op
from .rnn import check_layer, check_lengths


class LSTMCell(Op):
    """i, f, g, o = sigmoid(a_i), sigmoid(a_f), tanh(a_g), sigmoid(a_o);  c = f c_prev + i g;  h = o tanh(c)

    Backward: dc += dh * o * (1 - tanh(c)^2); da_i = dc g i (1 - i), da_f = dc c_prev f (1 - f),
              da_g = dc i (1 - g^2), da_o = dh tanh(c) o (1 - o); dc_prev = dc f
    Shapes:   a (B, 4 hidden) in the order i f g o, c_prev (B, hidden) -> h (B, hidden), c (B, hidden)
    Raises:   ShapeError
    Source:   Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000
    """

    float_inputs = 2

    @staticmethod
    def forward(ctx, a, c_prev):
        if a.ndim != 2 or c_prev.ndim != 2 or a.shape != (c_prev.shape[0], 4 * c_prev.shape[1]):
            raise ShapeError(f"lstm_cell: a {a.shape} and c_prev {c_prev.shape} must be (B, 4 hidden) and (B, hidden)")
        h, c, gates = ctx.row.lstm_cell_forward(a, c_prev)
        ctx.save(gates, c_prev, c)
        return h, c

    @staticmethod
    def backward(ctx, dh, dc):
        gates, c_prev, c = ctx.saved
        return ctx.row.lstm_cell_backward(dh, dc, gates, c_prev, c)


class LSTM(Op):
    """One layer over all steps: h_t, c_t = LSTMCell(a_t + h_{t-1} @ W_hh^T, c_{t-1})

    Backward: da_t from LSTMCell's, with dh_t = dy_t + da_{t+1} @ W_hh;  dW_hh = sum_t da_t^T @ h_{t-1}
    Shapes:   a (B, T, 4 hidden) = x @ W_ih^T + biases, w_hh (4 hidden, hidden), h0, c0 (B, hidden)
              -> y (B, T, hidden), h_n, c_n (B, hidden)
    Settings: lengths as in ops/rnn.py
    Raises:   ShapeError, ArgumentError
    Source:   as LSTMCell
    """

    float_inputs = 4

    @staticmethod
    def forward(ctx, a, w_hh, h0, c0, lengths=None):
        check_layer("lstm", 4, a, w_hh, h0=h0, c0=c0)
        ctx.lengths = check_lengths("lstm", lengths, a)
        y, h_n, c_n, gates, cells = ctx.row.lstm_forward(a, w_hh, h0, c0, ctx.lengths)
        ctx.save(w_hh, h0, c0, y, gates, cells)
        return y, h_n, c_n

    @staticmethod
    def backward(ctx, dy, dh_n, dc_n):
        return ctx.row.lstm_backward(dy, dh_n, dc_n, *ctx.saved, ctx.lengths)
