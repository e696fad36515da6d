"""The `cpu` row: Numba kernels, a ladder per file from the naive loop to the version in use."""

from . import (
    activation,
    attention,
    cross_entropy,
    device,
    dropout,
    elementwise,
    embedding,
    int8,
    layernorm,
    matmul,
    optimizer,
    reduce,
    softmax,
)

MODULES = (device, elementwise, activation, reduce, matmul, softmax, attention, layernorm, embedding,
           cross_entropy, dropout, int8, optimizer)  # fmt: skip
