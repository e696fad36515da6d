"""The `numpy` row: every primitive in plain NumPy, for reading and stepping, and the oracle of the other rows."""

from . import (
    activation,
    attention,
    clipping,
    cross_entropy,
    device,
    dropout,
    elementwise,
    embedding,
    gru,
    int8,
    layernorm,
    lstm,
    matmul,
    optimizer,
    reduce,
    rnn,
    shape,
    softmax,
)

MODULES = (device, elementwise, activation, reduce, shape, matmul, softmax, attention, layernorm, embedding,
           cross_entropy, dropout, rnn, lstm, gru, int8, clipping, optimizer)  # fmt: skip
