"""The `cuda` row: kernels for NVIDIA's cards in numba.cuda, a ladder per file as in `cpu`; arrays live on the card."""

from . import (
    activation,
    attention,
    clipping,
    cross_entropy,
    device,
    dropout,
    elementwise,
    embedding,
    indexing,
    layernorm,
    matmul,
    optimizer,
    power,
    reduce,
    shape,
    softmax,
)

MODULES = (activation, attention, clipping, cross_entropy, device, dropout, elementwise, embedding, indexing, layernorm,
           matmul, optimizer, power, reduce, shape, softmax)  # fmt: skip
