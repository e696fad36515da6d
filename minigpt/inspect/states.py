"""What a recurrent layer holds after each token, and what its gates let through: `capture` of one text, by layer.

LSTM   i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o);  c_t = f c_{t-1} + i g;  h_t = o tanh(c_t)
GRU    h_t = (1 - z) n + z h_{t-1};  r acts on W_hn h_{t-1}
RNN    h_t alone
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..nn.recurrent import GRU, LSTM, RNN, Recurrent
from ..tensor import Tensor
from .capture import capture

# what is told -> its name in nn/recurrent_parts.py
PARTS: dict[type[Recurrent], dict[str, str]] = {
    LSTM: {"state": "h", "cell": "c", "input": "i", "forget": "f", "output": "o"},
    GRU: {"state": "h", "reset": "r", "update": "z"},
    RNN: {"state": "h"},
}


def recurrent_states(rnn: Recurrent, x, state=None) -> list[dict[str, np.ndarray]]:
    """x (T, input) -> for each layer a dict of arrays (T, hidden).

    "state" is h; of an LSTM also "cell" c and the gates "input" i, "forget" f, "output" o; of a GRU the gates "reset" r
    and "update" z. state: what `rnn` would take, for a batch of one; None: zeros.
    Raises ArgumentError for another module, ShapeError for a batch.
    """
    parts = next((parts for kind, parts in PARTS.items() if isinstance(rnn, kind)), None)
    if parts is None:
        raise ArgumentError(f"recurrent_states reads an nn.RNN, nn.LSTM or nn.GRU, got {type(rnn).__name__}")
    x = np.asarray(x)
    if x.ndim != 2:
        raise ShapeError(f"one text at a time: x (T, input), got {x.shape}")
    names = [{told: f"l{layer}.{part}" for told, part in parts.items()} for layer in range(rnn.num_layers)]
    with rnn.evaluating(), capture(rnn, [name for layer in names for name in layer.values()]) as acts:
        rnn(Tensor(x[None]), state)
    return [{told: acts[name][0] for told, name in layer.items()} for layer in names]  # (T, hidden) each
