"""The gated recurrent unit over all steps."""

from __future__ import annotations

from ..errors import ShapeError
from .op import Op
from .rnn import check_layer, check_lengths


class GRU(Op):
    """r, z = sigmoid(a_r + p_r), sigmoid(a_z + p_z);  n = tanh(a_n + r p_n);  h_t = (1 - z) n + z h_{t-1};
    p = h_{t-1} @ W_hh^T + b_hh

    Backward: da_n = dh (1 - z)(1 - n^2), da_z = dh (h_{t-1} - n) z (1 - z), da_r = da_n p_n r (1 - r);
              dp = da_r, da_z, da_n r;  dh_{t-1} = dh z + dp @ W_hh;  dW_hh = sum dp^T @ h_{t-1}, db_hh = sum dp
    Shapes:   a (B, T, 3 hidden) in the order r z n, w_hh (3 hidden, hidden), b_hh (3 hidden,), h0 (B, hidden)
              -> y (B, T, hidden), h_n (B, hidden)
    Settings: lengths as in ops/rnn.py
    Raises:   ShapeError, ArgumentError
    Source:   Cho et al. 2014; the reset gate after the product, as in PyTorch
    """

    float_inputs = 4

    @staticmethod
    def forward(ctx, a, w_hh, b_hh, h0, lengths=None):
        check_layer("gru", 3, a, w_hh, h0=h0)
        if b_hh.shape != w_hh.shape[:1]:
            raise ShapeError(f"gru: b_hh has shape {b_hh.shape}, needs (3 hidden,) = {w_hh.shape[:1]}")
        ctx.lengths = check_lengths("gru", lengths, a)
        y, h_n, gates, p_n = ctx.row.gru_forward(a, w_hh, b_hh, h0, ctx.lengths)
        ctx.save(w_hh, h0, y, gates, p_n)
        return y, h_n

    @staticmethod
    def backward(ctx, dy, dh_n):
        return ctx.row.gru_backward(dy, dh_n, *ctx.saved, ctx.lengths)
