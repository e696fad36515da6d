"""The `cuda` row: kernels for NVIDIA's cards in numba.cuda, a ladder per file as in `cpu`; arrays live on the card."""

from . import (
    activation,
    cross_entropy,
    device,
    dropout,
    elementwise,
    embedding,
    indexing,
    layernorm,
    optimizer,
    power,
    reduce,
    shape,
)

MODULES = (activation, cross_entropy, device, dropout, elementwise, embedding, indexing, layernorm,
           optimizer, power, reduce, shape)  # fmt: skip
