"""What a recurrent layer holds after each token, and what its gates let through.

    LSTM   i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o);  c_t = f c_{t-1} + i g;  h_t = o tanh(c_t)
    GRU    h_t = (1 - z) n + z h_{t-1};  r acts on W_hn h_{t-1}
    RNN    h_t alone

The kernels keep none of these for a reader, so they are computed again here from the states h_t that the layer gave.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..nn.recurrent import GRU, LSTM, Recurrent
from ..tensor import Tensor
from .capture import capture


def recurrent_states(rnn: Recurrent, x, state=None) -> list[dict[str, np.ndarray]]:
    """x (T, input) -> for each layer a dict of arrays (T, hidden), in the order in which they are computed.

    "state" is h; of an LSTM also "cell" c and the gates "input" i, "forget" f, "output" o; of a GRU the gates "reset" r
    and "update" z. state: what `rnn` would take, for a batch of one; None: zeros.
    Raises ArgumentError for another module, ShapeError for a batch.
    """
    if not isinstance(rnn, Recurrent):
        raise ArgumentError(f"recurrent_states reads an nn.RNN, nn.LSTM or nn.GRU, got {type(rnn).__name__}")
    x = np.asarray(x)
    if x.ndim != 2:
        raise ShapeError(f"one text at a time: x (T, input), got {x.shape}")
    with rnn.evaluating(), capture(rnn, [f"l{layer}" for layer in range(rnn.num_layers)], copy=True) as acts:
        rnn(Tensor(x[None]), state)
    begin = _begin(rnn, state)
    found, inputs = [], x
    for layer in range(rnn.num_layers):
        y = acts[f"l{layer}"][0]  # (T, hidden)
        before = np.concatenate([begin[0][layer : layer + 1].astype(y.dtype), y[:-1]])  # (T, hidden)
        found.append({"state": y, **_gates(rnn, layer, inputs, before, begin[-1][layer])})
        inputs = y
    return found


def _begin(rnn, state) -> list[np.ndarray]:
    """What each layer begins with: arrays (layers, hidden) of h, of an LSTM also of c."""
    if state is None:
        return [np.zeros((rnn.num_layers, rnn.hidden_size), np.float32) for _ in rnn.states]
    parts = state if isinstance(state, tuple | list) else [state]
    return [(part.numpy() if isinstance(part, Tensor) else np.asarray(part))[:, 0] for part in parts]


def _gates(rnn, layer, x, before, c) -> dict[str, np.ndarray]:
    """x (T, in); before (T, hidden): h of the step before each; c (hidden,): of an LSTM, what the cell begins with."""
    names = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
    w_ih, b_ih, w_hh, b_hh = (getattr(rnn, f"{name}_l{layer}").numpy() for name in names)
    from_x, from_h = x @ w_ih.T + b_ih, before @ w_hh.T + b_hh  # (T, G hidden) each
    if isinstance(rnn, LSTM):
        i, f, g, o = np.split(from_x + from_h, 4, axis=-1)  # (T, hidden) each
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        cells = np.empty_like(i)
        for t in range(len(cells)):
            c = cells[t] = f[t] * c + i[t] * g[t]
        return {"cell": cells, "input": i, "forget": f, "output": o}
    if isinstance(rnn, GRU):
        r, z, _ = np.split(from_x + from_h, 3, axis=-1)  # (T, hidden) each; n needs r between its halves
        return {"reset": _sigmoid(r), "update": _sigmoid(z)}
    return {}


def _sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))
