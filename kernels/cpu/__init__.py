"""The `cpu` row: Numba kernels, a ladder per file from the naive loop to the version in use."""

from . import (
    activation,
    attention,
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
    softmax,
)

MODULES = (device, elementwise, activation, reduce, matmul, softmax, attention, layernorm, embedding,
           cross_entropy, dropout, rnn, lstm, gru, int8, optimizer)  # fmt: skip
